"""Looks at a registry whose answers take their time, as an object store's do: every market has its turn."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from api.metrics import Metrics
from api.serving import Serving
from model_registry.market import NEW_YORK
from model_registry.registries import Registries
from model_registry.store import MarketRegistry
from tests.making import PROMOTE, manifest, model

_Read = TypeVar("_Read")


class Clock:
    """What a look takes for the time: it goes on only where it is told to."""

    def __init__(self) -> None:
        self._now, self._turn = time.monotonic(), threading.Lock()

    def monotonic(self) -> float:
        return self._now

    def passes(self, seconds: float) -> None:
        with self._turn:
            self._now += seconds


class Store(Registries):
    """A registry in a folder that is asked as one in an object store is; something may come before each answer."""

    def __init__(self, folder: Path, before: Callable[[str, str], object]) -> None:
        super().__init__(folder)
        self._before = before
        self.asked = list[tuple[str, str]]()

    @property
    def place(self) -> str:
        return str(super().place)

    def of(self, market: str) -> MarketRegistry:
        registry = super().of(market)

        def slow(what: str, quick: Callable[..., _Read]) -> Callable[..., _Read]:
            def answered(*args: Any, **options: Any) -> _Read:
                self.asked.append((what, market))
                self._before(what, market)
                return quick(*args, **options)

            return answered

        registry.champion = slow("champion", registry.champion)  # type: ignore[method-assign]
        registry.shadow = slow("shadow", registry.shadow)  # type: ignore[method-assign]
        registry.open = slow("model", registry.open)  # type: ignore[method-assign]
        return registry


@pytest.fixture
def cities(tmp_path: Path) -> Path:
    """A registry of New York and 20 cities besides, all with one model."""
    content = model(0)
    for name in ("new-york", *(f"city-{number:02}" for number in range(20))):
        registry = Registries(tmp_path).of(name)
        version = registry.publish(manifest(content, market=msgspec.structs.replace(NEW_YORK, name=name)), content, b"")
        registry.promote(version, PROMOTE, run_id=None, actor="test")
    return tmp_path


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("api.polling.time", clock)
    return clock


def test_a_look_opens_models_for_as_long_as_it_asked_who_has_a_new_one(cities: Path, clock: Clock) -> None:
    # It asks 20 cities in 2 s, and opens a model in 0.35 s, for it asks once more which one.
    seconds = {"champion": 0.1, "model": 0.25, "shadow": 0.0}
    serving = Serving(Store(cities, lambda what, _: clock.passes(seconds[what])), Metrics())

    async def served() -> list[int]:
        counts = list[int]()
        for _ in range(3):
            await serving.look()
            counts.append(len(serving.champions()))
        return counts

    assert asyncio.run(served()) == [7, 13, 19]


def test_champions_that_are_refused_again_at_every_look_keep_no_shadow_from_being_looked_at(
    cities: Path, clock: Clock
) -> None:
    refused = ["city-03", "city-04"]
    for market in refused:
        [damaged] = (cities / market / "versions").glob("*/model.onnx")
        damaged.chmod(0o600)
        damaged.write_bytes(b"damaged")
    # A look has time for one model.
    store = Store(cities, lambda what, _: clock.passes(0.6 if what == "model" else 0))
    serving = Serving(store, Metrics())

    async def story() -> None:
        while len(serving.champions()) < 19:
            await serving.look()
        store.asked.clear()
        go_on = await serving.look()
        assert not go_on, "the next look would begin at once"

    asyncio.run(asyncio.wait_for(story(), 20))
    served = {champion.market.name for champion in serving.champions()}
    assert {market for what, market in store.asked if what == "model"} <= set(refused)
    assert {market for what, market in store.asked if what == "shadow"} == served


def test_a_store_that_answers_about_one_market_after_the_other_does_not_hang(
    cities: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.serving.HANGING_SECONDS", 0.3)
    monkeypatch.setattr("api.polling.AT_ONCE", 2)
    # All together they take longer than that.
    serving = Serving(Store(cities, lambda what, _: time.sleep(0.04 if what == "champion" else 0)), Metrics())

    async def story() -> None:
        async with serving.following():
            while len(serving.champions()) < 21:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(story(), 10))


@pytest.mark.parametrize("what", ["champion", "shadow"])
def test_a_market_about_which_a_store_does_not_answer_is_told_of_and_no_other(
    what: str, cities: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("api.serving.HANGING_SECONDS", 0.4)
    monkeypatch.setattr("api.serving.POLL_SECONDS", 0.01)
    answers = threading.Event()

    def hangs(asked: str, market: str) -> None:
        if (asked, market) == (what, "city-05"):
            answers.wait()

    serving = Serving(Store(cities, hangs), Metrics())

    def troubled() -> set[str]:
        return {one.name for one in serving.markets() if serving.trouble_of(one) is not None}

    async def story() -> None:
        async with serving.following():
            while troubled() != {"city-05"} or len(serving.champions()) < 20:
                await asyncio.sleep(0.01)
            words = str(serving.trouble_of(serving.markets()[5]))
            assert words.endswith(" s about the shadow of city-05." if what == "shadow" else " s about city-05.")
            answers.set()
            while troubled() or len(serving.champions()) < 21:
                await asyncio.sleep(0.01)

    try:
        asyncio.run(asyncio.wait_for(story(), 10))
    finally:
        answers.set()
    [told] = [line.getMessage() for line in caplog.records if line.levelname == "ERROR"]
    assert " of city-05 cannot be " in told
