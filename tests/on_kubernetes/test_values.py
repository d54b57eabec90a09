"""The values for Dagster's Helm chart: known to it, taken by Dagster, and the same as the rest says."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config
from dagster._core.storage.compute_log_manager import ComputeLogManager
from dagster._serdes import ConfigurableClassData

from mle_assets.compute_logs import ObjectComputeLogManager
from mle_assets.partitions import MARKET_TAG
from mle_assets.resources import Settings
from tests.on_kubernetes.chart import KEYS, VALUES_FILE, instance, unknown_keys, values
from tests.on_kubernetes.manifests import VERSIONS, Manifest, loose_volumes, secrets, settings, unconfined, validate

ROOT = Path(__file__).parents[2]
CHAPTER = (ROOT / "docs" / "kubernetes.md").read_text()
VALUES = values()
[CODE] = VALUES["dagster-user-deployments"]["deployments"]
LONG_RUNNING = {"code": CODE, "daemon": VALUES["dagsterDaemon"], "webserver": VALUES["dagsterWebserver"]}
FOLDERS = {"ASSET_FOLDER", "SNAPSHOT_FOLDER", "MODEL_REGISTRY", "PREDICTION_LOG"}


def pod(given: dict[str, Any]) -> dict[str, Any]:
    """The pod that the chart makes of one of its sections, as far as the section says."""
    container = {
        "name": "dagster",
        "image": f"{given['image']['repository']}:{given['image']['tag']}",
        "imagePullPolicy": given["image"]["pullPolicy"],
        "env": given.get("env", []),
        "envFrom": [{"secretRef": secret} for secret in given.get("envSecrets", [])],
        **{
            key: given[key] for key in ("securityContext", "resources", "volumeMounts", "livenessProbe") if key in given
        },
        **({"readinessProbe": given["readinessProbe"]} if "readinessProbe" in given else {}),
    }
    return {"containers": [container], "volumes": given["volumes"], "securityContext": given["podSecurityContext"]}


def test_the_chart_knows_every_key() -> None:
    assert list(unknown_keys(VALUES, KEYS)) == []


def test_a_key_that_the_chart_does_not_know_is_found() -> None:
    misspelt = {
        "dagsterDaemon": {"runMonitoring": {"enabled": True, "maxRuntimeSeconds": 60}, "volumes": [{"name": "tmp"}]},
        "dagster-user-deployments": {"deployments": [{"name": "code", "environment": []}]},
        "runlauncher": {},
    }
    assert list(unknown_keys(misspelt, KEYS)) == [
        "dagsterDaemon.runMonitoring.maxRuntimeSeconds",
        "dagster-user-deployments.deployments.environment",
        "runlauncher",
    ]


def test_the_chart_is_the_one_of_our_dagster() -> None:
    [locked] = re.findall(r"^dagster==(\S+)", (ROOT / "requirements/kubernetes.txt").read_text(), re.MULTILINE)
    assert set(re.findall(r"dagster/dagster --version (\S+)", CHAPTER)) == {locked}


def test_dagster_takes_the_settings_that_the_chart_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "x")
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance(VALUES)))
    taken, _ = dagster_instance_config(str(tmp_path))
    assert taken["run_launcher"]["class"] == "K8sRunLauncher"
    assert taken["run_retries"]["max_retries"] == 2


def test_what_steps_print_is_in_the_bucket_and_whoever_reads_or_writes_it_has_the_credentials() -> None:
    assert VALUES["computeLogManager"]["type"] == "CustomComputeLogManager"
    configured = instance(VALUES)["compute_logs"]
    data = ConfigurableClassData(configured["module"], configured["class"], yaml.safe_dump(configured["config"]))
    assert isinstance(data.rehydrate(as_type=ComputeLogManager), ObjectComputeLogManager)
    bucket = next(one["value"] for one in CODE["env"] if one["name"] == "ASSET_FOLDER").removesuffix("assets")
    assert configured["config"]["url"].startswith(bucket)
    for name, given in LONG_RUNNING.items():
        assert given["envSecrets"] == CODE["envSecrets"], name


def test_what_can_be_is_as_in_the_other_containers() -> None:
    local = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    here = instance(VALUES)
    assert here["python_logs"] == local["python_logs"]
    assert here["telemetry"] == local["telemetry"]
    assert here["nux"] == local["nux"]
    assert here["retention"]["schedule"] == local["retention"]["schedule"]
    compose = yaml.safe_load((ROOT / "containers/dagster.yaml").read_text())["storage"]["custom"]["config"]
    ours = here["run_storage"]["config"]["postgres_db"]
    assert ours["scheme"] == compose["postgres_db"]["scheme"]
    assert ours["params"] == {"sslmode": "require", **compose["postgres_db"]["params"]}


def test_several_runs_go_on_at_once_and_one_of_each_market() -> None:
    queue = VALUES["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert queue["maxConcurrentRuns"] > 1
    assert queue["tagConcurrencyLimits"] == [
        {"key": MARKET_TAG, "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
    ]


def test_the_image_has_what_the_launcher_needs_besides_and_else_the_same() -> None:
    locked = {
        name: set(re.findall(r"^([\w.-]+==\S+)", (ROOT / f"requirements/{name}.txt").read_text(), re.MULTILINE))
        for name in ("pipeline", "kubernetes")
    }
    assert locked["pipeline"] < locked["kubernetes"]
    assert any(one.startswith("dagster-k8s==") for one in locked["kubernetes"] - locked["pipeline"])
    built = (ROOT / "Dockerfile.dagster").read_text()
    assert "ARG REQUIREMENTS=pipeline\n" in built
    assert "COPY requirements/${REQUIREMENTS}.txt requirements.txt\n" in built
    assert "-f Dockerfile.dagster --build-arg REQUIREMENTS=kubernetes " in CHAPTER


def test_the_code_location_is_the_one_of_the_workspace_and_listens_where_the_image_says() -> None:
    [location] = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    assert CODE["name"] == next(iter(location.values()))["location_name"]
    assert CODE["dagsterApiGrpcArgs"] == ["-m", "mle_assets.definitions"]
    exposed = re.findall(r"^EXPOSE (.*)$", (ROOT / "Dockerfile.dagster").read_text(), re.MULTILINE)[0].split()
    webserver = VALUES["dagsterWebserver"]
    assert exposed == [str(webserver["service"]["port"]), str(CODE["port"])]
    assert webserver["readinessProbe"]["httpGet"]["port"] == webserver["service"]["port"]


def test_one_image_of_a_fixed_tag_is_all_that_is_ours() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["code"]["image"]
    for name, given in LONG_RUNNING.items():
        assert given["image"] == CODE["image"], name
    assert CODE["image"]["repository"] == compose.partition(":")[0]
    assert CODE["image"]["tag"] not in ("", "latest")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", LONG_RUNNING)
def test_kubernetes_takes_what_the_chart_passes_on_to_it(name: str, version: str) -> None:
    made: Manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod(LONG_RUNNING[name])}
    validate(made, version)


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_what_runs_for_long_is_confined_and_bounded(name: str) -> None:
    made = pod(LONG_RUNNING[name])
    assert list(unconfined(made)) == []
    assert loose_volumes(made) == set()
    for kind in ("requests", "limits"):
        assert set(LONG_RUNNING[name]["resources"][kind]) == {"cpu", "memory"}


def test_code_server_and_runs_have_one_environment_of_known_settings() -> None:
    launcher = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    assert CODE["env"] == launcher["runK8sConfig"]["containerConfig"]["env"]
    assert CODE["envSecrets"] == launcher["envSecrets"]
    # Or runs would be given the code server's memory.
    assert CODE["includeConfigInLaunchedRuns"] == {"enabled": False}
    given = {variable["name"]: variable["value"] for variable in CODE["env"]}
    assert given.keys() <= {name.upper() for name in Settings.__struct_fields__}
    assert {name for name, value in given.items() if value.startswith("s3://")} == FOLDERS


def test_pipeline_and_api_share_registry_and_log() -> None:
    pipeline, api = {variable["name"]: variable["value"] for variable in CODE["env"]}, settings()
    for name in ("MODEL_REGISTRY", "PREDICTION_LOG"):
        assert pipeline[name] == api[name]


def test_every_secret_is_referred_to_and_the_chapter_says_how_it_is_made() -> None:
    password = VALUES["global"]["postgresqlSecretName"]
    assert VALUES["generatePostgresqlPasswordSecret"] is False
    assert "postgresqlPassword" not in VALUES["postgresql"]
    assert f"create secret generic {password} --from-env-file" in CHAPTER
    assert secrets(pod(CODE)) == {("object-store-pipeline", None)}
    assert "create secret generic object-store-pipeline --from-env-file" in CHAPTER


def test_what_is_to_be_written_anew_is_marked() -> None:
    for line in VALUES_FILE.read_text().splitlines():
        if re.search(r"s3://|example\.com|listing-price-category/|tag:|postgresqlUsername|postgresqlDatabase", line):
            assert "# yours" in line, line
