"""The service over a registry in an object store: it follows as of a folder, and answers whatever the store does."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from api.asking import ask_all
from model_registry.listing import EXAMPLE
from model_registry.market import NEW_YORK
from model_registry.registries import Registries
from storage.errors import StoreAway
from storage.objects import Objects
from tests.api.server import Server, serving
from tests.making import LISBON, PROMOTE, publish
from tests.object_store import ObjectStore
from tests.waiting import until

MARKETS = ["new-york", "lisbon", *(f"city-{number}" for number in range(1, 9))]


def promoted(registries: Registries, market: str, seed: int) -> str:
    of_market = LISBON if market == "lisbon" else msgspec.structs.replace(NEW_YORK, name=market)
    version = publish(registries.of(market), seed, market=of_market)
    registries.of(market).promote(version, PROMOTE, run_id="run-1", actor="test")
    return version


@pytest.fixture
def registries(store: ObjectStore) -> Registries:
    return Registries(store.new_url("registry"))


@pytest.fixture
def server(registries: Registries, tmp_path: Path) -> Iterator[Server]:
    """A service of New York and Lisbon."""
    promoted(registries, "new-york", 0)
    promoted(registries, "lisbon", 1)
    with serving(str(registries.place), tmp_path / "api.log") as server:
        until(lambda: served(server.client) == {"new-york", "lisbon"})
        yield server


def served(client: httpx.Client) -> set[str]:
    return {one["name"] for one in client.get("/markets").json()}


def detail(client: httpx.Client, market: str) -> str:
    """What is wrong with a market besides the default one, in words."""
    return client.get("/readyz").json().get("markets", {}).get(market, {}).get("detail", "")


def version_of(client: httpx.Client, market: str) -> str:
    return client.get(f"/markets/{market}/model").headers["X-Model-Version"]


def test_a_promotion_is_followed_and_nothing_is_sent_that_has_not_changed(
    server: Server, registries: Registries, store: ObjectStore
) -> None:
    second = promoted(registries, "lisbon", 2)
    until(lambda: version_of(server.client, "lisbon") == second, seconds=30)
    store.asked()
    # Two looks that find nothing new: the champions' pointers are asked for, and the store has nothing to send.
    looks: list[str] = []

    def looked() -> bool:
        looks.extend(asked for asked in store.asked() if asked.split()[1].endswith("champion.json"))
        return len(looks) >= 4

    until(looked, seconds=30)
    assert {asked.split()[2] for asked in looks} == {"304"}


def test_a_store_that_is_away_costs_no_answer_and_is_told_of(
    server: Server, registries: Registries, store: ObjectStore
) -> None:
    first = version_of(server.client, "lisbon")
    with store.failing(status=503):
        until(lambda: "503 Service Unavailable" in server.client.get("/readyz").json().get("detail", ""), seconds=30)
        answer = server.client.post("/classify", json=EXAMPLE)
        assert answer.status_code == 200
        assert server.client.get("/readyz").status_code == 200
        assert version_of(server.client, "lisbon") == first
    second = promoted(registries, "lisbon", 2)
    until(lambda: version_of(server.client, "lisbon") == second, seconds=30)
    until(lambda: "detail" not in server.client.get("/readyz").json(), seconds=30)
    # Told of once as long as it lasts, and not once a second.
    assert server.log.read_text().count("503 Service Unavailable") <= 3


def test_a_service_that_starts_while_the_store_is_away_is_ready_when_it_is_back(
    registries: Registries, store: ObjectStore, tmp_path: Path
) -> None:
    promoted(registries, "new-york", 0)
    with store.failing(status=503), serving(str(registries.place), tmp_path / "api.log") as server:
        refused = server.client.post("/classify", json=EXAMPLE)
        assert refused.status_code == 503
        assert "503 Service Unavailable" in refused.json()["detail"]
        store.fail()
        until(lambda: server.client.get("/readyz").status_code == 200, seconds=30)
        assert server.client.post("/classify", json=EXAMPLE).status_code == 200


def test_a_version_that_was_damaged_in_the_store_is_not_served(registries: Registries, tmp_path: Path) -> None:
    promoted(registries, "new-york", 0)
    damaged = promoted(registries, "lisbon", 1)
    Objects(str(registries.of("lisbon").place)).write(f"versions/{damaged}/model.onnx", b"damaged")
    with serving(str(registries.place), tmp_path / "api.log") as server:
        until(lambda: damaged in detail(server.client, "lisbon"), seconds=30)
        assert served(server.client) == {"new-york"}


def test_many_markets_are_asked_about_a_few_at_once(registries: Registries, store: ObjectStore, tmp_path: Path) -> None:
    for seed, market in enumerate(MARKETS):
        promoted(registries, market, seed)
    with serving(str(registries.place), tmp_path / "api.log") as server:
        until(lambda: served(server.client) == set(MARKETS), seconds=30)
        # A store that takes a fifth of a second for each would need two seconds for ten, one after the other.
        with store.failing(seconds=0.2):
            second = promoted(registries, "city-8", 99)
            until(lambda: version_of(server.client, "city-8") == second, seconds=30)


def test_the_shadows_of_many_markets_are_followed_however_slow_the_store_is(
    registries: Registries, store: ObjectStore, tmp_path: Path
) -> None:
    for seed, market in enumerate(MARKETS):
        promoted(registries, market, seed)
    last = registries.of("new-york")
    shadow = publish(last, 99)
    with serving(str(registries.place), tmp_path / "api.log") as server:
        until(lambda: served(server.client) == set(MARKETS), seconds=30)
        # A look has half a second for them, so that each of these takes longer than one.
        with store.failing(seconds=0.6, path="shadow.json"):
            last.set_shadow(shadow, reason="For the test.", actor="test")
            asked = f'api_shadow_info{{market="new-york",version="{shadow}"}} 1.0'
            until(lambda: asked in server.client.get("/metrics").text, seconds=30)


def test_what_is_asked_of_many_is_answered_of_each_or_raised_of_it() -> None:
    waiting, most = set[int](), list[int]()
    lock = threading.Lock()

    def ask(number: int) -> int:
        with lock:
            waiting.add(number)
            most.append(len(waiting))
        if number == 3:
            waiting.discard(number)
            raise StoreAway("the store is away")
        with lock:
            waiting.discard(number)
        return number * number

    answers = ask_all(ask, range(20), at_once=4)
    error = answers.pop(3)
    assert isinstance(error, StoreAway)
    assert answers == {number: number * number for number in range(20) if number != 3}
    assert max(most) <= 4


def test_of_nothing_nothing_is_asked() -> None:
    assert ask_all(len, [], at_once=4) == {}
