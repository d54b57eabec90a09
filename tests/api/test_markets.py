"""One process serves every market of the registry: each by its own model, and what is wrong with one is no other's."""

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api.app import create_app
from api.metrics import Metrics
from api.serving import Serving
from api.settings import Settings
from model_registry.folder_store import FolderRegistry
from model_registry.listing import EXAMPLE
from model_registry.market import NEW_YORK, Market
from model_registry.registries import Registries
from model_registry.store import MarketRegistry
from tests.api.test_following import Hanging
from tests.making import LISBON, MADE_UP, PROMOTE, listing, manifest, model, publish
from tests.waiting import until

Client = TestClient[Litestar]
JSON = {"Content-Type": "application/json"}


def promoted(registries: Registries, seed: int, market: Market, **changes: Any) -> str:
    registry = registries.of(market.name)
    version = publish(registry, seed, market=market, **changes)
    registry.promote(version, PROMOTE, run_id="run-1", actor="test")
    return version


def example(neighbourhood: str) -> dict[str, Any]:
    return {**EXAMPLE, "neighbourhood": neighbourhood}


def served(folder: Path, **settings: Any) -> Client:
    return TestClient(create_app(Settings(model_registry=str(folder), **settings)))


def names(client: httpx.Client) -> list[str]:
    return [one["name"] for one in client.get("/markets").json()]


def figure(client: httpx.Client, name: str) -> float:
    """The figure of that name and with those labels."""
    lines = client.get("/metrics").text.splitlines()
    return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name} "))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Registries:
    """A registry with a champion of New York and one of Lisbon; tests leave it as it is."""
    registries = Registries(tmp_path_factory.mktemp("registry"))
    promoted(registries, 0, NEW_YORK)
    promoted(registries, 1, LISBON, snapshot=MADE_UP)
    return registries


@pytest.fixture(scope="module")
def client(two: Registries) -> Iterator[Client]:
    """A service of both, for the tests that only ask."""
    with served(two.place, body_limit=5_000) as client:
        until(lambda: names(client) == ["lisbon", "new-york"])
        yield client


@pytest.fixture
def registries(two: Registries, tmp_path: Path) -> Registries:
    """A copy of it, for a test to change."""
    shutil.copytree(two.place, tmp_path / "registry")
    return Registries(tmp_path / "registry")


@pytest.fixture
def changing(registries: Registries) -> Iterator[Client]:
    """A service of that copy."""
    with served(registries.place) as client:
        until(lambda: names(client) == ["lisbon", "new-york"])
        yield client


def test_what_is_served_is_listed_by_name(client: Client, two: Registries) -> None:
    lisbon, new_york = client.get("/markets").json()
    assert lisbon == {
        "name": "lisbon",
        "title": "Lisbon",
        "currency": "EUR",
        "neighbourhoods": ["L'Alfama", "Belém, Ajuda", 'Cais "do" Sodré', "Queens"],
        "category_limits": [60.0, 120.0, 1250.5],
        "lowest_price": 10.0,
        "box": None,
        "model_version": two.of("lisbon").versions()[0],
        "synthetic": True,
        "default": False,
    }
    assert (new_york["name"], new_york["default"], new_york["synthetic"]) == ("new-york", True, False)
    assert new_york["box"] == {"south": 40.45, "north": 40.95, "west": -74.30, "east": -73.65}


def test_each_market_is_answered_by_its_own_model_with_its_own_neighbourhoods(client: Client, two: Registries) -> None:
    for market in (NEW_YORK, LISBON):
        [version] = two.of(market.name).versions()
        published = two.of(market.name).open(version)
        batch = [example(neighbourhood) for neighbourhood in market.neighbourhoods]
        expected = [published.classify(listing(neighbourhood=one)) for one in market.neighbourhoods]
        address = f"/markets/{market.name}"
        single = [client.post(f"{address}/classify", json=one) for one in batch]
        together, known = client.post(f"{address}/classify/batch", json=batch), client.get(f"{address}/model")
        assert [answer.json()["price_category"] for answer in single] == expected
        assert [one["price_category"] for one in together.json()] == expected
        assert known.json()["version"] == version
        for answer in (*single, together, known):
            assert (answer.headers["X-Market"], answer.headers["X-Model-Version"]) == (market.name, version)


def test_a_neighbourhood_of_one_market_is_none_of_another(client: Client) -> None:
    refused = client.post("/markets/lisbon/classify", json=example("Brooklyn"))
    assert refused.status_code == 400
    assert "invalid enum value 'Brooklyn' (allowed: L'Alfama, " in refused.json()["detail"]
    assert client.post("/markets/new-york/classify", json=example("L'Alfama")).status_code == 400
    batch = client.post("/markets/lisbon/classify/batch?partial=true", json=[example("Queens"), example("Bronx")])
    assert [list(one) for one in batch.json()] == [["id", "price_category"], ["error"]]


ASKED = [
    ("POST", "/classify", JSON, json.dumps(EXAMPLE)),
    ("POST", "/classify?probabilities=true", JSON, json.dumps(EXAMPLE)),
    ("POST", "/classify?probabilities=maybe", JSON, json.dumps(EXAMPLE)),
    ("POST", "/classify", JSON, "{"),
    ("POST", "/classify", JSON, " " * 5_001),
    ("POST", "/classify", {"Content-Type": "text/plain"}, "x"),
    ("POST", "/classify", {**JSON, "Content-Encoding": "gzip"}, "x"),
    ("POST", "/classify/batch", JSON, json.dumps([EXAMPLE] * 3)),
    ("POST", "/classify/batch?partial=true&probabilities=true", JSON, json.dumps([EXAMPLE, 3])),
    ("POST", "/classify/batch?partial=maybe", JSON, json.dumps([EXAMPLE])),
    ("POST", "/classify/batch", JSON, "[]"),
    ("POST", "/classify/batch", {}, "[]"),
    *(
        (method, path, {}, "")
        for path in ("/classify", "/classify/batch")
        for method in ("GET", "HEAD", "OPTIONS", "PUT")
    ),
    *(((method, "/model", {}, "")) for method in ("GET", "HEAD", "OPTIONS", "POST")),
]


@pytest.mark.parametrize(("method", "path", "headers", "content"), ASKED)
def test_the_default_market_is_answered_for_alike_with_and_without_its_name(
    method: str, path: str, headers: dict[str, str], content: str, client: Client
) -> None:
    def told(address: str) -> tuple[object, ...]:
        answer = client.request(method, address, headers=headers, content=content)
        return answer.status_code, {**answer.headers, "x-request-id": ""}, answer.content

    assert told(path) == told(f"/markets/new-york{path}")


@pytest.mark.parametrize("market", ["oslo", "Lisbon", "versions", "..%2e", "a b", "é", "'\"", "x" * 500])
def test_a_market_that_is_not_served_is_a_404_that_names_those_that_are(market: str, client: Client) -> None:
    for answer in (
        client.post(f"/markets/{market}/classify", json=EXAMPLE),
        client.post(f"/markets/{market}/classify/batch", json=[EXAMPLE]),
        client.get(f"/markets/{market}/model"),
    ):
        assert answer.status_code == answer.json()["status_code"] == 404
        assert answer.json()["detail"].endswith("here; served: lisbon and new-york.")
        assert len(answer.json()["detail"]) < 150
    assert "'oslo'" in client.get("/markets/oslo/model").json()["detail"]


def test_market_chooses_what_the_routes_without_one_speak_for(two: Registries) -> None:
    with served(two.place, market="lisbon") as client:
        assert client.post("/classify", json=example("L'Alfama")).headers["X-Market"] == "lisbon"
        assert client.post("/classify/batch", json=[example("L'Alfama")]).headers["X-Market"] == "lisbon"
        assert client.get("/model").headers["X-Market"] == "lisbon"
        until(lambda: names(client) == ["lisbon", "new-york"])
        assert [one["default"] for one in client.get("/markets").json()] == [True, False]
        assert client.post("/markets/new-york/classify", json=EXAMPLE).status_code == 200
        assert set(client.get("/openapi.json").json()["components"]["schemas"]["Neighbourhood"]["enum"]) == set(
            LISBON.neighbourhoods
        )


def test_the_document_leaves_a_markets_neighbourhoods_and_prices_to_the_list_of_markets(client: Client) -> None:
    told = client.get("/openapi.json").json()
    schemas = told["components"]["schemas"]
    classify = told["paths"]["/markets/{market}/classify"]["post"]
    body = classify["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/ListingOfAMarket"}
    neighbourhood = schemas["ListingOfAMarket"]["properties"]["neighbourhood"]
    assert (neighbourhood["type"], neighbourhood["minLength"], "enum" in neighbourhood) == ("string", 1, False)
    assert "/markets" in neighbourhood["description"]
    assert schemas["ListingOfAMarket"]["additionalProperties"] is False
    [market] = [one for one in classify["parameters"] if one["name"] == "market"]
    assert (market["in"], market["required"], market["example"]) == ("path", True, "new-york")
    answered = client.post(f"/markets/{market['example']}/classify", json=body["example"])
    assert answered.json() == classify["responses"]["200"]["content"]["application/json"]["example"]
    assert set(schemas["Neighbourhood"]["enum"]) == set(NEW_YORK.neighbourhoods)
    assert "$90" in schemas["Probabilities"]["properties"]["Low"]["description"]
    assert "$" not in schemas["ProbabilitiesOfAMarket"]["properties"]["Low"]["description"]
    assert "ProbabilitiesOfAMarket" in json.dumps(schemas["AnswerOfAMarket"])


def test_every_figure_and_log_line_names_its_market(
    registries: Registries, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    [version] = registries.of("lisbon").versions()
    with served(registries.place, api_keys="k", body_limit=1_000) as client:
        key = {"X-API-Key": "k"}
        client.headers.update(key)
        until(lambda: names(client) == ["lisbon", "new-york"])
        category = client.post("/markets/lisbon/classify", json=example("Queens")).json()["price_category"]
        client.post("/markets/lisbon/classify/batch", json=[example("Queens")] * 2)
        client.post("/markets/lisbon/classify", json={})
        client.post("/markets/lisbon/classify", content=b" " * 1_001, headers=JSON)
        client.post("/markets/lisbon/classify", headers={"X-API-Key": "wrong"})
        client.get("/markets/lisbon/classify")
        client.get("/markets/made-up-by-a-client/model")
        client.get("/model")
        client.get("/livez")
        predicted = f'api_predictions_total{{category="{category}",market="lisbon",version="{version}"}}'
        assert figure(client, predicted) == 3
        of_lisbon = 'api_requests_total{market="lisbon",method="POST",route="/markets/{market}/classify",status='
        for status in ("200", "400", "401", "413"):
            assert figure(client, f'{of_lisbon}"{status}"}}') == 1
        assert figure(client, of_lisbon.replace("POST", "GET") + '"405"}') == 1
        assert figure(client, 'api_requests_total{market="new-york",method="GET",route="/model",status="200"}') == 1
        assert figure(client, 'api_requests_total{market="",method="GET",route="/livez",status="200"}') == 1
        page = client.get("/metrics").text
        assert 'api_requests_total{market="",method="GET",route="/markets/{market}/model",status="404"} 1.0' in page
        assert "made-up" not in page
        snapshot = MADE_UP.sha256
        assert f'api_model_info{{market="lisbon",run_id="run-1",snapshot="{snapshot}",version="{version}"}} 1.0' in page
        assert figure(client, 'api_model_loads_total{market="lisbon"}') == 1
        assert figure(client, 'api_model_refusals_total{market="lisbon"}') == 0
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines() if b"api.access" in line]
    logged = {(line["path"], line["status"]): line["market"] for line in lines}
    assert logged["/markets/lisbon/classify", 413] == logged["/markets/lisbon/classify", 200] == "lisbon"
    assert logged["/model", 200] == "new-york"
    assert logged["/markets", 200] == logged["/markets/made-up-by-a-client/model", 404] == ""


def test_a_model_is_told_of_once_for_each_market_after_a_promotion(changing: Client, registries: Registries) -> None:
    version = promoted(registries, 2, LISBON)
    until(lambda: changing.get("/markets/lisbon/model").headers["X-Model-Version"] == version, seconds=2.5)
    told = [line for line in changing.get("/metrics").text.splitlines() if line.startswith("api_model_info{")]
    assert len(told) == 2
    assert figure(changing, 'api_model_loads_total{market="lisbon"}') == 2
    assert figure(changing, 'api_model_loads_total{market="new-york"}') == 1


def test_figures_of_the_default_market_are_there_before_it_has_a_model(tmp_path: Path) -> None:
    with served(tmp_path / "none", market="lisbon") as client:
        assert figure(client, 'api_model_loads_total{market="lisbon"}') == 0
        assert figure(client, 'api_model_refusals_total{market="lisbon"}') == 0


def test_a_market_that_appears_is_served_within_two_seconds(changing: Client, registries: Registries) -> None:
    oslo = msgspec.structs.replace(LISBON, name="oslo", title="Oslo", currency="NOK")
    assert changing.post("/markets/oslo/classify", json=example("Queens")).status_code == 404
    registry = registries.of("oslo")
    version = publish(registry, 3, market=oslo)
    until(lambda: changing.post("/markets/oslo/classify", json=example("Queens")).status_code == 503, seconds=2)
    waits = changing.post("/markets/oslo/classify", json=example("Queens")).json()["detail"]
    assert waits == f"No model of oslo has been promoted in {registries.place} yet: run the pipeline for it."
    assert names(changing) == ["lisbon", "new-york"]
    registry.promote(version, PROMOTE, run_id="run-1", actor="test")
    until(lambda: changing.post("/markets/oslo/classify", json=example("Queens")).status_code == 200, seconds=2)
    assert names(changing) == ["lisbon", "new-york", "oslo"]


def test_a_folder_that_is_no_market_any_more_before_it_had_a_champion_is_forgotten(
    changing: Client, registries: Registries
) -> None:
    (registries.place / "oslo").mkdir()
    until(lambda: changing.get("/markets/oslo/model").status_code == 503, seconds=2)
    (registries.place / "oslo").rmdir()
    until(lambda: changing.get("/markets/oslo/model").status_code == 404, seconds=2)


@pytest.mark.parametrize("harm", ["pointer", "folder"])
def test_a_market_that_vanishes_keeps_answering_and_says_so_and_is_followed_when_it_is_there_again(
    harm: str, changing: Client, registries: Registries, tmp_path: Path
) -> None:
    lost = registries.place / "lisbon" if harm == "folder" else registries.place / "lisbon" / "champion.json"
    lost.rename(tmp_path / "away")
    until(lambda: "detail" in changing.get("/readyz").json()["markets"]["lisbon"], seconds=3)
    told = changing.get("/readyz").json()
    assert f"{registries.place}/lisbon/champion.json is gone: tree-" in told["markets"]["lisbon"]["detail"]
    assert (told["status"], told["markets"]["lisbon"]["status"], "detail" in told) == ("ready", "ready", False)
    assert changing.post("/markets/lisbon/classify", json=example("Queens")).headers["X-Market"] == "lisbon"
    assert (figure(changing, "api_ready"), figure(changing, "api_registry_following")) == (1, 0)
    (tmp_path / "away").rename(lost)
    version = promoted(registries, 2, LISBON)
    until(lambda: changing.get("/markets/lisbon/model").headers["X-Model-Version"] == version, seconds=2.5)
    assert "detail" not in changing.get("/readyz").json()["markets"]["lisbon"]
    until(lambda: figure(changing, "api_registry_following") == 1, seconds=2)


def test_a_version_in_the_wrong_markets_folder_is_refused_and_the_others_answer(
    changing: Client, registries: Registries, caplog: pytest.LogCaptureFixture
) -> None:
    [ours], [strange] = registries.of("lisbon").versions(), registries.of("new-york").versions()
    shutil.copytree(registries.of("new-york").path(strange), registries.place / "lisbon" / "versions" / strange)
    pointer = registries.place / "lisbon" / "champion.json"
    pointer.write_text(pointer.read_text().replace(ours, strange))
    until(lambda: "detail" in changing.get("/readyz").json()["markets"]["lisbon"], seconds=3)
    time.sleep(1.2)
    words = (
        f"version {strange} is refused: it is new-york's, and this registry lisbon's: remove it, and take it into its "
        "own with `models import`"
    )
    assert changing.get("/readyz").json()["markets"] == {
        "lisbon": {"status": "ready", "model_version": ours, "detail": words}
    }
    answer = changing.post("/markets/lisbon/classify", json=example("L'Alfama"))
    assert (answer.status_code, answer.headers["X-Model-Version"]) == (200, ours)
    assert changing.post("/markets/lisbon/classify", json=example("Bronx")).status_code == 400
    assert figure(changing, 'api_model_refusals_total{market="lisbon"}') == 1
    assert figure(changing, 'api_model_refusals_total{market="new-york"}') == 0
    assert [line.getMessage() for line in caplog.records if line.levelname == "ERROR"] == [
        f"The champion of lisbon cannot be served: {words}"
    ]
    version = promoted(registries, 4, NEW_YORK)
    until(lambda: changing.get("/model").headers["X-Model-Version"] == version, seconds=2.5)
    # Nor is it served where the market has no champion to keep.
    with served(registries.place) as fresh:
        until(lambda: "refused" in fresh.get("/markets/lisbon/model").json()["detail"])
        refused = fresh.post("/markets/lisbon/classify", json=example("Bronx"))
        assert (refused.status_code, refused.json()["detail"]) == (503, words)
        assert fresh.post("/classify", json=EXAMPLE).status_code == 200
        assert names(fresh) == ["new-york"]


def test_health_is_as_it_was_where_only_the_default_market_is_there(tmp_path: Path) -> None:
    version = promoted(Registries(tmp_path), 0, NEW_YORK)
    with served(tmp_path) as client:
        time.sleep(0.2)
        assert client.get("/readyz").json() == {"status": "ready", "model_version": version}


def test_health_says_how_the_other_markets_are(client: Client, two: Registries) -> None:
    assert client.get("/readyz").json() == {
        "status": "ready",
        "model_version": two.of("new-york").versions()[0],
        "markets": {"lisbon": {"status": "ready", "model_version": two.of("lisbon").versions()[0]}},
    }


def test_where_only_other_markets_have_a_champion_it_is_not_ready_and_says_which_and_what_to_set(
    registries: Registries,
) -> None:
    shutil.rmtree(registries.place / "new-york")
    with served(registries.place, market="new-york") as client:
        until(lambda: names(client) == ["lisbon"])
        told = client.get("/readyz")
        words = (
            f"No model of new-york has been promoted in {registries.place} yet: run the pipeline for it. Served: "
            "lisbon; MARKET chooses whom the routes without a market speak for."
        )
        assert (told.status_code, told.json()["detail"]) == (503, words)
        assert told.json()["markets"]["lisbon"]["status"] == "ready"
        assert client.post("/classify", json=EXAMPLE).json()["detail"] == words
        assert client.post("/markets/new-york/classify", json=EXAMPLE).status_code == 503
        assert client.post("/markets/lisbon/classify", json=example("L'Alfama")).status_code == 200
        assert figure(client, "api_ready") == 0


def test_a_registry_of_the_old_layout_is_spoken_for_also_after_it_was_taken_over(tmp_path: Path) -> None:
    old = FolderRegistry(tmp_path)
    old.promote(publish(old, 0, market=LISBON), PROMOTE, run_id=None, actor="test")
    with served(tmp_path) as client:
        assert client.post("/classify", json=example("L'Alfama")).headers["X-Market"] == "lisbon"
        assert names(client) == ["lisbon"]
        assert "markets" not in client.get("/readyz").json()
        version = promoted(Registries(tmp_path), 1, LISBON)
        assert (tmp_path / "lisbon").is_dir()
        until(lambda: client.get("/model").headers["X-Model-Version"] == version, seconds=2.5)
        # Nor does a restart change whom it speaks for, as long as there is no other.
        with served(tmp_path) as again:
            assert again.post("/classify", json=example("L'Alfama")).headers["X-Market"] == "lisbon"
        promoted(Registries(tmp_path), 2, NEW_YORK)
        until(lambda: names(client) == ["lisbon", "new-york"], seconds=2.5)
        assert client.get("/model").headers["X-Market"] == "lisbon"


def test_a_registry_of_the_old_layout_that_can_be_read_no_more_keeps_answering_for_its_market(tmp_path: Path) -> None:
    old = FolderRegistry(tmp_path)
    old.promote(publish(old, 0, market=LISBON), PROMOTE, run_id=None, actor="test")
    with served(tmp_path) as client:
        (old.path(old.versions()[0]) / "manifest.json").write_bytes(b"{")
        until(lambda: "detail" in client.get("/readyz").json(), seconds=3)
        assert client.get("/readyz").json()["status"] == "ready"
        answer = client.post("/classify", json=example("L'Alfama"))
        assert (answer.status_code, answer.headers["X-Market"]) == (200, "lisbon")


def many(folder: Path, count: int) -> Registries:
    """A registry with New York and so many other markets, all with one model."""
    registries, content = Registries(folder), model(0)
    cities = [msgspec.structs.replace(LISBON, name=f"city-{number:03}") for number in range(count)]
    for market in (NEW_YORK, *cities):
        registry = registries.of(market.name)
        version = registry.publish(manifest(content, market=market), content, b"")
        registry.promote(version, PROMOTE, run_id=None, actor="test")
    return registries


class Slow(Registries):
    """A registry whose models take a while to open; counts how many are opened at once."""

    seconds = 0.05

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked, self.opening, self.together = list[str](), 0, 0

    def of(self, market: str) -> MarketRegistry:
        """A market's registry, slow."""
        self.asked.append(market)
        registry = super().of(market)
        quick = registry.open

        def opened(version: str, *, compact: bool = False) -> Any:
            assert compact, "what is kept takes little memory"
            self.opening += 1
            self.together = max(self.together, self.opening)
            time.sleep(self.seconds)
            self.opening -= 1
            return quick(version, compact=compact)

        registry.open = opened  # type: ignore[method-assign]
        return registry


def test_a_start_with_many_markets_waits_for_the_default_one_alone_and_goes_over_all_in_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.serving.HANGING_SECONDS", 1.0)
    slow, metrics = Slow(many(tmp_path, 60).place), Metrics()
    serving = Serving(slow, metrics)

    async def story() -> None:
        start = time.monotonic()
        async with serving.following():
            assert serving.champion is not None
            assert time.monotonic() < start + 1
            assert slow.asked[0] == "new-york"
            # While the others are opened, which takes longer than a look may hang, a promotion is followed.
            version = promoted(Registries(tmp_path), 1, NEW_YORK)
            promotion = time.monotonic()
            while serving.champion.version != version:
                await asyncio.sleep(0.01)
                assert time.monotonic() < promotion + 2
            assert len(serving.champions()) < 61, "all were opened before"
            assert b"api_registry_following 0.0" in metrics.page()
            while len(serving.champions()) < 61:
                await asyncio.sleep(0.01)
                assert serving.problem is None
            assert time.monotonic() > start + 2, "it was not slow enough"
            while b"api_registry_following 1.0" not in metrics.page():
                await asyncio.sleep(0.01)
            assert b"api_registry_failures_total 0.0" in metrics.page()
            assert slow.together == 1
            asked = len(slow.asked)
            await asyncio.sleep(1.5)
            assert 61 <= len(slow.asked) - asked <= 2 * 61

    asyncio.run(asyncio.wait_for(story(), 30))
    assert serving.served_in_words().startswith("city-000, city-001, ")
    assert serving.served_in_words().endswith(", city-049 and 11 more")


def test_a_market_that_hangs_is_told_of_once_and_the_others_are_followed(
    registries: Registries, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("api.serving.HANGING_SECONDS", 0.3)
    zagreb = msgspec.structs.replace(LISBON, name="zagreb")
    promoted(registries, 5, zagreb)
    hanging, metrics = Hanging(registries.place, "lisbon"), Metrics()
    serving = Serving(hanging, metrics)

    async def story() -> None:
        async with serving.following():
            while not serving.is_served("zagreb"):  # which comes after Lisbon
                await asyncio.sleep(0.01)
            version = promoted(registries, 6, NEW_YORK)
            promotion = time.monotonic()
            while serving.champion is None or serving.champion.version != version:
                await asyncio.sleep(0.01)
                assert time.monotonic() < promotion + 2
            lisbon = serving.market("lisbon")
            assert lisbon is not None
            assert lisbon.champion is None
            assert f"The registry {registries.place} has not answered for " in str(serving.problem_of(lisbon))
            assert str(serving.problem_of(lisbon)).endswith(" s about lisbon.")
            assert serving.problem is None
            assert b"api_registry_following 0.0" in metrics.page()
            hanging.answers.set()
            while not serving.is_served("lisbon"):
                await asyncio.sleep(0.01)
            while b"api_registry_following 1.0" not in metrics.page():
                await asyncio.sleep(0.01)
            assert serving.problem_of(lisbon) is None

    asyncio.run(asyncio.wait_for(story(), 15))
    told = [line.getMessage() for line in caplog.records if line.levelname == "ERROR"]
    assert len(told) == 1
    assert "of lisbon cannot be served" in told[0]


def test_a_folder_of_all_that_cannot_be_read_is_told_of_and_the_markets_that_are_known_are_followed(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(registries.place) as client:
        until(lambda: names(client) == ["lisbon", "new-york"])

        def cannot(_: Registries) -> list[str]:
            raise PermissionError(13, "Permission denied", str(registries.place))

        with monkeypatch.context() as patch:
            patch.setattr(Registries, "markets", cannot)
            until(lambda: "Permission denied" in client.get("/readyz").json().get("detail", ""), seconds=3)
            assert figure(client, "api_registry_following") == 0
            for number, market in enumerate((NEW_YORK, LISBON)):
                version = promoted(registries, 7 + number, market)
                address = f"/markets/{market.name}/model"
                until(lambda a=address, v=version: client.get(a).headers["X-Model-Version"] == v, seconds=2.5)
        until(lambda: "detail" not in client.get("/readyz").json(), seconds=3)
        assert figure(client, "api_registry_following") == 1
