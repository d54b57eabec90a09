"""The sensor `train_when_needed` ends in time, whatever there is to be looked at, and the next look goes on."""

import hashlib
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import dagster as dg
import msgspec
import pytest

from mle_assets.io_managers import FolderIOManager
from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.fetching import fetched
from mle_assets.listings.snapshot import DefaultSnapshot
from mle_assets.monitoring import newer
from mle_assets.monitoring.drift import Drift
from mle_assets.monitoring.inputs import DriftReport
from mle_assets.monitoring.newer import Late, Looked, Seen, remembered
from mle_assets.monitoring.retraining import train_when_needed_sensor
from mle_assets.release.champion import Release
from model_registry.history import Champion
from model_registry.market import NEW_YORK, Market
from model_registry.registries import FolderOfMarket, Registries
from model_registry.store import MarketRegistry
from storage.errors import StoreAway
from tests.making import PROMOTE, publish

NAMES = ["athens", "berlin", "cadiz", "dublin"]


class Cities:
    """Cities whose champions' listings have drifted, each with a newer snapshot of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.markets = [self.city(name) for name in NAMES]

    def city(self, name: str) -> Market:
        snapshot = self.folder / f"{name}.csv"
        snapshot.write_text(name)
        market = msgspec.structs.replace(NEW_YORK, name=name, snapshot=str(snapshot))
        registry = Registries(self.folder / "registry").of(name)
        version = publish(registry, 0, market=market)
        registry.promote(version, PROMOTE, run_id=None, actor="test")
        drift = self.folder / "assets" / name / "drift"
        drift.mkdir(parents=True)
        DriftReport(0, 1, version, {version: Drift("drift", "Far.", 500, 500)}, {}).write(drift)
        return market

    def tick(self, cursor: str | None = None) -> tuple[list[str], str, str | None]:
        """The cities that a training is asked for, why for none, and the cursor."""
        resources: dict[str, object] = {
            "release": Release(
                registry_folder=str(self.folder / "registry"), confidence=0.95, margin=0.0, git_commit=None
            ),
            "artefacts": FolderIOManager(folder=str(self.folder / "assets")),
            "default_snapshot": DefaultSnapshot(
                source=None, default_market="new-york", synthetic_listings=10, synthetic_folder=str(self.folder)
            ),
        }
        sensor = train_when_needed_sensor(self.markets, train_on_feedback=False)
        with dg.build_sensor_context(cursor=cursor, resources=resources) as context:
            told = list(sensor(context))  # pyright: ignore
            asked = [str(one.partition_key) for one in told if isinstance(one, dg.RunRequest)]
            why = [one.skip_message or "" for one in told if isinstance(one, dg.SkipReason)]
            return asked, "".join(why), context.cursor


@pytest.fixture
def cities(tmp_path: Path) -> Cities:
    return Cities(tmp_path)


@pytest.fixture
def takes(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The seconds that each city's snapshot takes to arrive, by a clock that stands still meanwhile."""
    takes, clock = dict.fromkeys(NAMES, 0.0), [0.0]

    @contextmanager
    def slowly(source: str, idle_seconds: float, total_seconds: float) -> Generator[BinaryIO]:
        seconds = takes[Path(source).stem]
        clock[0] += min(seconds, total_seconds)
        if seconds > total_seconds:
            raise BadSnapshot(source, f"takes longer than {total_seconds:g} s to arrive.")
        with fetched(source, idle_seconds, total_seconds) as file:
            yield file

    monkeypatch.setattr(newer, "fetched", slowly)
    monkeypatch.setattr(newer, "monotonic", lambda: clock[0])
    return takes


def test_what_was_found_when_time_is_up_is_asked_for_and_the_next_look_goes_on_from_there(
    cities: Cities, takes: dict[str, float]
) -> None:
    takes.update(dict.fromkeys(NAMES, 15.0))
    first, _, cursor = cities.tick()
    assert (first, remembered(cursor).next) == (["athens", "berlin"], "cadiz")
    second, _, cursor = cities.tick(cursor)
    assert (second, remembered(cursor).next) == (["cadiz", "dublin"], "")
    third, why, _ = cities.tick(cursor)
    assert third == []
    assert "Time was up" not in why


def test_a_look_without_anything_found_says_with_which_market_the_next_one_begins(
    cities: Cities, takes: dict[str, float]
) -> None:
    takes["athens"] = 100.0
    asked, why, cursor = cities.tick()
    assert asked == []
    assert why == (
        f"athens: {cities.folder}/athens.csv could not be read in a look's time, and is tried again when it has "
        "changed, or after a day. Time was up before 3 of 4 markets could be looked at: the next look begins with "
        "berlin."
    )
    assert remembered(cursor).next == "berlin"


def test_a_snapshot_that_takes_a_whole_look_is_left_alone_until_it_has_changed(
    cities: Cities, takes: dict[str, float]
) -> None:
    takes["berlin"] = 100.0
    # It has its turn after another one, then a look of its own, and then the others go on without it.
    asked, cursor = list[list[str]](), None
    for _ in range(3):
        of_look, _, cursor = cities.tick(cursor)
        asked.append(of_look)
    assert asked == [["athens"], [], ["cadiz", "dublin"]]
    takes["berlin"] = 0.0
    asked_again, why, cursor = cities.tick(cursor)
    assert asked_again == []
    assert (
        "berlin.csv could not be read in a look's time, and is tried again when it has changed, or after a day" in why
    )
    Path(cities.folder, "berlin.csv").write_text("shorter than it was")
    asked_again, _, cursor = cities.tick(cursor)
    assert asked_again == ["berlin"]
    assert remembered(cursor).late == {}


def test_a_snapshot_that_takes_too_long_is_tried_again_after_a_day(
    cities: Cities, takes: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    takes["athens"] = 100.0
    _, _, cursor = cities.tick()
    takes["athens"] = 0.0
    monkeypatch.setattr(newer, "_LATE_FOR", 0.0)
    assert cities.tick(cursor)[0] == ["berlin", "cadiz", "dublin", "athens"]


def test_a_cursor_of_before_there_was_a_next_market_is_understood(cities: Cities) -> None:
    of_athens = hashlib.sha256(b"athens").hexdigest()
    before = '{"asked": {"berlin": 9e9}, "causes": {"berlin": ["key"]}, "snapshots": {"a.csv": {"time": 1, '
    before += f'"state": "6:1", "sha256": "{of_athens}"}}}}}}'
    assert remembered(before) == Seen(
        {"berlin": 9e9}, {"berlin": ["key"]}, {"a.csv": Looked(1, "6:1", of_athens)}, dict[str, Late](), ""
    )
    assert cities.tick(before)[0] == ["athens", "cadiz", "dublin"]


def test_a_market_that_is_no_more_begins_no_look(cities: Cities) -> None:
    assert cities.tick('{"next": "zagreb"}')[0] == NAMES
    assert cities.tick('{"next": "cadiz"}')[0] == ["cadiz", "dublin", "athens", "berlin"]


def test_several_markets_champions_are_read_at_once(cities: Cities, monkeypatch: pytest.MonkeyPatch) -> None:
    together, champion = threading.Barrier(len(NAMES), timeout=30), FolderOfMarket.champion

    def meeting(registry: FolderOfMarket) -> Champion | None:
        together.wait()  # one after another they would never meet
        return champion(registry)

    monkeypatch.setattr(FolderOfMarket, "champion", meeting)
    assert cities.tick()[0] == NAMES


def test_after_a_market_whose_store_refuses_the_next_look_begins_behind_it(
    cities: Cities, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = FolderOfMarket.champion

    def refused(registry: MarketRegistry) -> Champion | None:
        if registry.market == "berlin":
            raise StoreAway("s3://bucket/berlin is refused by its store")
        return champion(registry)  # pyright: ignore

    monkeypatch.setattr(FolderOfMarket, "champion", refused)
    asked, _, cursor = cities.tick()
    assert asked == ["athens"]
    assert cities.tick(cursor)[0] == ["cadiz", "dublin"]
