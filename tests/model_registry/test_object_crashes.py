"""A registry in an object store is whole whenever a writer dies: before and after each of its requests."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from model_registry import object_store
from storage.objects import Objects
from tests.model_registry.dying import Killed, When, dying_at, raise_killed
from tests.model_registry.operations import OPERATIONS, losses_after, pointed_at, prepare
from tests.model_registry.stores import opened
from tests.object_store import ObjectStore

ROOT = Path(__file__).parents[2]
LEAST = {"publish": 20, "promote": 30, "prune": 20, "set_shadow": 25, "promote_shadow": 30}
"""So many requests an operation takes at least; 8 the others."""


class Scene:
    """A registry before an operation, as often as it is wanted, and what the operation makes of it."""

    def __init__(self, operation: str, store: ObjectStore) -> None:
        self.operation, self._store = operation, store
        base = store.new_url()
        prepare(operation, base)
        objects = Objects(base)
        self._files = {entry.name: objects.read(entry.name) for entry in objects.entries()}
        self.versions = set() if operation == "prune" else set(opened(base).versions())
        self.before = pointed_at(opened(base))
        OPERATIONS[operation](opened(base))
        self.after = pointed_at(opened(base))

    def new(self) -> str:
        """The registry before, at a URL of its own, of which no process knows whether its store is safe."""
        url = self._store.new_url()
        objects = Objects(url)
        for name, content in self._files.items():
            objects.write(name, content)
        return url

    def losses(self, url: str) -> list[str]:
        """What was lost."""
        return losses_after(self.operation, url, self.versions, self.before, self.after)


@pytest.mark.parametrize(
    ("operation", "step"),
    [
        *(pytest.param(operation, 1, marks=pytest.mark.slow) for operation in OPERATIONS),
        *((operation, 29) for operation in ("publish", "promote", "prune")),
    ],
)
def test_a_writer_that_dies_at_any_request_loses_nothing(operation: str, step: int, store: ObjectStore) -> None:
    scene, deaths, lost = Scene(operation, store), 0, list[str]()
    ways: list[When] = ["before", "after"]
    for number in range(1, 200, step):
        when, died = ways[number % 2], False
        for way in ways if step == 1 else [when]:
            url = scene.new()
            object_store._PROBED.discard(url)
            try:
                with dying_at(number, way, raise_killed):
                    OPERATIONS[operation](opened(url))
            except Killed:
                died = True
                deaths += 1
                lost.extend(f"{way} request {number}: {loss}" for loss in scene.losses(url))
        if not died:
            break
    print(f"{operation}: {deaths} deaths, {len(lost)} losses")  # noqa: T201 (pytest -s shows it)
    assert lost == []
    assert deaths >= max(1, LEAST.get(operation, 8) // step)


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["publish", "promote", "rollback", "prune"])
def test_a_process_that_is_killed_at_a_request_loses_nothing(operation: str, store: ObjectStore) -> None:
    scene, kills = Scene(operation, store), 0
    environment = {**os.environ, **store.variables}
    for number in range(8, 40, 5):
        url = scene.new()
        command = [sys.executable, "-m", "tests.model_registry.request_killer", operation, url, str(number), "after"]
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        kills += 1
        assert scene.losses(url) == []
    assert kills >= 2
