"""`models` for several markets: whose registry a command is about, and `models markets`."""

import json
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from model_registry.cli.main import models
from model_registry.folder_store import FolderRegistry
from model_registry.registries import Registries
from model_registry.store import Registry
from tests.making import LISBON, PROMOTE, publish


@pytest.fixture
def registries(tmp_path: Path) -> Registries:
    return Registries(tmp_path / "registry")


def run(registries: Registries, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(models, ["--registry", str(registries.place), *arguments], env=environment)


def promoted(registry: Registry, seed: int, **options: object) -> str:
    version = publish(registry, seed, **options)  # type: ignore[arg-type]
    registry.promote(version, PROMOTE, run_id=None, actor="test")
    return version


@pytest.fixture
def both(registries: Registries) -> dict[str, str]:
    """The champions of two markets."""
    return {
        "lisbon": promoted(registries.of("lisbon"), 1, market=LISBON),
        "new-york": promoted(registries.of("new-york"), 2),
    }


def test_a_command_is_about_the_default_market_unless_another_is_named(
    registries: Registries, both: dict[str, str]
) -> None:
    assert both["new-york"] in run(registries, "verify").output
    assert both["lisbon"] in run(registries, "verify", MARKET="lisbon").output
    assert both["lisbon"] in run(registries, "--market", "lisbon", "verify", MARKET="new-york").output


def test_the_only_market_there_need_not_be_named(registries: Registries) -> None:
    version = promoted(registries.of("lisbon"), 1, market=LISBON)
    assert f"whole    {version}" in run(registries, "verify").output


def test_a_rollback_in_one_market_leaves_the_other(registries: Registries, both: dict[str, str]) -> None:
    promoted(registries.of("lisbon"), 3, market=LISBON)
    rolled = run(registries, "--market", "lisbon", "rollback", "--reason", "worse")
    assert rolled.output.startswith(f"{both['lisbon']} is the champion again")
    assert [event.action for event in registries.of("new-york").history()] == ["promotion"]


def test_markets_are_listed_with_their_champions(registries: Registries, both: dict[str, str]) -> None:
    publish(registries.of("porto"), 4, market=msgspec.structs.replace(LISBON, name="porto"))
    lines = run(registries, "markets").output.splitlines()
    assert lines[0].split() == ["market", "champion", "since", "versions"]
    day = f"{registries.of('lisbon').champion().promoted_at:%Y-%m-%d}"  # type: ignore[union-attr]
    assert lines[2].split() == ["lisbon", both["lisbon"], day, "1"]
    assert lines[3].split() == ["→", "new-york", both["new-york"], day, "1"]
    assert lines[4].split() == ["porto", "none", "yet", "1"]
    assert lines[-1] == "→ is the one that commands are about unless --market or MARKET names another."


def test_markets_as_json_are_for_programs(registries: Registries, both: dict[str, str]) -> None:
    told = json.loads(run(registries, "markets", "--json").stdout)
    assert [(one["market"], one["champion"], one["versions"]) for one in told] == [
        (market, version, 1) for market, version in both.items()
    ]


def test_a_damaged_pointer_of_one_market_is_told_beside_the_others(
    registries: Registries, both: dict[str, str]
) -> None:
    (registries.place / "lisbon" / "champion.json").write_text("{")
    output = run(registries, "markets").output
    assert "lisbon: champion.json is damaged" in output
    assert both["new-york"] in output


def test_where_nothing_was_published_it_says_what_to_do(registries: Registries) -> None:
    assert "No model has been published in" in run(registries, "markets").output


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../etc", "'../etc' is no market's name: see `models markets`"),
        (
            "porto",
            "porto, only lisbon, new-york beside it: name one of these with --market or MARKET, or run the pipeline",
        ),
    ],
)
@pytest.mark.usefixtures("both")
def test_a_market_that_is_not_there_is_told_in_a_sentence(name: str, words: str, registries: Registries) -> None:
    told = run(registries, "--market", name, "list")
    assert told.exit_code == 1
    assert words in told.stderr


def test_an_old_folder_is_listed_as_its_citys(registries: Registries) -> None:
    old = FolderRegistry(registries.place)
    version = promoted(old, 1)
    assert [one["champion"] for one in json.loads(run(registries, "markets", "--json").stdout)] == [version]
    assert run(registries, "prune", "--keep", "0").output.endswith("0 versions removed, 1 stays.\n")
    assert (registries.place / "new-york" / "champion.json").exists()


@pytest.mark.parametrize(
    ("width", "columns"), [(80, ["market", "champion", "since", "versions"]), (40, ["market", "champion"])]
)
def test_markets_gives_up_columns_and_never_breaks_an_id(
    width: int, columns: list[str], registries: Registries, both: dict[str, str]
) -> None:
    told = run(registries, "markets", COLUMNS=str(width), TTY_COMPATIBLE="1", TERM="xterm")
    lines = click.unstyle(told.stdout).splitlines()
    assert lines[0].split() == columns
    assert both["lisbon"] in lines[2].split()


def test_what_is_suggested_names_the_registry_and_the_market_that_were_told(
    registries: Registries, both: dict[str, str]
) -> None:
    told = run(registries, "--market", "lisbon", "list", COLUMNS="200", TTY_COMPATIBLE="1", TERM="xterm")
    start = f"Next: `models --registry {registries.place} --market lisbon show "
    assert " ".join(told.stderr.split()) == f"{start}{both['lisbon'][-12:][:4]}` tells what is known of the champion."
