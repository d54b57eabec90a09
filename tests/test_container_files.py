"""What containers are made from says the same as the rest, also where there is no engine to try it."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config
from dagster._serdes import ConfigurableClassData

from api.settings import Settings as ApiSettings
from containers.start import settings, write_settings
from mle_assets.celery_launcher import WatchedCeleryRunLauncher
from mle_assets.compute_logs import ObjectComputeLogManager
from mle_assets.resources import Settings as PipelineSettings
from mle_assets.run_coordinator import RunsForWorkers

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


class Merging(yaml.SafeLoader):
    """Reads compose files with `!reset`, by which a file takes away what the one before it says."""


Merging.add_constructor("!reset", lambda *_: None)
CLUSTER: dict[str, Any] = yaml.load((ROOT / "compose.cluster.yaml").read_text(), Merging)  # noqa: S506 (a safe one)
VOLUMES = {"database", "assets", "registry", "predictions"}
OURS = ("code", "webserver", "daemon", "api", "gateway")


def test_the_containers_instance_is_the_local_one_with_another_storage() -> None:
    local = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    assert {key for key in settings() if settings()[key] != local[key]} == {"storage"}


def test_dagster_takes_the_settings_that_a_container_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("POSTGRES_HOST", "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"):
        monkeypatch.setenv(variable, "x")
    write_settings(tmp_path)
    taken, _ = dagster_instance_config(str(tmp_path))
    assert taken["storage"]["custom"]["class"] == "PatientPostgresStorage"
    assert [file.name for file in tmp_path.iterdir()] == ["dagster.yaml"]


def test_with_a_broker_runs_go_to_workers_and_all_else_stays() -> None:
    differing = {
        name for name in settings() | settings(cluster=True) if settings().get(name) != settings(True).get(name)
    }
    assert differing == {"run_launcher", "run_queue", "run_coordinator", "run_monitoring", "compute_logs"}
    assert "run_queue" not in settings(cluster=True)
    watched = settings(cluster=True)["run_monitoring"]
    assert watched == {
        **yaml.safe_load((ROOT / "dagster.yaml").read_text())["run_monitoring"],
        "poll_interval_seconds": 5,
    }


def test_dagster_takes_the_settings_of_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("POSTGRES_HOST", "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"):
        monkeypatch.setenv(variable, "x")
    monkeypatch.setenv("CELERY_BROKER", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("LARGE_MARKETS", "")
    monkeypatch.setenv("STEP_LOGS", "s3://bucket/step-logs")
    write_settings(tmp_path, cluster=True)
    taken, _ = dagster_instance_config(str(tmp_path))
    for part, made in (
        ("run_launcher", WatchedCeleryRunLauncher),
        ("run_coordinator", RunsForWorkers),
        ("compute_logs", ObjectComputeLogManager),
    ):
        described = taken[part]
        data = ConfigurableClassData(described["module"], described["class"], yaml.safe_dump(described["config"]))
        assert isinstance(data.rehydrate(as_type=made), made)


def test_settings_of_an_older_image_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: true}\n")
    write_settings(tmp_path)
    assert yaml.safe_load((tmp_path / "dagster.yaml").read_text()) == settings()


def test_a_dagster_home_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    # As with Dagster's Helm chart, which mounts a dagster.yaml of its own.
    command = [sys.executable, str(ROOT / "containers" / "start.py"), sys.executable, "-c", "print('started')"]
    started = subprocess.run(command, env={"DAGSTER_HOME": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert started.stdout == "started\n"
    assert list(tmp_path.iterdir()) == []


def test_both_workspaces_name_one_code_location() -> None:
    names = {
        next(iter(yaml.safe_load((ROOT / file).read_text())["load_from"][0].values()))["location_name"]
        for file in ("workspace.yaml", "containers/workspace.yaml")
    }
    assert names == {"listing-price-category"}


def test_every_setting_can_be_given_to_the_service_that_reads_it() -> None:
    # The folders, the address and the port inside a container are the image's; the commit is a build's; whom the API
    # believes about a client's address, and for how long it drains, follows from the gateway.
    fixed = {"MODEL_REGISTRY", "HOST", "PORT", "SNAPSHOT_FOLDER", "ASSET_FOLDER", "PREDICTION_SPOOL", "GIT_COMMIT"}
    fixed |= {"FORWARDED_ALLOW_IPS", "DRAIN_SECONDS"}
    for service, reader in (("api", ApiSettings), ("code", PipelineSettings)):
        offered = {name for name, value in SERVICES[service]["environment"].items() if value is None}
        assert offered == {name.upper() for name in reader.__struct_fields__} - fixed, service
    # A log that moves to a URL is uploaded from where it was.
    assert f"predictions:{SERVICES['api']['environment']['PREDICTION_SPOOL']}" in SERVICES["api"]["volumes"]


@pytest.mark.parametrize("service", OURS)
def test_our_services_are_confined(service: str) -> None:
    confined = SERVICES[service]
    assert confined["read_only"] is True
    assert confined["cap_drop"] == ["ALL"]
    assert confined["security_opt"] == ["no-new-privileges:true"]


def test_every_service_is_started_again_and_has_limits_and_bounded_logs() -> None:
    for name, service in SERVICES.items():
        assert service["restart"] == "unless-stopped", name
        assert {"mem_limit", "pids_limit"} <= set(service), name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name


def test_every_service_has_longer_than_the_engines_ten_seconds_to_stop() -> None:
    for name, service in SERVICES.items():
        assert service["stop_grace_period"] in {"30s", "1m", "10m"}, name


def test_how_many_threads_a_training_has_is_decided_by_the_pipeline_alone() -> None:
    # mle_assets/__init__.py and cores.py: a thread for each core that the container may use.
    for name, service in SERVICES.items():
        assert not {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"} & set(service.get("environment", {})), name
    assert SERVICES["code"]["cpus"] == "${CODE_CPUS:-0}"


def test_no_service_gets_the_docker_socket_or_a_folder_of_the_machine() -> None:
    mounts = [volume for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert {mount.split(":")[0] for mount in mounts} == set(COMPOSE["volumes"]) == VOLUMES
    assert SERVICES["api"]["volumes"] == ["registry:/app/var/registry:ro", "predictions:/app/var/predictions"]
    assert "predictions:/app/var/predictions:ro" in SERVICES["code"]["volumes"]


def test_a_cluster_shares_no_volume_between_services() -> None:
    # What compose.yaml mounts stays where it is on the first machine, for `models copy` to read and write.
    mounts = {name: service.get("volumes") for name, service in CLUSTER["services"].items() if service.get("volumes")}
    assert mounts == {"redis": ["broker:/data"], "objects": ["objects:/data"]}
    assert "volumes" in CLUSTER["services"]["worker"]  # reset: those of the service that it extends


def test_the_api_of_a_cluster_reaches_the_object_store_and_neither_database_nor_broker() -> None:
    in_network = {
        network: {name for name, service in CLUSTER["services"].items() if network in service.get("networks", [])}
        for network in ("pipeline", "store", "serving")
    }
    assert in_network == {"pipeline": {"redis", "objects"}, "store": {"objects", "api"}, "serving": {"api"}}


def test_every_further_service_of_a_cluster_has_limits_bounded_logs_and_time_to_stop() -> None:
    for name in ("redis", "objects"):
        service = CLUSTER["services"][name]
        assert service["restart"] == "unless-stopped", name
        assert {"mem_limit", "pids_limit"} <= set(service), name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name
        assert service["stop_grace_period"] in {"30s", "1m"}, name
        assert "ports" not in service, name
    for name, extended in (("worker", "code"), ("large-worker", "worker")):
        assert CLUSTER["services"][name]["extends"]["service"] == extended


def test_only_the_gateway_and_the_ui_are_published() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"gateway", "webserver"}
    # API_PORTS is what older .env files set.
    assert SERVICES["gateway"]["ports"] == [
        "${API_ADDRESS:-0.0.0.0}:${API_PORT:-${API_PORTS:-8000}}:8000",
        "127.0.0.1:${GATEWAY_METRICS_PORT:-8404}:8404",
    ]


def test_the_api_believes_whoever_reaches_it_which_is_the_gateway_alone() -> None:
    assert SERVICES["api"]["environment"]["FORWARDED_ALLOW_IPS"] == "*"
    assert {name for name, service in SERVICES.items() if "serving" in service["networks"]} == {"api", "gateway"}


def test_the_gateway_has_the_descriptors_and_the_time_that_its_configuration_needs() -> None:
    text = (ROOT / "containers" / "gateway" / "haproxy.cfg").read_text()
    [connections] = re.findall(r"^    maxconn (\d+)$", text.partition("defaults")[0], re.MULTILINE)
    # One for the client and one for the replica of each, and some for listening, checks and DNS.
    assert SERVICES["gateway"]["ulimits"]["nofile"] > 2 * int(connections) + 500
    [seconds] = re.findall(r"hard-stop-after (\d+)s", text)
    assert int(SERVICES["gateway"]["stop_grace_period"].removesuffix("s")) > int(seconds)


def test_everything_the_gateway_needs_is_in_its_image() -> None:
    # No folder of the machine: TAG alone brings an older configuration back.
    folder = ROOT / "containers" / "gateway"
    copied = set(
        re.findall(r"\w[\w.]*", " ".join(re.findall("^COPY (.*) ", (folder / "Dockerfile").read_text(), re.M)))
    )
    assert copied == {file.name for file in folder.iterdir()} - {"Dockerfile"}
    assert "volumes" not in SERVICES["gateway"]


def test_without_a_certificate_the_gateway_gets_an_empty_file() -> None:
    assert COMPOSE["secrets"] == {"certificate": {"file": "${TLS_CERTIFICATE:-/dev/null}"}}


def test_the_ui_is_bound_to_this_machine_unless_told_otherwise() -> None:
    assert SERVICES["webserver"]["ports"] == ["${UI_ADDRESS:-127.0.0.1}:${UI_PORT:-3000}:3000"]


def test_no_file_holds_a_password() -> None:
    given = re.findall(r"POSTGRES_PASSWORD[:=] ?(.*)", (ROOT / "compose.yaml").read_text())
    assert given
    assert all(value.startswith("${POSTGRES_PASSWORD:?") for value in given)
    cluster = (ROOT / "compose.cluster.yaml").read_text()
    for secret in ("REDIS_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
        assert len(re.findall(rf"\$\{{{secret}:\?", cluster)) == len(re.findall(rf"\$\{{{secret}", cluster)) > 1
    secrets = r"^#?(?:POSTGRES_PASSWORD|REDIS_PASSWORD|AWS_SECRET_ACCESS_KEY)=(.*)$"
    assert re.findall(secrets, (ROOT / ".env.example").read_text(), re.MULTILINE) == ["", "", ""]


def test_everything_the_compose_file_asks_for_is_in_the_example() -> None:
    files = ("compose.yaml", "compose.cluster.yaml", "compose.machines.yaml")
    asked = {name for file in files for name in re.findall(r"\$\{(\w+):", (ROOT / file).read_text())}
    # Set by make, by compose itself, or where images come from elsewhere.
    asked -= {"GIT_COMMIT", "COMPOSE_PROJECT_NAME"}
    asked -= {"API_PORTS"}  # what API_PORT was called
    assert asked <= set(re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
