"""What several tests share: a synthetic snapshot, and one real training run on it."""

import atexit
import fcntl
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import dagster as dg
import pytest

from mle_assets.definitions import make_definitions
from mle_assets.listings.synthetic import write_snapshot
from mle_assets.resources import Settings
from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries
from model_registry.store import MarketRegistry
from tests.object_store import ObjectStore, object_store

REAL_SNAPSHOT = Path(__file__).parents[2] / "shared" / "data" / "nyc-2021-12-04-listings.csv.gz"


@dataclass(frozen=True)
class Pipeline:
    """The code location over folders of its own, with a Dagster instance on disk."""

    settings: Settings
    definitions: dg.Definitions
    instance: dg.DagsterInstance

    @property
    def registry(self) -> MarketRegistry:
        return Registries(self.settings.model_registry).of(DEFAULT_MARKET)

    @property
    def folder(self) -> Path:
        """What everything of it lies in."""
        return Path(self.settings.asset_folder).parent

    @property
    def assets(self) -> Path:
        """New York's."""
        return Path(self.settings.asset_folder, DEFAULT_MARKET)

    def run(
        self, job: str, snapshot: str | None = None, market: str = DEFAULT_MARKET, **options: object
    ) -> dg.ExecuteInProcessResult:
        config = {"ops": {"raw_listings": {"config": {"snapshot": snapshot}}}} if snapshot else None
        return self.definitions.resolve_job_def(job).execute_in_process(
            run_config=config, instance=self.instance, raise_on_error=False, partition_key=market, **options
        )


def make_pipeline(folder: Path, instance: dg.DagsterInstance, **settings: object) -> Pipeline:
    chosen = Settings(
        **{
            "synthetic_listings": 4_000,
            # They take longer than all else that a run on so few listings does; who looks at them asks for them.
            "pictures": False,
            "snapshot_folder": str(folder / "snapshots"),
            "asset_folder": str(folder / "assets"),
            "model_registry": str(folder / "registry"),
            "prediction_log": str(folder / "predictions"),
            **settings,
        }
    )
    return Pipeline(chosen, make_definitions(chosen), instance)


@cache
def empty_records() -> Path:
    """The records of an instance in which nothing has run, there to be copied: making them takes five times as long."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with _instance(folder):
        pass
    gc.collect()  # what still holds a connection to them
    return folder


def instance_in(folder: Path) -> dg.DagsterInstance:
    """A Dagster instance that keeps its records in a folder."""
    if not folder.exists():
        shutil.copytree(empty_records(), folder)
    return _instance(folder)


def _instance(folder: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.local_temp(str(folder), overrides={"telemetry": {"enabled": False}})


@pytest.fixture(scope="module", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a setting's default has a test write is not written beside the code."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("here"))
    yield
    os.chdir(before)


@pytest.fixture(scope="session")
def running_store() -> Iterator[ObjectStore]:
    """An object store for all tests of this process."""
    with object_store() as store:
        yield store


@pytest.fixture
def store(running_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """An object store that works, which this process' environment leads to."""
    for name, value in running_store.variables.items():
        monkeypatch.setenv(name, value)
    running_store.asked()
    yield running_store
    running_store.fail()


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline in which nothing has run."""
    with instance_in(tmp_path / "dagster") as instance:
        yield make_pipeline(tmp_path, instance)


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pipeline after one training run on 4,000 synthetic listings, pictures drawn.

    The processes that share the tests out among them share it: one trains, the others wait. It is there to be copied.
    Nobody opens its records: SQLite makes and removes files beside a database that is read, in the midst of a copy.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder = shared / "trained"
    with (shared / "trained.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = shared / "training"
            making.mkdir()
            with instance_in(making / "dagster") as instance:
                assert make_pipeline(making, instance, pictures=True).run("training").success
            gc.collect()  # what still holds a connection to the records
            making.rename(folder)
    return folder


@pytest.fixture(scope="session")
def trained(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The trained pipeline, for tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(trained_folder, folder, dirs_exist_ok=True)
    with instance_in(folder / "dagster") as instance:
        yield make_pipeline(folder, instance, pictures=True)


@pytest.fixture
def ready(trained_folder: Path, tmp_path: Path) -> Iterator[Pipeline]:
    """A copy of the trained pipeline, with its records and an empty registry, for a test to change."""
    shutil.copytree(trained_folder, tmp_path, dirs_exist_ok=True)
    with instance_in(tmp_path / "dagster") as instance:
        yield make_pipeline(tmp_path, instance)


@pytest.fixture(scope="session")
def synthetic_snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small synthetic snapshot."""
    path = tmp_path_factory.mktemp("snapshots") / "synthetic-2000.csv"
    write_snapshot(path, 2_000)
    return path


@pytest.fixture
def registry(tmp_path: Path) -> MarketRegistry:
    """New York's registry, empty."""
    return Registries(tmp_path / "registry").of(DEFAULT_MARKET)


@pytest.fixture(scope="session")
def real_snapshot() -> Path:
    """New York's snapshot of 2021-12-04; tests that use it are skipped where it is absent."""
    if not REAL_SNAPSHOT.exists():
        pytest.skip(f"the real snapshot is not at ../shared/data/{REAL_SNAPSHOT.name}")
    return REAL_SNAPSHOT
