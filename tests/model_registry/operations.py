"""What writers do to a registry that already has two champions one after the other, and what must not be lost by it."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from model_registry.history import champions
from model_registry.store import Registry, utc_now
from tests.making import KEEP, PROMOTE, manifest, model
from tests.model_registry.stores import Files, opened

MODELS = [model(seed) for seed in range(3)]
MANIFESTS = [manifest(content) for content in MODELS]
SHADOWS = {"clear_shadow": 2, "promote_shadow": 2}
"""Which version is the shadow before an operation; none before the others."""
Pointers = tuple[str | None, str | None]
"""The champion and the shadow."""


def publish(registry: Registry, number: int) -> str:
    return registry.publish(MANIFESTS[number], MODELS[number], b"report")


def promote(registry: Registry, number: int) -> str:
    version = publish(registry, number)
    return registry.promote(version, PROMOTE, run_id=None, actor="test").version


def roll_back(registry: Registry) -> str:
    # By the history, which tells of a rollback whose writer was killed before the pointer followed.
    registry.repair()
    first = champions(registry.history())[0]
    champion = registry.champion()
    if champion is not None and champion.version == first:
        return first
    return registry.rollback(decision=PROMOTE, actor="test").version


def set_shadow(registry: Registry, number: int) -> str:
    return registry.set_shadow(publish(registry, number), reason="For the test.", actor="test").version


OPERATIONS: dict[str, Callable[[Registry], object]] = {
    "publish": lambda registry: publish(registry, 2),
    "promote": lambda registry: promote(registry, 2),
    "refuse": lambda registry: registry.refuse(registry.versions()[0], KEEP, run_id=None, actor="test"),
    "rollback": roll_back,
    "prune": lambda registry: registry.prune(0),
    "set_shadow": lambda registry: set_shadow(registry, 2),
    "clear_shadow": lambda registry: registry.clear_shadow(),
    "promote_shadow": lambda registry: promote(registry, 2),
}


def prepare(name: str, place: Path | str) -> None:
    """Bring a registry to where an operation begins."""
    registry = opened(place)
    for number in (0, 1):
        promote(registry, number)
    if name == "prune":
        publish(registry, 2)
    if name in SHADOWS:
        set_shadow(registry, SHADOWS[name])


def pointed_at(registry: Registry) -> Pointers:
    champion, shadow = registry.champion(), registry.shadow()
    return champion and champion.version, shadow and shadow.version


def losses_after(name: str, place: Path | str, versions: set[str], before: Pointers, after: Pointers) -> list[str]:
    """What is lost when a writer was killed: for a reader at once, and for the next writer."""
    registry = opened(place)
    lost = [f"{version} is gone" for version in versions - set(registry.versions())]
    if [event.sequence for event in registry.history()][:2] != [1, 2]:
        lost.append("the history lacks its beginning")
    # A reader is given the champion before until the next writer has the pointer follow.
    if (seen := pointed_at(registry)) not in (before, after, (before[0], after[1]), (after[0], before[1])):
        lost.append(f"the champion and the shadow are {seen}")
    for version in filter(None, seen):
        registry.open(version)
    lost.extend(
        problem
        for problem in registry.problems().values()
        if not re.match(r"champion.json names \S+, and the history leads to", problem)
    )
    OPERATIONS[name](registry)
    lost.extend(registry.problems().values())
    if pointed_at(registry) != after or Files(registry).has_shadow() != (after[1] is not None):
        lost.append(f"the next writer left {pointed_at(registry)}")
    later = opened(place, lambda: utc_now() + timedelta(hours=2))
    later.prune(99)
    if left := [file for file in Files(later).all() if file.startswith(("claims/", "removals/", "incoming/"))]:
        lost.append(f"{left} is there two hours later")
    whole = {f"versions/{version}/" for version in later.versions()}
    if left := [f for f in Files(later).all() if f.startswith("versions/") and not f.startswith(tuple(whole))]:
        lost.append(f"{left} is half a version two hours later")
    return lost
