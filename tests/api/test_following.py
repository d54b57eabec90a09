"""Following the registry, whatever is wrong with it: the old champion answers, and the next good one is followed."""

import asyncio
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from api.metrics import Metrics
from api.serving import Serving
from model_registry.history import Decision
from model_registry.listing import EXAMPLE
from model_registry.market import DEFAULT_MARKET, NEW_YORK
from model_registry.registries import MarketRegistry, Registries
from model_registry.store import Registry
from tests.api.server import Server, serving
from tests.making import LISBON, PROMOTE, publish
from tests.waiting import until


def promote(registry: Registry, version: str, decision: Decision = PROMOTE) -> None:
    registry.promote(version, decision, run_id="run-1", actor="test")


def version_that_answers(client: httpx.Client) -> str:
    answer = client.post("/classify", json=EXAMPLE)
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Model-Version"]


def figure(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name} "))


@pytest.fixture
def server(registry: Registry, tmp_path: Path) -> Iterator[Server]:
    """A service over a registry with a champion."""
    promote(registry, publish(registry, 0))
    with serving(registry.folder, tmp_path / "api.log", GRACE_SECONDS="5") as running:
        yield running


class Troubled(Registries):
    """A registry that raises what it is told to, at whatever is asked of it."""

    trouble: BaseException | None = None

    def markets(self) -> list[str]:
        """The markets, or the trouble."""
        self._raise()
        return super().markets()

    def of(self, market: str) -> MarketRegistry:
        """A market's registry, or the trouble."""
        self._raise()
        return super().of(market)

    def _raise(self) -> None:
        if self.trouble is not None:
            raise self.trouble


ANYTHING = [
    RecursionError("maximum recursion depth exceeded"),
    MemoryError(),
    ValueError("x" * 10_000),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ZeroDivisionError("division by zero"),
    PermissionError(13, "Permission denied"),
    RuntimeError("can't start new thread"),
    SystemExit(3),
    KeyboardInterrupt(),
    asyncio.CancelledError(),
    BaseException("anything at all"),
]


@pytest.mark.parametrize("at_start", [True, False], ids=["at start", "later"])
def test_whatever_a_look_at_the_registry_raises_the_next_good_champion_is_followed_within_two_seconds(
    at_start: bool, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = publish(registry, 0), publish(registry, 1)
    promote(registry, first)

    async def story(trouble: BaseException) -> None:
        troubled = Troubled(registry.folder)
        following = Serving(troubled, Metrics())
        troubled.trouble = trouble if at_start else None
        async with following.following():
            assert (following.champion is None) == at_start
            troubled.trouble = trouble
            await asyncio.sleep(1.5)
            promote(registry, second)
            await asyncio.sleep(1)
            assert isinstance(trouble, OSError) or type(trouble).__name__ in str(following.problem)
            assert len(str(following.problem)) < 600
            assert at_start or (following.champion and following.champion.version == first)
            troubled.trouble = None
            start = time.monotonic()
            while following.champion is None or following.champion.version != second or following.problem:
                await asyncio.sleep(0.01)
                assert time.monotonic() < start + 2

    async def stories() -> None:
        await asyncio.gather(*[story(trouble) for trouble in ANYTHING])

    asyncio.run(stories())
    assert len([line for line in caplog.records if line.levelname == "ERROR"]) == len(ANYTHING)


def remove_pointer(registry: Registry) -> None:
    (registry.folder / "champion.json").unlink()


def remove_registry(registry: Registry) -> None:
    registry.folder.rename(registry.folder.with_name("away"))


def nest_pointer(registry: Registry) -> None:
    (registry.folder / "champion.json").write_bytes(b"[" * 100_000)


def nest_manifest(registry: Registry) -> None:
    version = publish(registry, 1)
    (registry.path(version) / "manifest.json").write_bytes(b'{"a":' + b"[" * 100_000)
    pointer = registry.folder / "champion.json"
    champion = registry.champion()
    assert champion
    pointer.write_text(pointer.read_text().replace(champion.version, version))


def make_a_folder_of_it(registry: Registry) -> None:
    (registry.folder / "champion.json").unlink()
    (registry.folder / "champion.json").mkdir()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (remove_registry, "champion.json is gone"),
        pytest.param(remove_pointer, "champion.json is gone", marks=pytest.mark.hostile),
        pytest.param(nest_pointer, "champion.json is damaged", marks=pytest.mark.hostile),
        pytest.param(nest_manifest, "the manifest is damaged", marks=pytest.mark.hostile),
        pytest.param(make_a_folder_of_it, "Is a directory", marks=pytest.mark.hostile),
    ],
)
def test_a_harmed_registry_is_told_of_once_counted_and_followed_again_when_it_is_whole(
    harm: Callable[[Registry], None], words: str, server: Server, registry: Registry, tmp_path: Path
) -> None:
    client, first = server.client, version_that_answers(server.client)
    assert (figure(client, "api_ready"), figure(client, "api_registry_following")) == (1, 1)
    whole = tmp_path / "whole"
    shutil.copytree(registry.folder, whole)
    harm(registry)
    until(lambda: "detail" in client.get("/readyz").json(), seconds=3)
    assert words in client.get("/readyz").json()["detail"]
    until(lambda: figure(client, "api_registry_failures_total") >= 2, seconds=4)
    assert version_that_answers(client) == first
    assert (figure(client, "api_ready"), figure(client, "api_registry_following")) == (1, 0)
    assert figure(client, "api_registry_look_age_seconds") > 1
    shutil.rmtree(registry.folder, ignore_errors=True)
    whole.rename(registry.folder)
    second = publish(registry, 2)
    promote(registry, second)
    until(lambda: version_that_answers(client) == second, seconds=2.5)
    until(lambda: "detail" not in client.get("/readyz").json(), seconds=2)
    assert figure(client, "api_registry_following") == 1
    assert server.log.read_text().count("The champion cannot be served") == 1


class Hanging(Registries):
    """A registry that does not answer about a market until it is told to; later looks find it well."""

    def __init__(self, folder: Path, market: str = DEFAULT_MARKET) -> None:
        super().__init__(folder)
        self.market = market
        self.answers = threading.Event()
        self.looks = 0

    def of(self, market: str) -> MarketRegistry:
        """A market's registry, after a while."""
        if market == self.market:
            self.looks += 1
            if self.looks < 3:
                self.answers.wait()
        return super().of(market)


def test_where_a_look_does_not_come_back_it_is_told_of_once_counted_and_another_one_looks(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("api.serving.HANGING_SECONDS", 0.2)
    monkeypatch.setattr("api.serving.FIRST_LOOK_SECONDS", 0.5)
    version = publish(registry, 0)
    promote(registry, version)
    hanging, metrics = Hanging(registry.folder), Metrics()
    following = Serving(hanging, metrics)

    async def story() -> None:
        async with following.following():
            assert following.champion is None
            assert "has not answered for" in str(following.problem)
            while following.champion is None:
                await asyncio.sleep(0.01)
            assert following.champion.version == version
            assert following.problem is None
            assert hanging.looks >= 3
            hanging.answers.set()

    asyncio.run(asyncio.wait_for(story(), 10))
    assert b"api_registry_failures_total 2.0" in metrics.page()
    assert len([line for line in caplog.records if line.levelname == "ERROR"]) == 1


def hang(registry: Registry) -> None:
    """Make the pointer a file whose reader waits, as on a network mount that is gone."""
    pipe = registry.folder / "pipe"
    os.mkfifo(pipe)
    pipe.replace(registry.folder / "champion.json")


@pytest.mark.hostile
def test_a_registry_that_hangs_holds_up_neither_answers_nor_the_end(server: Server, registry: Registry) -> None:
    client, first = server.client, version_that_answers(server.client)
    hang(registry)
    until(lambda: "detail" in client.get("/readyz").json(), seconds=10)
    assert "has not answered for" in client.get("/readyz").json()["detail"]
    assert version_that_answers(client) == first
    assert figure(client, "api_registry_following") == 0
    until(lambda: figure(client, "api_registry_failures_total") >= 1, seconds=3)
    until(lambda: "has not answered for" in server.log.read_text(), seconds=3)
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=10) == 0
    assert time.monotonic() < start + 5


@pytest.mark.hostile
def test_a_registry_that_hangs_at_start_leaves_the_service_alive_and_followed_when_it_answers(
    registry: Registry, tmp_path: Path
) -> None:
    version = publish(registry, 0)
    promote(registry, version)
    pointer = (registry.folder / "champion.json").read_bytes()
    hang(registry)
    with serving(registry.folder, tmp_path / "api.log") as server:
        refused = server.client.get("/readyz")
        assert refused.status_code == 503
        assert "has not answered for" in refused.json()["detail"]
        assert server.client.post("/classify", json=EXAMPLE).status_code == 503
        pipe = (registry.folder / "champion.json").rename(registry.folder / "pipe")
        (registry.folder / "champion.json").write_bytes(pointer)
        pipe.write_bytes(b"")  # those that wait for it find it empty
        until(lambda: server.client.get("/readyz").status_code == 200, seconds=2)
        assert version_that_answers(server.client) == version
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=10) == 0


@pytest.mark.hostile
def test_one_market_that_hangs_holds_up_neither_the_others_nor_the_end(
    registry: MarketRegistry, tmp_path: Path
) -> None:
    registries = Registries(registry.folder.parent)
    lisbon, zagreb = registries.of("lisbon"), registries.of("zagreb")
    promote(registry, publish(registry, 0))
    promote(lisbon, publish(lisbon, 1, market=LISBON))
    with serving(registries.place, tmp_path / "api.log") as server:
        until(lambda: server.client.get("/markets/lisbon/model").status_code == 200, seconds=3)
        hang(lisbon)
        until(lambda: "detail" in server.client.get("/readyz").json()["markets"]["lisbon"], seconds=10)
        told = server.client.get("/readyz").json()
        assert "has not answered for" in told["markets"]["lisbon"]["detail"]
        assert "detail" not in told
        assert server.client.get("/markets/lisbon/model").status_code == 200
        for market, named in ((registry, "new-york"), (zagreb, "zagreb")):
            version = publish(market, 2, market=msgspec.structs.replace(NEW_YORK, name=named))
            promote(market, version)
            address = f"/markets/{named}/model"
            until(lambda a=address, v=version: server.client.get(a).headers.get("X-Model-Version") == v, seconds=3)
        assert figure(server.client, "api_registry_following") == 0
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=10) == 0
        assert time.monotonic() < start + 5
