"""What several commands are given: the registry, a version by a part of its id, --json, --all, --reason."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, NamedTuple

import click

from model_registry.cli.refusals import in_words
from model_registry.manifest import Manifest, ManifestRefused
from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries
from model_registry.store import MarketRegistry, Registry, UnknownVersion
from storage.address import BadAddress, is_url


def _said(_context: click.Context, _parameter: click.Parameter, reason: str) -> str:
    if not reason.strip():
        raise click.BadParameter("it is empty: say why, for whoever reads the history.")
    return reason


class _Address(click.ParamType[Path | str]):
    """A folder or the URL of an object store."""

    name = "place"
    _folder = click.Path(file_okay=False, readable=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        """The URL as it is, the folder as a path."""
        try:
            if isinstance(value, str) and is_url(value):
                return value
        except BadAddress as error:
            self.fail(f"{error}.", param, ctx)
        return self._folder.convert(value, param, ctx)


ADDRESS = _Address()
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
because = click.option("--reason", required=True, callback=_said, help="Why; it goes into the history.")
with_details = click.option(
    "--all", "everything", is_flag=True, help="Also hashes, runs, code, libraries, golden rows."
)


class Chosen(NamedTuple):
    """What `models` was told before the command: where the registries are, and of which market, if that was said."""

    registries: Registries
    market: str | None

    def registry(self) -> MarketRegistry:
        """The market's registry: the one told, else the only one there, else the default market's."""
        there = [] if self.market else self.registries.markets()
        return self.registries.of(self.market or (there[0] if len(there) == 1 else DEFAULT_MARKET))


pass_chosen = click.make_pass_decorator(Chosen)


def pass_registry(command: Callable[Concatenate[Registry, ...], Any]) -> Callable[..., Any]:
    """Give the command the registry of the market that was chosen."""

    @pass_chosen
    @wraps(command)
    def of_the_market(chosen: Chosen, *arguments: Any, **options: Any) -> Any:
        with in_words():
            registry = chosen.registry()
        return command(registry, *arguments, **options)

    return of_the_market


def full_id(registry: Registry, part: str) -> str:
    """The one version whose id is, or contains, what was typed."""
    versions = registry.versions()
    found = [version for version in versions if version == part] or [v for v in versions if part and part in v]
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownVersion(f"{part!r} may be any of {', '.join(found)}: give more of it")
    raise UnknownVersion(f"the registry {registry.place} holds no version {part!r}: see `models list`")


def manifest_of(registry: Registry, part: str) -> Manifest:
    """The manifest of the one version that was meant; where it is refused, the sentence names the version."""
    version = full_id(registry, part)
    try:
        return registry.manifest(version)
    except ManifestRefused as error:
        raise ManifestRefused(f"{version}: {error}") from error
