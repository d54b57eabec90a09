"""A market's registry moved to another place, history included: from a folder to an object store, and back."""

from collections.abc import Callable
from typing import NamedTuple

from model_registry.classifier import MANIFEST_FILE
from model_registry.history import Event, champions
from model_registry.store import VERSION_FILES, NotTheBeginning, Registry


class CopyRefused(Exception):
    """A registry cannot be copied to a place, because of what is there, or is not the same afterwards."""


class Copied(NamedTuple):
    """What a copy has brought that was not there before."""

    versions: int
    events: int


def copy_registry(source: Registry, target: Registry, *, copied: Callable[[], None] = lambda: None) -> Copied:
    """Copy a registry into one that is empty, or that a copy of the same one was begun or made in before.

    Events keep their number, time and actor. The champion's pointer comes last: what was interrupted is no champion,
    and is finished by doing it again. `copied` is called after each version. Raises CopyRefused, and ModelRefused for a
    version that is damaged.
    """
    if source.place == target.place:
        raise CopyRefused(f"{source.place} cannot be copied to itself: name another place")
    # In this order: of what happens meanwhile, no event is copied whose version is not.
    events, shadow = source.history(), source.shadow()
    versions, there = source.versions(), target.versions()
    known = _known(source, target, events, set(versions))
    for version in versions:
        source.open(version)
        target.admit(version, {name: source.file(version, name) for name in VERSION_FILES})
        _see_that_it_is_the_same(source, target, version)
        live = source.live_bytes(version)
        if live is not None and live != target.live_bytes(version):
            target.put_live(version, live)
        copied()
    try:
        target.adopt(events, shadow)
    except NotTheBeginning:
        raise _another(source, target) from None
    led_to = target.champion()
    if target.history() != events or (led_to and led_to.version) != next(reversed(champions(events)), None):
        raise CopyRefused(f"{target.place} was written to while it was copied to: see who else has it")
    return Copied(len(set(versions) - set(there)), len(events) - known)


def _known(source: Registry, target: Registry, events: list[Event], versions: set[str]) -> int:
    """How many events the target has already, if it has the beginning of them and nothing else."""
    own = target.history()
    if own != events[: len(own)]:
        raise _another(source, target)
    if more := sorted(set(target.versions()) - versions):
        raise CopyRefused(
            f"{target.place} holds {more[0]}{' and others' if len(more) > 1 else ''}, which {source.place} does not: "
            "copy to an empty place, and take single versions with `models export` and `models import`"
        )
    return len(own)


def _see_that_it_is_the_same(source: Registry, target: Registry, version: str) -> None:
    # Both are verified, so that what the manifest says is so of the other files.
    if source.file(version, MANIFEST_FILE) != target.file(version, MANIFEST_FILE):
        raise CopyRefused(
            f"{version} is in {target.place} already, published there by itself: copy to an empty place, or remove it "
            "there first"
        )


def _another(source: Registry, target: Registry) -> CopyRefused:
    return CopyRefused(
        f"{target.place} has a history of its own, which is not the beginning of that of {source.place}: copy to an "
        "empty place"
    )
