"""Answers given together: the same as one by one, each by one model, and nobody's harm is another's."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline

from api.champion import Champion
from api.metrics import Metrics
from api.microbatch import Microbatch
from api.schemas import Answer
from mle_assets.models.onnx_export import export
from model_registry.classifier import Classifier
from model_registry.folder_store import FolderRegistry
from model_registry.listing import FEATURES, Listing
from tests.making import LISTINGS, PROMOTE, listing, publish


def boosted() -> bytes:
    """Boosted trees over rows like those of listings: as the champion is, sums of many float32."""
    random = np.random.default_rng(0)
    X = random.random((400, len(FEATURES)), dtype=np.float32) * 12
    X[:, 6], X[:, 7] = random.uniform(40.4, 41.0, 400), random.uniform(-74.3, -73.6, 400)
    y = np.concatenate([np.arange(4), random.integers(0, 4, 396)])
    return export(make_pipeline(HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(X, y)))


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Champion:
    return replace(opened(tmp_path_factory.mktemp("registry"), 0), classifier=Classifier(boosted()))


def opened(folder: Path, seed: int) -> Champion:
    registry = FolderRegistry(folder)
    version = publish(registry, seed)
    registry.promote(version, PROMOTE, run_id="run-1", actor="test")
    return Champion.of(registry.open(version))


class Breaking:
    """A model that fails where a listing takes thirteen guests."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.calls: list[int] = []

    def probabilities(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        self.calls.append(len(rows))
        if (rows[:, FEATURES.index("accommodates")] == 13).any():
            raise RuntimeError("thirteen")
        return self.classifier.probabilities(rows)


def in_one_turn(
    asking: Callable[[Microbatch], list[Awaitable[Answer]]],
) -> tuple[list[Answer | BaseException], Metrics]:
    """What is answered to those who ask in one turn of the event loop."""
    metrics = Metrics()

    async def turn() -> list[Answer | BaseException]:
        return await asyncio.gather(*asking(Microbatch(metrics)), return_exceptions=True)

    return asyncio.run(turn()), metrics


def calls(metrics: Metrics) -> list[str]:
    """How often the model was called, and for how many listings in all."""
    return [
        line
        for line in metrics.page().decode().splitlines()
        if line.startswith(("api_answered_together_count", "api_answered_together_sum"))
    ]


@given(st.lists(st.tuples(LISTINGS, st.booleans()), min_size=1, max_size=70))
@settings(max_examples=60, deadline=None)
def test_answers_given_together_are_those_given_one_by_one(
    champion: Champion, asked: list[tuple[Listing, bool]]
) -> None:
    together, metrics = in_one_turn(
        lambda microbatch: [microbatch.answer(champion, one, probabilities=wanted) for one, wanted in asked]
    )
    for (one, wanted), answer in zip(asked, together, strict=True):
        [alone] = champion.answers([one], probabilities=[wanted])
        assert isinstance(answer, Answer)
        assert (answer.id, answer.price_category) == (alone.id, alone.price_category)
        assert (answer.probabilities is None) == (not wanted)
        if answer.probabilities and alone.probabilities:
            for name in ("low", "mid", "high", "lux"):
                assert getattr(answer.probabilities, name) == pytest.approx(
                    getattr(alone.probabilities, name), abs=1e-6
                )
    assert calls(metrics) == ["api_answered_together_count 1.0", f"api_answered_together_sum {float(len(asked))}"]


def test_what_comes_in_another_turn_is_another_call(champion: Champion) -> None:
    metrics = Metrics()

    async def turns() -> None:
        microbatch = Microbatch(metrics)
        for count in (3, 1):
            await asyncio.gather(
                *(microbatch.answer(champion, listing(id=n), probabilities=False) for n in range(count))
            )

    asyncio.run(turns())
    assert calls(metrics) == ["api_answered_together_count 2.0", "api_answered_together_sum 4.0"]


def test_a_champion_promoted_in_the_midst_of_a_turn_answers_those_who_came_after(tmp_path: Path) -> None:
    old, new = opened(tmp_path, 0), opened(tmp_path, 1)
    rows = [listing(id=n, accommodates=1 + n, beds=n) for n in range(16)]
    expected = [(old, new)[n % 2].answers([row], probabilities=[True])[0] for n, row in enumerate(rows)]
    assert expected != old.answers(rows, probabilities=[True] * 16), "the two models answer alike"
    answers, _ = in_one_turn(
        lambda microbatch: [microbatch.answer((old, new)[n % 2], row, probabilities=True) for n, row in enumerate(rows)]
    )
    assert answers == expected


def test_a_listing_with_which_the_model_fails_harms_no_other(champion: Champion) -> None:
    rows = [listing(id=n, accommodates=guests) for n, guests in enumerate((2, 13, 4, 13, 6))]
    breaking = replace(champion, classifier=Breaking(champion.classifier))  # type: ignore[arg-type]
    answers, _ = in_one_turn(lambda microbatch: [microbatch.answer(breaking, row, probabilities=False) for row in rows])
    assert [type(answer) for answer in answers] == [Answer, RuntimeError, Answer, RuntimeError, Answer]
    assert [answer.id for answer in answers if isinstance(answer, Answer)] == [0, 2, 4]


def test_a_request_that_is_given_up_harms_no_other_and_is_not_asked_about(champion: Champion) -> None:
    breaking = Breaking(champion.classifier)
    counting = replace(champion, classifier=breaking)  # type: ignore[arg-type]

    async def turn() -> list[Answer | BaseException]:
        microbatch = Microbatch(Metrics())
        futures = [microbatch.answer(counting, listing(id=n), probabilities=False) for n in range(3)]
        futures[1].cancel()
        return await asyncio.gather(*futures, return_exceptions=True)

    answers = asyncio.run(turn())
    assert [type(answer) for answer in answers] == [Answer, asyncio.CancelledError, Answer]
    assert breaking.calls == [2]


def test_all_given_up_in_one_turn_ask_nothing(champion: Champion) -> None:
    breaking = Breaking(champion.classifier)

    async def turn() -> None:
        Microbatch(Metrics()).answer(replace(champion, classifier=breaking), listing(), probabilities=False).cancel()  # type: ignore[arg-type]
        await asyncio.sleep(0)

    asyncio.run(turn())
    assert breaking.calls == []
