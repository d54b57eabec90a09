"""The shadow: asked after the champion by a thread of its own, and never in the champion's way."""

import asyncio
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from numpy.typing import NDArray

from api.champion import Champion
from api.metrics import Metrics
from api.shadow import Shadowing, ShadowModel
from model_registry.classifier import Classifier
from model_registry.listing import CATEGORIES, EXAMPLE, Listing, PriceCategory
from model_registry.registries import Registries
from prediction_log.record import ShadowAnswer
from tests.api.test_microbatch import Breaking
from tests.making import listing, publish
from tests.waiting import until

Client = TestClient[Litestar]
LOW = PriceCategory.LOW


def bodies(count: int) -> list[dict[str, Any]]:
    """Listings as clients send them, in all parts of what the tests' models learned from."""
    chance = random.Random(1)  # noqa: S311 (no secret)
    numbers, places = {"accommodates": 16, "beds": 9, "bedrooms": 9, "bathrooms": 9}, ("latitude", "longitude")
    return [
        {
            **EXAMPLE,
            "id": n,
            **{name: chance.randint(1, most) for name, most in numbers.items()},
            **{name: chance.uniform(0, 10) for name in places},
        }
        for n in range(count)
    ]


LISTINGS = [listing(**body) for body in bodies(600)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[ShadowModel]:
    """Two models that answer differently."""
    registry = Registries(tmp_path_factory.mktemp("models")).of("new-york")
    return [ShadowModel.of(registry.open(publish(registry, seed))) for seed in (0, 1)]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def shadowing(metrics: Metrics) -> Iterator[Shadowing]:
    """It is ended after the test."""
    shadowing = Shadowing({}, metrics)
    yield shadowing
    asyncio.run(shadowing.end())


def counted(metrics: Metrics, version: str) -> dict[str, float]:
    """How many listings a version was to be asked about, by what came of it, and how often it agreed."""
    page = [line.rsplit(" ", 1) for line in metrics.page().decode().splitlines() if version in line]
    found = {"agreed": "api_shadow_agreements_total{", **{o: f'outcome="{o}"' for o in ("answered", "busy", "failed")}}
    return {
        name: sum(float(value) for figure, value in page if part in figure and "_created" not in figure)
        for name, part in found.items()
    }


class Sink:
    """Takes what shadows answered."""

    def __init__(self) -> None:
        self.told = list[Sequence[ShadowAnswer]]()

    def __call__(self, answers: Sequence[ShadowAnswer]) -> None:
        self.told.append(answers)

    def wait_for(self, requests: int) -> list[Sequence[ShadowAnswer]]:
        until(lambda: len(self.told) >= requests, seconds=5)
        assert len(self.told) == requests
        return self.told


def own_answers(model: ShadowModel, listings: Sequence[Listing]) -> list[ShadowAnswer]:
    """What a model answers to each listing alone."""
    return [model.answers([one])[0] for one in listings]


def test_it_tells_the_category_and_the_probabilities_of_each_listing_in_order(
    shadowing: Shadowing, models: list[ShadowModel]
) -> None:
    sink, expected = Sink(), own_answers(models[0], LISTINGS)
    assert len({answer.category for answer in expected}) > 2
    assert all(answer.missed is None and sum(answer.probabilities or ()) == pytest.approx(1) for answer in expected)
    shadowing.ask(models[0], LISTINGS[:1], [LOW], sink)
    shadowing.ask(models[0], LISTINGS[1:], [LOW] * 599, sink)
    assert sink.wait_for(2) == [expected[:1], expected[1:]]


def test_it_counts_what_came_of_the_listings_and_how_often_it_agrees_with_the_champion(
    shadowing: Shadowing, metrics: Metrics, models: list[ShadowModel]
) -> None:
    sink = Sink()
    own = [PriceCategory(str(answer.category)) for answer in own_answers(models[0], LISTINGS)]
    others = [CATEGORIES[(CATEGORIES.index(category) + 1) % 4] for category in own]
    shadowing.ask(models[0], LISTINGS[:400], [*own[:300], *others[300:400]], sink)
    sink.wait_for(1)
    assert counted(metrics, models[0].version) == {"agreed": 300, "answered": 400, "busy": 0, "failed": 0}


def test_many_requests_are_answered_by_few_calls_each_by_the_model_it_was_asked_of(
    shadowing: Shadowing, models: list[ShadowModel]
) -> None:
    calls = [Breaking(model.classifier) for model in models]  # type: ignore[arg-type]
    counting = [replace(model, classifier=call) for model, call in zip(models, calls, strict=True)]  # type: ignore[arg-type]
    chance = random.Random(1)  # noqa: S311 (no secret)
    good = [one for one in LISTINGS if one.accommodates != 13]
    asked = [(int(chance.random() < 0.05), one) for one in good]
    sinks = [Sink() for _ in asked]
    for (which, one), sink in zip(asked, sinks, strict=True):
        shadowing.ask(counting[which], [one], [LOW], sink)
    for (which, one), sink in zip(asked, sinks, strict=True):
        assert sink.wait_for(1) == [models[which].answers([one])]
    assert sum(len(call.calls) for call in calls) < len(asked) / 4
    last = Sink()
    shadowing.ask(counting[0], good[:300], [LOW] * 300, last)
    last.wait_for(1)
    assert calls[0].calls[-2:] == [256, 44]


def test_a_listing_with_which_the_model_fails_spoils_no_other_and_is_told_once(
    shadowing: Shadowing, metrics: Metrics, models: list[ShadowModel], caplog: pytest.LogCaptureFixture
) -> None:
    breaking, sink = replace(models[0], classifier=Breaking(models[0].classifier)), Sink()  # type: ignore[arg-type]
    for start in (0, 300):
        shadowing.ask(breaking, LISTINGS[start : start + 300], [LOW] * 300, sink)
    answers = [answer for told in sink.wait_for(2) for answer in told]
    failed = ShadowAnswer(breaking.version, missed="failed")
    thirteen = [one.accommodates == 13 for one in LISTINGS]
    own = own_answers(models[0], LISTINGS)
    assert answers == [failed if bad else answer for bad, answer in zip(thirteen, own, strict=True)]
    figures = counted(metrics, breaking.version)
    assert (figures["answered"], figures["failed"]) == (600 - sum(thirteen), sum(thirteen))
    [line] = [line for line in caplog.records if line.levelname == "ERROR"]
    assert line.getMessage() == f"The shadow {breaking.version} fails, which is told only once."
    assert line.exc_info


class Telling:
    """A model that tells what it is told to."""

    def __init__(self, *rows: Sequence[float]) -> None:
        self.rows = np.array(rows, dtype=np.float32)

    def probabilities(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.rows[: len(rows)]


def test_what_is_no_probability_is_a_failure_and_what_is_rounded_above_one_is_one(models: list[ShadowModel]) -> None:
    telling = Telling([np.nan, 0, 0, 0], [0, np.inf, 0, 0], [0, 0, 1.0000001, -1e-9])
    odd = replace(models[0], classifier=telling)  # type: ignore[arg-type]
    failed = ShadowAnswer(odd.version, missed="failed")
    assert odd.answers(LISTINGS[:3]) == [failed, failed, ShadowAnswer(odd.version, "High", (0, 0, 1, 0))]


def test_a_model_that_answers_fewer_than_it_is_asked_about_is_asked_one_by_one(
    shadowing: Shadowing, models: list[ShadowModel]
) -> None:
    odd, sink = replace(models[0], classifier=Telling([0, 0, 0, 1])), Sink()  # type: ignore[arg-type]
    shadowing.ask(odd, LISTINGS[:3], [LOW] * 3, sink)
    assert sink.wait_for(1) == [[ShadowAnswer(odd.version, "Lux", (0, 0, 0, 1))] * 3]


class Held:
    """A model that answers when it is let."""

    def __init__(self, classifier: Classifier | None) -> None:
        self.classifier, self.begun, self.go_on = classifier, threading.Event(), threading.Event()

    def probabilities(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        self.begun.set()
        assert self.go_on.wait(10)
        assert self.classifier
        return self.classifier.probabilities(rows)


def test_what_there_is_no_room_for_is_told_at_once_and_there_is_room_again_later(
    shadowing: Shadowing, metrics: Metrics, models: list[ShadowModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.shadow.ROOM", 10)
    held = Held(models[0].classifier)
    slow, sink, turned_away = replace(models[0], classifier=held), Sink(), Sink()  # type: ignore[arg-type]
    shadowing.ask(slow, LISTINGS[:4], [LOW] * 4, sink)
    assert held.begun.wait(5)
    shadowing.ask(slow, LISTINGS[4:10], [LOW] * 6, sink)
    for count in (1, 3):
        shadowing.ask(slow, LISTINGS[:count], [LOW] * count, turned_away)
    busy = ShadowAnswer(slow.version, missed="busy")
    assert (turned_away.told, sink.told) == ([[busy], [busy] * 3], [])
    held.go_on.set()
    assert [len(answers) for answers in sink.wait_for(2)] == [4, 6]
    shadowing.ask(slow, LISTINGS[:10], [LOW] * 10, sink)
    assert sink.wait_for(3)[-1] == own_answers(models[0], LISTINGS[:10])
    figures = counted(metrics, slow.version)
    assert (figures["answered"], figures["busy"], figures["failed"]) == (20, 4, 0)


def test_who_cannot_take_an_answer_keeps_nobody_else_from_theirs(
    shadowing: Shadowing, models: list[ShadowModel], caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: Sequence[ShadowAnswer]) -> None:
        raise OSError("no space left")

    sink = Sink()
    for done in (full, sink, None, sink):
        shadowing.ask(models[0], LISTINGS[:2], [LOW] * 2, done)
    assert sink.wait_for(2) == [own_answers(models[0], LISTINGS[:2])] * 2
    assert [line.levelname for line in caplog.records] == ["ERROR"]


def test_the_end_waits_for_what_was_asked_and_takes_no_more(shadowing: Shadowing, models: list[ShadowModel]) -> None:
    sink = Sink()
    shadowing.ask(models[0], LISTINGS, [LOW] * 600, sink)
    asyncio.run(shadowing.end())
    assert sink.told == [own_answers(models[0], LISTINGS)]
    shadowing.ask(models[0], LISTINGS[:1], [LOW], sink)
    assert sink.told[1:] == [[ShadowAnswer(models[0].version, missed="busy")]]


def test_a_model_that_hangs_holds_the_end_up_for_a_moment_only(
    shadowing: Shadowing, models: list[ShadowModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.shadow.LAST_SECONDS", 0.2)
    held = Held(models[0].classifier)
    shadowing.ask(replace(models[0], classifier=held), LISTINGS[:1], [LOW])  # type: ignore[arg-type]
    assert held.begun.wait(5)
    start = time.monotonic()
    asyncio.run(shadowing.end())
    assert time.monotonic() < start + 1
    held.go_on.set()


def shadow_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "shadow"]


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="only Linux gives each thread a niceness of its own")
def test_its_thread_gives_way_and_is_there_only_where_somebody_asks(
    shadowing: Shadowing, models: list[ShadowModel]
) -> None:
    before, niceness = len(shadow_threads()), list[int]()
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def look(_: Sequence[ShadowAnswer]) -> None:
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    shadowing.ask(models[0], LISTINGS[:1], [LOW], look)
    until(lambda: niceness == [19])
    assert len(shadow_threads()) == before + 1
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
    asyncio.run(shadowing.end())
    assert len(shadow_threads()) == before


def test_where_there_can_be_no_thread_it_is_busy(
    shadowing: Shadowing, models: list[ShadowModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sink = Sink()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot)
        shadowing.ask(models[0], LISTINGS[:1], [LOW], sink)
    assert sink.told == [[ShadowAnswer(models[0].version, missed="busy")]]
    shadowing.ask(models[0], LISTINGS[:1], [LOW], sink)
    assert sink.wait_for(2)[-1] == own_answers(models[0], LISTINGS[:1])


def test_a_champion_is_not_its_own_shadow(tmp_path: Path) -> None:
    registry = Registries(tmp_path).of("new-york")
    first, second = (registry.open(publish(registry, seed)) for seed in (0, 1))
    shadowing = Shadowing({"new-york": ShadowModel.of(second)}, Metrics())
    shadow = shadowing.beside(Champion.of(first))
    assert shadow is shadowing.models["new-york"]
    assert shadowing.beside(Champion.of(second)) is None
    assert Shadowing({}, Metrics()).beside(Champion.of(first)) is None
