"""Whatever is killed when, the registry is whole: SIGKILL at every line, many writers at once, any sequence."""

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from model_registry.folder_store import FolderRegistry
from model_registry.history import champions
from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries
from model_registry.shadow import ShadowRefused
from model_registry.store import NothingToRollBackTo, Registry
from tests.making import KEEP, PROMOTE, manifest, model
from tests.model_registry.stores import BOTH, Files, opened
from tests.model_registry.traffic import read_for, write_for
from tests.object_store import ObjectStore

ROOT = Path(__file__).parents[2]
MODELS = {seed: model(seed) for seed in range(6)}
MANIFESTS = {seed: manifest(content) for seed, content in MODELS.items()}


def publish(registry: Registry, seed: int) -> str:
    return registry.publish(MANIFESTS[seed], MODELS[seed], b"report")


LINES = {
    "publish": 60,
    "promote": 120,
    "rollback": 80,
    "prune": 60,
    "set_shadow": 250,
    "clear_shadow": 80,
    "promote_shadow": 300,
    "take_over": 300,
}
"""How many lines of the registry's code each operation runs at least."""


@pytest.mark.parametrize(
    ("operations", "step"),
    [
        *(pytest.param([operation], 1, id=operation, marks=pytest.mark.slow) for operation in LINES),
        pytest.param(list(LINES), 71, id="each"),
    ],
)
def test_a_writer_killed_at_any_line_loses_nothing(operations: list[str], step: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.model_registry.crash_writer", str(tmp_path), str(step), *operations]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen.keys() == set(operations)
    for operation, (kills, losses) in seen.items():
        print(f"{operation}: {kills} kills, {len(losses)} losses")  # noqa: T201 (pytest -s shows it)
        assert losses == [], operation
        assert kills >= max(1, LINES[operation] // step)


@BOTH
@pytest.mark.parametrize(
    ("seconds", "writers", "readers"), [(1.0, 4, 2), pytest.param(10, 8, 4, marks=pytest.mark.slow)]
)
def test_many_writers_and_readers_at_once_never_see_a_missing_or_mixed_champion(
    seconds: float, writers: int, readers: int, registry: Registry, place: Path | str
) -> None:
    registry.promote(publish(registry, 0), PROMOTE, run_id=None, actor="test")
    context = multiprocessing.get_context("spawn")
    failures, published = context.Queue(), [(MANIFESTS[seed], MODELS[seed]) for seed in MODELS]
    processes = [
        *(context.Process(target=write_for, args=(seconds, place, published, n, failures)) for n in range(writers)),
        *(context.Process(target=read_for, args=(seconds, place, failures)) for _ in range(readers)),
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=seconds + 60)
        assert process.exitcode == 0
    assert failures.empty(), failures.get()
    assert registry.problems() == {}
    events = Registries(place).of(DEFAULT_MARKET).history()
    print(f"{seconds:g} s: {len(events)} promotions and refusals by {writers} writers")  # noqa: T201 (pytest -s shows it)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert len({event.actor for event in events}) > writers / 2


class AnySequence(RuleBasedStateMachine):
    """Publishing, promoting, refusing, rolling back, pruning, setting and clearing the shadow in any order."""

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.registry = registry

    @rule(seed=st.sampled_from(sorted(MODELS)))
    def publish(self, seed: int) -> None:
        assert publish(self.registry, seed) in self.registry.versions()

    @precondition(lambda self: self.registry.versions())
    @rule(data=st.data())
    def promote(self, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(self.registry.versions()))
        assert self.registry.promote(version, PROMOTE, run_id=None, actor="test").version == version

    @precondition(lambda self: self.registry.versions())
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        before = self.registry.champion()
        version = data.draw(st.sampled_from(self.registry.versions()))
        self.registry.refuse(version, KEEP, run_id=None, actor="test")
        assert self.registry.champion() == before

    @precondition(lambda self: self.registry.versions())
    @rule(data=st.data())
    def set_shadow(self, data: st.DataObject) -> None:
        version, champion = data.draw(st.sampled_from(self.registry.versions())), self.registry.champion()
        if champion is not None and champion.version == version:
            with pytest.raises(ShadowRefused):
                self.registry.set_shadow(version, reason="For the test.", actor="test")
        else:
            shadow = self.registry.set_shadow(version, reason="For the test.", actor="test")
            assert (shadow.version, self.registry.shadow()) == (version, shadow)

    @rule()
    def clear_shadow(self) -> None:
        self.registry.clear_shadow()
        assert self.registry.shadow() is None

    @precondition(lambda self: self.registry.versions())
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        to = data.draw(st.none() | st.sampled_from(self.registry.versions()))
        standing = champions(self.registry.history())
        expected = to or (standing[-2] if len(standing) > 1 else None)
        if expected is None or standing[-1:] == [expected]:
            with pytest.raises(NothingToRollBackTo):
                self.registry.rollback(to, decision=PROMOTE, actor="test")
        else:
            assert self.registry.rollback(to, decision=PROMOTE, actor="test").version == expected

    @rule(keep=st.integers(0, 3))
    def prune(self, keep: int) -> None:
        protected, before = self.registry.protected(), set(self.registry.versions())
        removed = set(self.registry.prune(keep))
        assert not removed & protected
        assert set(self.registry.versions()) == before - removed
        assert len(before - removed) <= max(keep, 0) + len(protected)

    @invariant()
    def the_registry_is_whole_and_its_history_leads_to_the_champion(self) -> None:
        assert self.registry.problems() == {}
        champion = self.registry.champion()
        assert champions(self.registry.history())[-1:] == ([champion.version] if champion else [])

    @invariant()
    def the_shadow_is_another_version_that_is_there_and_nothing_is_left_of_one_that_was_promoted(self) -> None:
        champion, shadow = self.registry.champion(), self.registry.shadow()
        assert Files(self.registry).has_shadow() == (shadow is not None)
        if shadow is not None:
            assert shadow.version in self.registry.versions()
            assert shadow.version in self.registry.protected()
            assert champion is None or champion.version != shadow.version


def test_any_sequence_in_a_folder_leaves_a_whole_registry(tmp_path: Path) -> None:
    run_state_machine_as_test(
        lambda: AnySequence(FolderRegistry(tmp_path / uuid4().hex)),
        settings=settings(max_examples=15, stateful_step_count=20, deadline=None),
    )


@pytest.mark.parametrize("examples", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_any_sequence_in_an_object_store_leaves_a_whole_registry(examples: int, store: ObjectStore) -> None:
    run_state_machine_as_test(
        lambda: AnySequence(opened(store.new_url())),
        settings=settings(max_examples=examples, stateful_step_count=10, deadline=None),
    )
