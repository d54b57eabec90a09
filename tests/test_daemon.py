"""The real daemon on a real instance: it catches up, promotes once, and gets over a failed run."""

import os
import subprocess
import time
from pathlib import Path

import dagster as dg
import pytest

from local.processes import running
from mle_assets.release.observation import latest_champion, latest_evaluation
from tests.conftest import Pipeline
from tests.making import BEATABLE, PROMOTE, publish
from tests.waiting import until

pytestmark = pytest.mark.slow

PATIENCE = 300.0
"""Seconds for what takes a daemon half a minute alone: other tests train meanwhile, on the same two cores."""


@pytest.fixture
def home(ready: Pipeline) -> Path:
    """A DAGSTER_HOME over the records of the trained pipeline."""
    folder = ready.folder / "home"
    folder.mkdir()
    settings = (Path(__file__).parents[1] / "dagster.yaml").read_text()
    (folder / "dagster.yaml").write_text(settings.replace("var/dagster", str(ready.folder / "dagster")))
    return folder


def environment(pipeline: Pipeline, home: Path) -> dict[str, str]:
    return {
        "DAGSTER_HOME": str(home),
        "ASSET_FOLDER": pipeline.settings.asset_folder,
        "MODEL_REGISTRY": pipeline.settings.model_registry,
        "SNAPSHOT_FOLDER": pipeline.settings.snapshot_folder,
        "SYNTHETIC_LISTINGS": str(pipeline.settings.synthetic_listings),
    }


def promotions(instance: dg.DagsterInstance) -> list[str]:
    """The states of the promotion runs, oldest first."""
    runs = instance.get_runs(dg.RunsFilter(job_name="promotion"))
    return [run.status.value for run in reversed(runs)]


def test_the_daemon_promotes_once_catches_up_and_gets_over_a_failed_run(
    ready: Pipeline, home: Path, tmp_path: Path
) -> None:
    pipeline, settings = ready, environment(ready, home)
    daemon = ("dagster-daemon", "run", "-m", "mle_assets.definitions")
    materialize = [
        "dagster",
        "asset",
        "materialize",
        "-m",
        "mle_assets.definitions",
        "--select",
        "leaderboard",
        "--partition",
        "new-york",
    ]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        # The leaderboard was materialized while no daemon ran.
        with running(*daemon, log=tmp_path / "daemon.log", **settings):
            until(lambda: promotions(instance) == ["SUCCESS"], seconds=PATIENCE, every=0.5)
            champion = pipeline.registry.champion()
            assert champion
            assert champion.actor == "promote_best_model"
            # Two more looks of the sensor ask for nothing.
            time.sleep(25)
            assert promotions(instance) == ["SUCCESS"]
        assert len(pipeline.registry.history()) == 1

        # Another one comes while it is down again, and its run fails.
        model = pipeline.assets / "models" / champion.version.rsplit("-", 1)[0] / "model.onnx"
        whole = model.read_bytes()
        subprocess.run(materialize, env={**os.environ, **settings}, check=True, capture_output=True)
        model.write_bytes(b"damaged")
        with running(*daemon, log=tmp_path / "daemon-2.log", **settings):
            until(lambda: promotions(instance) == ["SUCCESS", "FAILURE"], seconds=PATIENCE, every=0.5)
            assert pipeline.registry.champion() == champion

            # The next one works, while the daemon runs.
            model.write_bytes(whole)
            subprocess.run(materialize, env={**os.environ, **settings}, check=True, capture_output=True)
            until(lambda: promotions(instance) == ["SUCCESS", "FAILURE", "SUCCESS"], seconds=PATIENCE, every=0.5)
        assert pipeline.registry.champion() == champion
        assert pipeline.registry.problems() == {}


def test_a_run_killed_together_with_its_daemon_is_begun_again_by_the_next_one(
    ready: Pipeline, home: Path, tmp_path: Path
) -> None:
    settings = environment(ready, home)
    daemon = ("dagster-daemon", "run", "-m", "mle_assets.definitions")
    launch = ["dagster", "job", "launch", "-m", "mle_assets.definitions", "-j", "training"]

    def trainings() -> list[str]:
        return [run.status.value for run in reversed(instance.get_runs(dg.RunsFilter(job_name="training")))]

    with dg.DagsterInstance.from_config(str(home)) as instance:
        before = len(trainings())
        with running(*daemon, log=tmp_path / "daemon.log", **settings) as process:
            subprocess.run(launch, env={**os.environ, **settings}, check=True, capture_output=True)
            until(lambda: trainings()[before:] == ["STARTED"], seconds=PATIENCE, every=0.2)
            # As when the machine loses its power: daemon, code server and run, without a word.
            subprocess.run(["pkill", "-KILL", "--session", str(process.pid)], check=True)
        assert trainings()[before:] == ["STARTED"]
        with running(*daemon, log=tmp_path / "daemon-2.log", **settings):
            until(lambda: trainings()[-1] == "SUCCESS", seconds=PATIENCE, every=0.5)
        assert trainings()[before:] == ["FAILURE", "SUCCESS"]


def test_a_rollback_by_the_command_is_observed_by_the_daemon(ready: Pipeline, home: Path, tmp_path: Path) -> None:
    settings = environment(ready, home)
    before = publish(ready.registry, 0, **BEATABLE)
    ready.registry.promote(before, PROMOTE, run_id=None, actor="test")
    assert ready.run("promotion").success
    promoted = ready.registry.champion()
    assert promoted
    assert promoted.version != before
    rollback = ["models", "rollback", "--reason", "It was wrong."]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        with running("dagster-daemon", "run", "-m", "mle_assets.definitions", log=tmp_path / "daemon.log", **settings):
            until(lambda: bool(instance.all_instigator_state()), seconds=PATIENCE, every=0.5)
            subprocess.run(rollback, env={**os.environ, **settings}, check=True, capture_output=True)
            until(lambda: latest_champion(instance, ready.registry) == before, seconds=PATIENCE, every=0.5)
            # The check is stored right after the observation.
            until(lambda: (latest_evaluation(instance) or (True, ""))[0] is False, seconds=30)
        [observed] = instance.fetch_observations(dg.AssetKey("champion"), limit=10).records
    observation = observed.asset_observation
    assert observation
    assert observation.metadata["reason"].value == "It was wrong."
    assert observation.metadata["synthetic"].value is True
