"""Kill a writer at every line it runs, or at each n-th: `python crash_writer.py FOLDER N OPERATION [OPERATION ...]`.

For each n, a copy of a registry is written to by a forked process that sends itself SIGKILL at the n-th line
of the registry's code. Then a reader looks, and the next writer does the same operation to its end. Prints
kills and losses by operation as JSON; a loss is a registry that is not whole, or a writer that fails.
"""

import json
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from model_registry.folder_store import FolderRegistry
from model_registry.history import champions
from model_registry.registries import Registries
from model_registry.store import Registry
from tests.killing import die_at
from tests.making import PROMOTE
from tests.model_registry.operations import Pointers, pointed_at, promote, publish, set_shadow

CODE = {"folder_store.py", "store.py", "disk.py", "history.py", "registries.py", "old_layout.py", "shadow.py"}
SHADOWS = {"clear_shadow": 2, "promote_shadow": 2, "take_over": 0}
"""Which version is the shadow before an operation; none before the others."""
MARKET = "new-york"


def roll_back(registry: Registry) -> str:
    champion = registry.champion()
    first = champions(registry.history())[0]
    if champion is not None and champion.version == first:
        return first
    return registry.rollback(decision=PROMOTE, actor="test").version


def clear_shadow(registry: Registry) -> str:
    registry.clear_shadow()
    return ""


OPERATIONS: dict[str, Callable[[Registry], str]] = {
    "publish": lambda registry: publish(registry, 2),
    "promote": lambda registry: promote(registry, 2),
    "rollback": roll_back,
    "prune": lambda registry: ",".join(registry.prune(0)),
    "set_shadow": lambda registry: set_shadow(registry, 2),
    "clear_shadow": clear_shadow,
    "promote_shadow": lambda registry: promote(registry, 2),
    "take_over": lambda registry: promote(registry, 2),
}


def opened(folder: Path, name: str) -> Registry:
    """The registry that an operation is done to: that of a market where it is to take over an old one."""
    return Registries(folder, patience=5).of(MARKET) if name == "take_over" else FolderRegistry(folder, patience=5)


def losses_after(
    operation: Callable[[Registry], str], registry: Registry, versions: set[str], before: Pointers, after: Pointers
) -> list[str]:
    """What is lost when a writer was killed: for a reader at once, and for the next writer."""
    lost = [f"{version} is gone" for version in versions - set(registry.versions())]
    if len(registry.history()) < 2:
        lost.append("the history lacks its beginning")
    if pointed_at(registry) not in (before, after):
        lost.append(f"the champion and the shadow are {pointed_at(registry)}")
    for version in filter(None, pointed_at(registry)):
        registry.open(version)
    lost.extend(registry.problems().values())
    operation(registry)
    lost.extend(registry.problems().values())
    if pointed_at(registry) != after or (registry.folder / "shadow.json").exists() != (after[1] is not None):
        lost.append(f"the next writer left {pointed_at(registry)}")
    if list((registry.folder / "incoming").iterdir()):
        lost.append("the next writer left something unfinished")
    if registry.market and sorted(entry.name for entry in registry.folder.parent.iterdir()) != [".lock", MARKET]:
        lost.append("the next writer left something of the old layout")
    return lost


def kill(name: str, folder: Path, step: int) -> tuple[int, list[str]]:
    """How often the writer of an operation was killed, and what was lost."""
    operation = OPERATIONS[name]
    base = FolderRegistry(folder / "base")
    for number in (0, 1):
        promote(base, number)
    if name == "prune":
        publish(base, 2)
    if name in SHADOWS:
        set_shadow(base, SHADOWS[name])
    before = pointed_at(base)
    shutil.copytree(base.folder, folder / "end")
    end = opened(folder / "end", name)
    operation(end)
    after = pointed_at(end)
    kills, lost = 0, list[str]()
    kept = set() if name == "prune" else set(base.versions())
    while True:
        shutil.rmtree(folder / "copy", ignore_errors=True)
        shutil.copytree(base.folder, folder / "copy")
        registry = opened(folder / "copy", name)
        line = 1 + kills * step
        if not die_at(line, CODE, partial(operation, registry)):
            break
        kills += 1
        lost.extend(f"line {line}: {loss}" for loss in losses_after(operation, registry, kept, before, after))
    return kills, lost


def main(folder: str, step: str, *names: str) -> None:
    print(json.dumps({name: kill(name, Path(folder, name), int(step)) for name in names}))  # noqa: T201 (its answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
