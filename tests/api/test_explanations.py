"""`explain=true`: the reasons for an answer, beside the event loop and only for who asked."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from litestar.exceptions import HTTPException
from litestar.testing import TestClient

from api.app import create_app
from api.champion import Champion
from api.explanations import Explainer
from api.metrics import Metrics
from api.schemas import Answer
from api.settings import Settings
from model_registry.listing import CATEGORIES, EXAMPLE, FEATURES, RoomType
from model_registry.market import NEW_YORK
from model_registry.registries import Registries
from tests.making import LISBON, PROMOTE, listing, publish
from tests.waiting import until

BACKGROUND = tuple(
    listing(
        id=number,
        accommodates=1 + number % 9,
        beds=number % 5,
        bedrooms=number % 4,
        bathrooms=1 + number % 3 / 2,
        room_type=list(RoomType)[number % 4],
        neighbourhood=NEW_YORK.neighbourhoods[number % 5],
        latitude=40.5 + number / 50,
        tv=number % 2 == 0,
    )
    for number in range(20)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """New York's champion has a background, Lisbon's has none."""
    folder = tmp_path_factory.mktemp("registry")
    for market, seed, background in ((NEW_YORK, 5, BACKGROUND), (LISBON, 1, ())):
        registry = Registries(folder).of(market.name)
        version = publish(registry, seed, market=market, background=background)
        registry.promote(version, PROMOTE, run_id=None, actor="test")
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with TestClient(create_app(Settings(model_registry=str(folder)))) as client:
        # A start waits for the default market alone.
        until(lambda: len(client.get("/markets").json()) == 2)
        yield client


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """No explanation is begun until it is set."""
    go_on, explained = Event(), Champion.explained

    def waiting(champion: Champion, *given: Any) -> Answer:
        assert go_on.wait(10)
        return explained(champion, *given)

    monkeypatch.setattr(Champion, "explained", waiting)
    yield go_on
    go_on.set()


@pytest.mark.parametrize("route", ["/classify", "/markets/new-york/classify"])
def test_the_contributions_and_the_base_value_are_the_probability(route: str, client: httpx.Client) -> None:
    answer = client.post(f"{route}?explain=true&probabilities=true", json=EXAMPLE).json()
    explanation = answer["explanation"]
    assert tuple(explanation["contributions"]) == FEATURES
    assert any(abs(share) > 0.01 for share in explanation["contributions"].values())
    whole = explanation["base_value"] + sum(explanation["contributions"].values())
    assert whole == pytest.approx(answer["probabilities"][answer["price_category"]], abs=1e-4)
    plain = client.post(f"{route}?probabilities=true", json=EXAMPLE).json()
    assert {name: value for name, value in answer.items() if name != "explanation"} == plain


def test_an_answer_has_no_reasons_unless_they_are_asked_for(client: httpx.Client) -> None:
    for query in ("", "?explain=false", "?probabilities=true"):
        assert "explanation" not in client.post(f"/classify{query}", json=EXAMPLE).json()
    assert client.post("/classify?explain=perhaps", json=EXAMPLE).status_code == 400


def test_a_version_without_a_background_is_answered_and_says_why_not_explained(client: httpx.Client) -> None:
    listing = {**EXAMPLE, "neighbourhood": LISBON.neighbourhoods[0]}
    answer = client.post("/markets/lisbon/classify?explain=true", json=listing)
    assert answer.status_code == 200
    assert "explanation" not in answer.json()
    assert answer.json()["no_explanation"] == (
        f"The version {answer.headers['X-Model-Version']} was published without the listings that explanations "
        "compare with: the next other model that is promoted has them."
    )


def test_explanations_are_counted_by_market(client: httpx.Client) -> None:
    client.post("/classify?explain=true", json=EXAMPLE)
    assert 'api_explanations_total{market="new-york"}' in client.get("/metrics").text


def test_one_more_than_there_is_room_for_is_turned_away_and_the_others_are_explained(folder: Path, held: Event) -> None:
    registry = Registries(folder).of("new-york")
    champion = Champion.of(registry.open(registry.versions()[0]))

    async def ask() -> list[Answer]:
        explainer, loop = Explainer(2, Metrics()), asyncio.get_running_loop()
        one, other, too_many = (loop.create_future() for _ in range(3))
        under_way = [asyncio.ensure_future(explainer.explain(champion, listing(), asked)) for asked in (one, other)]
        await asyncio.sleep(0)
        with pytest.raises(HTTPException, match="Too many requests are under way"):
            await explainer.explain(champion, listing(), too_many)
        assert too_many.cancelled()  # or it would be answered, and logged as if somebody had been told
        for asked in (one, other):
            asked.set_result(Answer(1, CATEGORIES[0]))
        held.set()
        answers = list(await asyncio.gather(*under_way))
        explainer.end()
        return answers

    assert all(answer.explanation for answer in asyncio.run(ask()))


def test_others_are_answered_while_one_is_explained(folder: Path, held: Event) -> None:
    app = create_app(Settings(model_registry=str(folder)))

    async def ask() -> tuple[int, int]:
        transport = httpx.ASGITransport(app)
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            slow = asyncio.create_task(client.post("/classify?explain=true", json=EXAMPLE))
            await asyncio.sleep(0.05)
            quick = await client.post("/classify", json=EXAMPLE)
            assert not slow.done()
            held.set()
            return quick.status_code, (await slow).status_code

    assert asyncio.run(ask()) == (200, 200)
