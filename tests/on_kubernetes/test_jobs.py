"""The Job of a run, made by Dagster's own launcher from our values, with nobody behind it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import kubernetes_validate
import pytest
import yaml
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import LaunchRunContext
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.test_utils import create_run_for_test
from dagster._utils.warnings import disable_dagster_warnings
from dagster_k8s import K8sRunLauncher
from kubernetes import client

from mle_assets.partitions import MARKET_TAG
from tests.on_kubernetes.chart import instance as instance_of
from tests.on_kubernetes.chart import launcher, values
from tests.on_kubernetes.manifests import VERSIONS, Manifest, loose_volumes, secrets, unconfined, validate

IMAGE = "listing-price-category/dagster:2026-11"
PYTHON = "/app/.venv/bin/python"
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "nobody", "user": {}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "nobody"}}],
    "current-context": "none",
}


def launched(folder: Path, context: dict[str, Any] | None = None) -> Manifest:
    """What Kubernetes would be sent for a training of Lisbon; the context is what a code server says of its runs."""
    config = folder / "kubeconfig"
    config.write_text(yaml.safe_dump(KUBECONFIG))
    sent: list[client.V1Job] = []
    cluster = SimpleNamespace(
        create_namespaced_job=lambda body, namespace, **_: sent.append(body) or SimpleNamespace(namespace=namespace)
    )
    settings = {**launcher(values()), "load_incluster_config": False, "kubeconfig_file": str(config)}
    chosen = K8sRunLauncher(**settings, k8s_client_batch_api=cluster, k8s_client_core_api=SimpleNamespace())
    code = ModuleCodePointer("mle_assets.definitions", "defs", "/app")
    location = RepositoryPythonOrigin(PYTHON, code, container_image=IMAGE, container_context=context)
    with dg.instance_for_test() as instance:
        chosen.register_instance(instance)
        origin = JobPythonOrigin("training", location)
        run = create_run_for_test(instance, job_name="training", tags={MARKET_TAG: "lisbon"}, job_code_origin=origin)
        chosen.launch_run(LaunchRunContext(run, workspace=None))
    [made] = sent
    return client.ApiClient().sanitize_for_serialization(made)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """That of our values."""
    return launched(tmp_path_factory.mktemp("kube"))


@pytest.fixture
def pod(job: Manifest) -> dict[str, Any]:
    return job["spec"]["template"]["spec"]


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    [one] = pod["containers"]
    return one


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_job_of_a_run(job: Manifest, version: str) -> None:
    validate(job, version)
    with pytest.raises(kubernetes_validate.ValidationError):
        validate({**job, "spec": {**job["spec"], "backOffLimit": 0}}, version)


def test_a_run_is_of_the_image_that_the_code_server_is_of(container: dict[str, Any]) -> None:
    assert container["image"] == IMAGE
    assert container["args"][:5] == [PYTHON, "-m", "dagster", "api", "execute_run"]
    assert "command" not in container  # the image's entry point, which writes a dagster.yaml to its own home only


def test_a_run_is_confined_and_has_no_token(pod: dict[str, Any]) -> None:
    assert list(unconfined(pod)) == []
    assert pod["automountServiceAccountToken"] is False


def test_a_run_has_resources_of_its_own_and_not_the_code_servers(container: dict[str, Any]) -> None:
    assert container["resources"] == {
        "requests": {"cpu": "1", "memory": "2Gi"},
        "limits": {"cpu": "2", "memory": "4Gi"},
    }


def test_with_the_code_servers_configuration_a_run_would_have_its_memory_and_a_token(tmp_path: Path) -> None:
    # Why includeConfigInLaunchedRuns is off: this is what the chart has a code server say with it on.
    context = {
        "resources": {"limits": {"memory": "2Gi"}},
        "run_k8s_config": {"pod_spec_config": {"automount_service_account_token": True}},
    }
    pod = launched(tmp_path, {"k8s": context})["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["memory"] == "2Gi"
    assert pod["automountServiceAccountToken"] is True


def test_a_run_writes_to_tmp_alone(pod: dict[str, Any], container: dict[str, Any]) -> None:
    assert loose_volumes(pod) == set()
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 (a volume's)
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "4Gi"}}]


def test_a_run_is_given_the_store_and_the_secrets_by_reference(pod: dict[str, Any], container: dict[str, Any]) -> None:
    given = {one["name"]: one.get("value") for one in container["env"]}
    assert given["MODEL_REGISTRY"] == "s3://listing-prices/registry"
    assert given["DAGSTER_HOME"] == "/opt/dagster/dagster_home"
    assert len(given) == len(container["env"])
    assert secrets(pod) == {("dagster-postgresql", "postgresql-password"), ("object-store-pipeline", None)}


def test_a_run_is_tried_once_by_kubernetes_and_ends_within_an_hour(job: Manifest, pod: dict[str, Any]) -> None:
    # Again is begun by Dagster, which knows where: two that begin again would be one too many.
    assert (job["spec"]["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    assert (job["spec"]["activeDeadlineSeconds"], job["spec"]["ttlSecondsAfterFinished"]) == (3600, 86400)
    assert job["spec"]["template"]["metadata"]["annotations"] == {
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"
    }


def test_a_run_goes_its_way_without_a_token_and_leaves_dagsters_home_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever loads this launcher outside of a cluster, or in a pod without a token, fails: a run must not.
    settings = instance_of(values())
    for storage in ("run_storage", "event_log_storage", "schedule_storage"):
        del settings[storage]
    settings["storage"] = {"sqlite": {"base_dir": str(tmp_path / "storage")}}
    settings["local_artifact_storage"]["config"]["base_dir"] = str(tmp_path / "artifacts")
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "")

    @dg.asset
    def prices() -> None: ...

    # As definitions.py does about its handler.
    with disable_dagster_warnings(), dg.DagsterInstance.from_config(str(home)) as instance:
        done = dg.materialize([prices], instance=instance, tags={MARKET_TAG: "lisbon"})
        assert done.success
        with pytest.raises(Exception, match="Service host/port is not set"):
            _ = instance.run_launcher
    assert [file.name for file in home.iterdir()] == ["dagster.yaml"]
