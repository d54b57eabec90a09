"""Kill a writer at every line it runs, or at each n-th: `python crash_writer.py OPERATION FOLDER N`.

For each n, a copy of a registry is written to by a forked process that sends itself SIGKILL at the n-th line
of the registry's code. Then a reader looks, and the next writer does the same operation to its end. Prints
kills and losses as JSON; a loss is a registry that is not whole, or a writer that fails.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from model_registry.history import champions
from model_registry.registries import Registries
from model_registry.store import Registry
from tests.making import PROMOTE, manifest, model

MODELS = [model(seed) for seed in range(3)]
MANIFESTS = [manifest(content) for content in MODELS]
CODE = {"store.py", "disk.py", "history.py", "registries.py", "old_layout.py"}
MARKET = "new-york"


def publish(registry: Registry, number: int) -> str:
    return registry.publish(MANIFESTS[number], MODELS[number], b"report")


def promote(registry: Registry, number: int) -> str:
    version = publish(registry, number)
    return registry.promote(version, PROMOTE, run_id=None, actor="test").version


def roll_back(registry: Registry) -> str:
    champion = registry.champion()
    first = champions(registry.history())[0]
    if champion is not None and champion.version == first:
        return first
    return registry.rollback(decision=PROMOTE, actor="test").version


OPERATIONS: dict[str, Callable[[Registry], str]] = {
    "publish": lambda registry: publish(registry, 2),
    "promote": lambda registry: promote(registry, 2),
    "rollback": roll_back,
    "prune": lambda registry: ",".join(registry.prune(0)),
    "take_over": lambda registry: promote(registry, 2),
}


def kill_at(line: int) -> Callable[..., Any]:
    passed = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal passed
        if Path(frame.f_code.co_filename).name not in CODE:
            return None
        if event == "line":
            passed += 1
            if passed == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def die_at(line: int, operation: Callable[[Registry], str], registry: Registry) -> bool:
    """Whether a process that does the operation was killed at that line, rather than done before it."""
    child = os.fork()
    if child == 0:
        sys.settrace(kill_at(line))
        operation(registry)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the writer failed"
    return False


def opened(folder: Path, name: str) -> Registry:
    """The registry that an operation is done to: that of a market where it is to take over an old one."""
    return Registries(folder, patience=5).of(MARKET) if name == "take_over" else Registry(folder, patience=5)


def losses_after(
    operation: Callable[[Registry], str], registry: Registry, versions: set[str], before: str, after: str
) -> list[str]:
    """What is lost when a writer was killed: for a reader at once, and for the next writer."""
    champion = registry.champion()
    lost = [f"{version} is gone" for version in versions - set(registry.versions())]
    if len(registry.history()) < 2:
        lost.append("the history lacks its beginning")
    if champion is None or champion.version not in (before, after):
        lost.append(f"the champion is {champion}")
    else:
        registry.open(champion.version)
    lost.extend(registry.problems().values())
    operation(registry)
    lost.extend(registry.problems().values())
    done = registry.champion()
    if done is None or done.version != after:
        lost.append(f"the next writer left {done}")
    if list((registry.folder / "incoming").iterdir()):
        lost.append("the next writer left something unfinished")
    if registry.market and sorted(entry.name for entry in registry.folder.parent.iterdir()) != [".lock", MARKET]:
        lost.append("the next writer left something of the old layout")
    return lost


def main(name: str, folder: Path, step: int) -> None:
    operation = OPERATIONS[name]
    base = Registry(folder / "base")
    before = [promote(base, number) for number in (0, 1)][-1]
    if name == "prune":
        publish(base, 2)
    shutil.copytree(base.folder, folder / "end")
    end = opened(folder / "end", name)
    operation(end)
    final = end.champion()
    assert final
    kills, lost = 0, list[str]()
    kept = set() if name == "prune" else set(base.versions())
    while True:
        shutil.rmtree(folder / "copy", ignore_errors=True)
        shutil.copytree(base.folder, folder / "copy")
        registry = opened(folder / "copy", name)
        line = 1 + kills * step
        if not die_at(line, operation, registry):
            break
        kills += 1
        lost.extend(f"line {line}: {loss}" for loss in losses_after(operation, registry, kept, before, final.version))
    print(json.dumps({"operation": name, "kills": kills, "losses": lost}))  # noqa: T201 (its answer)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
