"""The shadow in the service: followed beside the champion, asked about a sample, and never in the champion's way."""

import asyncio
import itertools
import random
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api.app import create_app
from api.metrics import Metrics
from api.sampling import Sample
from api.serving import Serving
from api.settings import Settings
from api.shadow import Done, Shadowing, ShadowModel
from model_registry.listing import EXAMPLE, Listing, PriceCategory
from model_registry.registries import Registries
from model_registry.shadow import Shadow
from model_registry.store import MarketRegistry
from prediction_log.record import ShadowAnswer
from tests.api.test_shadow import bodies, own_answers, shadow_threads
from tests.making import LISBON, PROMOTE, listing, publish
from tests.waiting import until

Client = TestClient[Litestar]


def promote(registry: MarketRegistry, version: str) -> None:
    registry.promote(version, PROMOTE, run_id="run-1", actor="test")


def set_shadow(registry: MarketRegistry, version: str) -> None:
    registry.set_shadow(version, reason="For the test.", actor="test")


Asked = tuple[Listing, PriceCategory, ShadowAnswer]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """What is told once a shadow has answered: each listing that it was to be asked about, with both answers."""
    told, ask = list[Asked](), Shadowing.ask

    def recording(
        shadowing: Shadowing,
        shadow: ShadowModel,
        listings: Sequence[Listing],
        categories: Sequence[PriceCategory],
        done: Done | None = None,
    ) -> None:
        def recorded(answers: Sequence[ShadowAnswer]) -> None:
            told.extend(zip(listings, categories, answers, strict=True))
            if done is not None:
                done(answers)

        ask(shadowing, shadow, listings, categories, recorded)

    monkeypatch.setattr(Shadowing, "ask", recording)
    return told


@pytest.fixture
def versions(registry: MarketRegistry) -> list[str]:
    """Three versions, the first the champion."""
    versions = [publish(registry, seed) for seed in range(3)]
    promote(registry, versions[0])
    return versions


def served(registry: MarketRegistry, share: float = 1) -> Client:
    return TestClient(create_app(Settings(model_registry=str(registry.folder.parent), shadow_sample=share)))


def figure(client: Client, line: str) -> float | None:
    found = [one for one in client.get("/metrics").text.splitlines() if one.startswith(line + " ")]
    return float(found[0].rsplit(" ", 1)[1]) if found else None


def asked_is(client: Client, version: str, market: str = "new-york") -> bool:
    return figure(client, f'api_shadow_info{{market="{market}",version="{version}"}}') == 1


def nobody_is_asked(client: Client) -> bool:
    return "api_shadow_info{" not in client.get("/metrics").text


def test_without_a_shadow_nobody_is_asked(registry: MarketRegistry, versions: list[str], told: list[Asked]) -> None:
    threads = len(shadow_threads())
    with served(registry) as client:
        for body in bodies(10):
            assert client.post("/classify", json=body).headers["X-Model-Version"] == versions[0]
        assert client.post("/classify/batch", json=bodies(500)).status_code == 200
        assert (told, len(shadow_threads())) == ([], threads)
        assert nobody_is_asked(client)
        assert figure(client, 'api_shadow_failing{market="new-york"}') == 0


def test_each_listing_gets_the_champions_answer_and_is_told_with_both(
    registry: MarketRegistry, versions: list[str], told: list[Asked]
) -> None:
    set_shadow(registry, versions[1])
    with served(registry) as client:
        until(lambda: asked_is(client, versions[1]))
        answers = [client.post("/classify", json=body) for body in bodies(20)]
        answers.append(client.post("/classify/batch", json=bodies(300)))
        assert {answer.headers["X-Model-Version"] for answer in answers} == {versions[0]}
        given = [one["price_category"] for answer in answers[:-1] for one in [answer.json()]]
        given += [one["price_category"] for one in answers[-1].json()]
        until(lambda: len(told) == 320, seconds=10)
        assert [category for _, category, _ in told] == given
        assert [one.id for one, _, _ in told] == [*range(20), *range(300)]
        shadow = ShadowModel.of(registry.open(versions[1]))
        assert [answer for *_, answer in told] == own_answers(shadow, [one for one, *_ in told])
        labels = f'{{market="new-york",version="{versions[1]}"}}'
        agreed = sum(category == answer.category for _, category, answer in told)
        assert 0 < agreed < 320
        assert figure(client, f"api_shadow_agreements_total{labels}") == agreed
        assert (
            figure(client, f'api_shadow_answers_total{{market="new-york",outcome="answered",version="{versions[1]}"}}')
            == 320
        )
        assert (
            figure(client, f'api_predictions_total{{market="new-york",category="Low",version="{versions[1]}"}}') is None
        )


def test_of_a_partial_batch_only_what_is_answered_is_asked_about(
    registry: MarketRegistry, versions: list[str], told: list[Asked]
) -> None:
    set_shadow(registry, versions[1])
    rows = [{**body, "beds": -1} if n % 3 == 0 else body for n, body in enumerate(bodies(300))]
    with served(registry, 0.5) as client:
        until(lambda: asked_is(client, versions[1]))
        answer = client.post("/classify/batch?partial=true", json=rows, headers={"X-Request-Id": "batch-1"})
        assert answer.status_code == 200
        expected = [n for n in range(300) if n % 3 and Sample(0.5).takes(b"batch-1", n)]
        assert 90 < len(expected) < 110
        until(lambda: len(told) == len(expected), seconds=10)
        assert [one.id for one, *_ in told] == expected
        assert client.post("/classify/batch?partial=true", json=[{"no": "listing"}]).status_code == 200
        assert len(told) == len(expected)


def test_the_requests_id_decides_who_is_asked_about(
    registry: MarketRegistry, versions: list[str], told: list[Asked]
) -> None:
    set_shadow(registry, versions[1])
    with served(registry, 0.3) as client:
        until(lambda: asked_is(client, versions[1]))
        sent = {n: client.post("/classify", json=body).headers["X-Request-Id"] for n, body in enumerate(bodies(100))}
        for n in range(100, 200):
            body = {**EXAMPLE, "id": n}
            sent[n] = client.post("/classify", json=body, headers={"X-Request-Id": f"own:{n}"}).headers["X-Request-Id"]
        expected = [n for n, request_id in sent.items() if Sample(0.3).takes(request_id.encode())]
        assert 30 < len(expected) < 95
        until(lambda: len(told) == len(expected), seconds=10)
        assert [one.id for one, *_ in told] == expected


def test_a_share_of_0_asks_nobody(registry: MarketRegistry, versions: list[str], told: list[Asked]) -> None:
    set_shadow(registry, versions[1])
    with served(registry, 0) as client:
        until(lambda: asked_is(client, versions[1]))
        for body in bodies(10):
            client.post("/classify", json=body)
        client.post("/classify/batch", json=bodies(100))
    assert told == []


def test_what_is_refused_is_not_asked_about(registry: MarketRegistry, versions: list[str], told: list[Asked]) -> None:
    set_shadow(registry, versions[1])
    with served(registry) as client:
        until(lambda: asked_is(client, versions[1]))
        assert client.post("/classify", json={**EXAMPLE, "beds": -1}).status_code == 400
        assert client.post("/classify/batch", json=[*bodies(3), {}]).status_code == 400
        assert client.post("/classify?explain=true", json=EXAMPLE).status_code == 200
    assert [one.id for one, *_ in told] == [EXAMPLE["id"]]


def test_it_is_followed_when_it_is_set_replaced_cleared_and_promoted(
    registry: MarketRegistry, versions: list[str], told: list[Asked]
) -> None:
    def classify() -> str:
        return client.post("/classify", json=EXAMPLE).headers["X-Model-Version"]

    with served(registry) as client:
        for version in versions[1:]:
            set_shadow(registry, version)
            until(lambda v=version: asked_is(client, v), seconds=10)
            assert classify() == versions[0]
        registry.clear_shadow()
        until(lambda: nobody_is_asked(client), seconds=10)
        assert classify() == versions[0]
        set_shadow(registry, versions[2])
        until(lambda: asked_is(client, versions[2]), seconds=10)
        promote(registry, versions[2])
        until(lambda: classify() == versions[2], seconds=10)
        assert nobody_is_asked(client)
        assert classify() == versions[2]
        set_shadow(registry, versions[0])
        until(lambda: asked_is(client, versions[0]), seconds=10)
        assert classify() == versions[2]
        # What was asked before may be told only now.
        until(lambda: [answer.version for *_, answer in told].count(versions[0]) == 1)
    assert [answer.version for *_, answer in told][:2] == versions[1:]
    assert told[-1][2].version == versions[0]
    assert all(answer.missed is None for *_, answer in told)


def test_each_market_has_its_own(registry: MarketRegistry, versions: list[str], told: list[Asked]) -> None:
    lisbon = Registries(registry.folder.parent).of("lisbon")
    champion, shadow = (publish(lisbon, seed, market=LISBON) for seed in (3, 4))
    promote(lisbon, champion)
    set_shadow(lisbon, shadow)
    body = {**EXAMPLE, "neighbourhood": "L'Alfama"}
    with served(registry) as client:
        until(lambda: asked_is(client, shadow, "lisbon"))
        assert client.post("/classify", json=EXAMPLE).headers["X-Model-Version"] == versions[0]
        assert client.post("/markets/lisbon/classify", json=body).headers["X-Model-Version"] == champion
        assert client.post("/markets/lisbon/classify/batch", json=[body] * 3).headers["X-Model-Version"] == champion
        until(lambda: len(told) == 4)
    assert {answer.version for *_, answer in told} == {shadow}


def damage_the_pointer(registry: MarketRegistry, _: str) -> None:
    (registry.folder / "shadow.json").write_text('{"version": ')


def make_a_folder_of_it(registry: MarketRegistry, _: str) -> None:
    (registry.folder / "shadow.json").mkdir()


def damage_the_model(registry: MarketRegistry, version: str) -> None:
    set_shadow(registry, version)
    (registry.path(version) / "model.onnx").write_bytes(b"damaged")


def remove_the_version(registry: MarketRegistry, version: str) -> None:
    set_shadow(registry, version)
    shutil.rmtree(registry.path(version))


@pytest.mark.parametrize(
    ("harm", "words", "named"),
    [
        (damage_the_pointer, "shadow.json is damaged", False),
        (make_a_folder_of_it, "Is a directory", False),
        (damage_the_model, "its SHA-256 or size differs", True),
        (remove_the_version, "holds no version", True),
    ],
)
def test_one_that_cannot_be_asked_is_told_of_and_touches_neither_the_champion_nor_readiness(
    harm: Callable[[MarketRegistry, str], None],
    words: str,
    named: bool,
    registry: MarketRegistry,
    versions: list[str],
    told: list[Asked],
    caplog: pytest.LogCaptureFixture,
) -> None:
    harm(registry, versions[1])
    failing = 'api_shadow_failing{market="new-york"}'
    with served(registry) as client:
        until(lambda: figure(client, failing) == 1, seconds=10)
        time.sleep(1.5)
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"], ready.json()["model_version"]) == (200, "ready", versions[0])
        assert ready.json()["detail"].startswith("The shadow of new-york cannot be asked: ")
        assert words in ready.json()["detail"]
        assert (figure(client, "api_ready"), figure(client, "api_registry_following")) == (1, 1)
        assert figure(client, "api_registry_failures_total") == 0
        assert figure(client, "api_registry_look_age_seconds") < 1.5  # type: ignore[operator]
        errors = [line.getMessage() for line in caplog.records if line.levelname == "ERROR"]
        assert len(errors) == 1
        assert words in errors[0]
        # Of a version that the registry names, what it was to be asked about is seen.
        for body in bodies(5):
            assert client.post("/classify", json=body).headers["X-Model-Version"] == versions[0]
        assert client.post("/classify/batch", json=bodies(5)).status_code == 200
        until(lambda: len(told) == (10 if named else 0), seconds=10)
        assert {answer for *_, answer in told} == ({ShadowAnswer(versions[1], missed="failed")} if named else set())
        promote(registry, versions[2])
        until(lambda: client.get("/readyz").json()["model_version"] == versions[2], seconds=10)
        shutil.rmtree(registry.folder / "shadow.json", ignore_errors=True)
        registry.clear_shadow()
        until(lambda: figure(client, failing) == 0, seconds=10)
        assert client.get("/readyz").json() == {"status": "ready", "model_version": versions[2]}
        set_shadow(registry, versions[0])
        until(lambda: asked_is(client, versions[0]), seconds=10)


def test_where_the_registry_cannot_say_any_more_who_it_is_the_old_one_is_asked(
    registry: MarketRegistry, versions: list[str], told: list[Asked]
) -> None:
    set_shadow(registry, versions[1])
    with served(registry) as client:
        until(lambda: asked_is(client, versions[1]))
        damage_the_pointer(registry, "")
        until(lambda: figure(client, 'api_shadow_failing{market="new-york"}') == 1, seconds=10)
        client.post("/classify", json=EXAMPLE)
        until(lambda: len(told) == 1)
    assert (told[0][2].version, told[0][2].missed) == (versions[1], None)


class Hanging(Registries):
    """A registry that does not answer about a shadow until it is told to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.answers = threading.Event()

    def of(self, market: str) -> MarketRegistry:
        registry, quick = super().of(market), MarketRegistry.shadow

        def shadow() -> Shadow | None:
            self.answers.wait()
            return quick(registry)

        registry.shadow = shadow  # type: ignore[method-assign]
        return registry


def test_one_that_hangs_holds_up_no_promotion_and_is_followed_when_it_answers(
    registry: MarketRegistry, versions: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("api.serving.HANGING_SECONDS", 0.3)
    set_shadow(registry, versions[1])
    hanging, metrics = Hanging(registry.folder.parent), Metrics()
    serving = Serving(hanging, metrics)

    async def story() -> None:
        async with serving.following():
            while serving.shadows.problem_of("new-york") is None:
                await asyncio.sleep(0.01)
            for version in (versions[2], versions[0]):
                promote(registry, version)
                promotion = time.monotonic()
                while serving.champion is None or serving.champion.version != version:
                    await asyncio.sleep(0.01)
                    assert time.monotonic() < promotion + 2
            assert "s about the shadow of new-york." in str(serving.trouble_of(serving.default))
            assert serving.problem is None
            assert b"api_registry_following 1.0" in metrics.page()
            assert b"api_registry_failures_total 0.0" in metrics.page()
            hanging.answers.set()
            while not serving.shadows.models:
                await asyncio.sleep(0.01)
            assert serving.trouble_of(serving.default) is None
            assert serving.shadows.models["new-york"].version == versions[1]

    asyncio.run(asyncio.wait_for(story(), 15))
    assert len([line for line in caplog.records if line.levelname == "ERROR"]) == 1


@pytest.mark.parametrize("swaps", [8, pytest.param(50, marks=pytest.mark.slow)])
def test_swaps_under_load_fail_no_request_and_mix_no_answer(
    swaps: int, registry: MarketRegistry, told: list[Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.serving.POLL_SECONDS", 0.02)
    versions = [publish(registry, seed) for seed in range(4)]
    promote(registry, versions[0])
    sent, kinds = bodies(112), [listing(**body) for body in bodies(112)]
    own = {version: own_answers(ShadowModel.of(registry.open(version)), kinds) for version in versions}
    assert len({tuple(answer.category for answer in answers) for answers in own.values()}) == 4
    serving = Serving(Registries(registry.folder.parent), Metrics())
    app = create_app(Settings(model_registry=str(registry.folder.parent), shadow_sample=1), serving)
    numbers, answered, over = itertools.count(), dict[int, tuple[int, str, list[str]]](), asyncio.Event()

    async def keep_asking(client: httpx.AsyncClient, listings: int) -> None:
        # Each listing's id says of which request it is, and in which place.
        while not over.is_set():
            number = next(numbers)
            rows = [{**sent[(number + n) % 112], "id": 1_000 * number + n} for n in range(listings)]
            if listings == 1:
                answer = await client.post("/classify", json=rows[0])
            else:
                answer = await client.post("/classify/batch", json=rows)
            given = answer.json() if listings > 1 else [answer.json()]
            version = answer.headers.get("X-Model-Version", "none")
            await asyncio.sleep(0.001)  # what is answered at once never lets others have their turn
            answered[number] = answer.status_code, version, [str(one.get("price_category")) for one in given]

    def swap(chance: random.Random) -> tuple[str, str | None]:
        # The champion and the shadow from then on.
        champion, shadow = registry.champion(), registry.shadow()
        assert champion
        free = [version for version in versions if version != champion.version]
        what = chance.random()
        if what < 0.15:
            registry.clear_shadow()
        elif what < 0.4:
            promote(registry, shadow.version if shadow else free[0])
        else:
            set_shadow(registry, chance.choice([one for one in free if shadow is None or one != shadow.version]))
        champion, shadow = registry.champion(), registry.shadow()
        assert champion
        return champion.version, shadow and shadow.version

    async def story() -> None:
        chance = random.Random(swaps)  # noqa: S311 (no secret)
        transport = httpx.ASGITransport(app)
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            asking = [asyncio.create_task(keep_asking(client, listings)) for listings in (1, 1, 1, 1, 20, 300)]
            for _ in range(swaps):
                champion, shadow = await asyncio.to_thread(swap, chance)
                while True:
                    model = serving.shadows.models.get("new-york")
                    if serving.champion and (serving.champion.version, model and model.version) == (champion, shadow):
                        break
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.1)
            over.set()
            await asyncio.gather(*asking)

    asyncio.run(asyncio.wait_for(story(), 30 + 5 * swaps))
    by_request = dict[int, list[Asked]]()
    for one in told:
        by_request.setdefault(one[0].id // 1_000, []).append(one)
    for number, (status, version, given) in answered.items():
        assert status == 200
        assert given == [own[version][(number + n) % 112].category for n in range(len(given))]
    for number, records in by_request.items():
        status, version, given = answered[number]
        assert [(one.id, category) for one, category, _ in records] == [
            (1_000 * number + n, category) for n, category in enumerate(given)
        ]
        [asked] = {answer.version for *_, answer in records}
        assert asked != version
        for n, (*_, answer) in enumerate(records):
            assert answer in (own[asked][(number + n) % 112], ShadowAnswer(asked, missed="busy"))
    missed = sum(answer.missed is not None for *_, answer in told)
    print(f"{swaps} swaps: {len(answered)} requests, {len(by_request)} of them asked about, {missed} listings missed")  # noqa: T201 (pytest -s shows it)
    assert len({answer.version for *_, answer in told}) >= min(swaps // 4, 4)
    assert missed < len(told) / 2
