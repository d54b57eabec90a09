"""The manifests of the API: taken by three versions of Kubernetes, and saying one thing together."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from api.settings import Settings
from model_registry.settings import read_settings
from tests.on_kubernetes.manifests import (
    FOLDER,
    VERSIONS,
    kustomization,
    loose_volumes,
    manifests,
    secrets,
    settings,
    unconfined,
    validate,
)

ROOT = Path(__file__).parents[2]
CHAPTER = (ROOT / "docs" / "kubernetes.md").read_text()
IMAGE = (ROOT / "Dockerfile.api").read_text()
ALL = manifests()
DEPLOYMENT = ALL["Deployment"]["spec"]
POD: dict[str, Any] = DEPLOYMENT["template"]["spec"]
[API] = POD["containers"]
LABELS: dict[str, str] = DEPLOYMENT["template"]["metadata"]["labels"]
KUBERNETES_OWN = sorted(ALL.keys() - {"ServiceMonitor"})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KUBERNETES_OWN)
def test_kubernetes_takes_every_manifest(kind: str, version: str) -> None:
    validate(ALL[kind], version)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_key_in_the_wrong_place_is_refused(version: str) -> None:
    wrong = {**ALL["Deployment"], "spec": {**DEPLOYMENT, "terminationGracePeriodSeconds": 60}}
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(wrong, version)


def test_the_kustomization_lists_every_file() -> None:
    chosen = kustomization()
    named = [*chosen["resources"], *(file for one in chosen["configMapGenerator"] for file in one["envs"])]
    assert sorted([*named, "kustomization.yaml"]) == sorted(file.name for file in FOLDER.iterdir())
    assert all(f"`{name}`" in CHAPTER for name in [*named, "kustomization.yaml"])


@pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl on this machine")
def test_kubectl_puts_together_what_is_tested_here() -> None:
    made = subprocess.run(["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=True).stdout
    given = ALL["ConfigMap"]["metadata"]["name"]
    made = re.sub(rf"{given}-[0-9a-z]+", given, made)  # the hash of its content
    assert {one["kind"]: one for one in yaml.safe_load_all(made)} == ALL


def test_everything_is_called_the_same_and_is_in_one_namespace() -> None:
    for kind, manifest in ALL.items():
        expected = "price-api-settings" if kind == "ConfigMap" else "price-api"
        assert manifest["metadata"]["name"] == expected, kind
        assert f"--namespace {manifest['metadata']['namespace']}" in CHAPTER, kind


def test_every_selector_finds_the_pods() -> None:
    selectors = {
        "Deployment": DEPLOYMENT["selector"]["matchLabels"],
        "Service": ALL["Service"]["spec"]["selector"],
        "PodDisruptionBudget": ALL["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        "NetworkPolicy": ALL["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        **{
            constraint["topologyKey"]: constraint["labelSelector"]["matchLabels"]
            for constraint in POD["topologySpreadConstraints"]
        },
    }
    assert len(selectors) == 6
    for kind, selector in selectors.items():
        assert selector, kind
        assert selector.items() <= LABELS.items(), kind


def test_the_monitor_finds_the_service_and_its_port() -> None:
    monitor = ALL["ServiceMonitor"]
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["spec"].keys() == {"selector", "endpoints"}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= ALL["Service"]["metadata"]["labels"].items()
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint.keys() == {"port", "path", "interval", "authorization"}
    assert endpoint["port"] in {port["name"] for port in ALL["Service"]["spec"]["ports"]}
    assert endpoint["path"] == "/metrics"
    # With API_KEYS set, as they are here, /metrics asks for one of them.
    assert endpoint["authorization"] == {
        "type": "Bearer",
        "credentials": {"name": "price-api-keys", "key": "metrics-key"},
    }


def test_the_autoscaler_alone_says_how_many_there_are() -> None:
    target = ALL["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    deployment = ALL["Deployment"]
    assert target == {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }
    assert "replicas" not in DEPLOYMENT
    # A share of what is requested, so that must be said; and one may go while another answers.
    assert "cpu" in API["resources"]["requests"]
    assert ALL["HorizontalPodAutoscaler"]["spec"]["minReplicas"] > ALL["PodDisruptionBudget"]["spec"]["maxUnavailable"]


def test_every_port_is_the_one_that_the_image_listens_on() -> None:
    [port] = API["ports"]
    assert f"HOST=0.0.0.0 PORT={port['containerPort']}\n" in IMAGE
    assert f"EXPOSE {port['containerPort']}\n" in IMAGE
    probes = [API[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    [served], [let_in] = ALL["Service"]["spec"]["ports"], ALL["NetworkPolicy"]["spec"]["ingress"][0]["ports"]
    assert {*probes, served["targetPort"], let_in["port"]} == {port["name"]}
    # Not the image's HOST and PORT, and nothing that Kubernetes would make of a Service of such a name.
    assert {"HOST", "PORT"} & settings().keys() == set()
    assert POD["enableServiceLinks"] is False


def test_probes_ask_what_they_are_for() -> None:
    paths = {probe: API[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}


def test_the_pod_has_the_time_that_draining_takes() -> None:
    chosen = read_settings(Settings, settings())
    assert chosen.drain_seconds >= 5
    assert POD["terminationGracePeriodSeconds"] >= chosen.drain_seconds + chosen.grace_seconds + 15
    noticed = API["readinessProbe"]["periodSeconds"] * API["readinessProbe"]["failureThreshold"]
    assert chosen.drain_seconds > noticed


def test_the_pod_is_confined_and_has_no_token() -> None:
    assert list(unconfined(POD)) == []
    assert POD["automountServiceAccountToken"] is False
    assert ALL["ServiceAccount"]["automountServiceAccountToken"] is False
    assert POD["serviceAccountName"] == ALL["ServiceAccount"]["metadata"]["name"]
    assert f"--uid {POD['securityContext']['runAsUser']} " in IMAGE


def test_a_pod_that_is_not_confined_is_found() -> None:
    assert len(list(unconfined({"containers": [{"name": "api"}]}))) == 5


def test_volumes_are_mounted_where_something_is_written() -> None:
    assert loose_volumes(POD) == set()
    assert {mount["mountPath"] for mount in API["volumeMounts"]} == {"/tmp", settings()["PREDICTION_SPOOL"]}  # noqa: S108
    assert all("sizeLimit" in volume["emptyDir"] for volume in POD["volumes"])


def test_every_variable_is_a_setting_of_the_api() -> None:
    known = {name.upper() for name in Settings.__struct_fields__}
    assert settings().keys() | {variable["name"] for variable in API["env"]} <= known
    assert {name for name, value in settings().items() if value.startswith("s3://")} == {
        "MODEL_REGISTRY",
        "PREDICTION_LOG",
    }


def test_the_settings_come_from_the_file() -> None:
    [generator] = kustomization()["configMapGenerator"]
    references = [source["configMapRef"]["name"] for source in API["envFrom"] if "configMapRef" in source]
    assert references == [generator["name"]]


def test_every_secret_is_referred_to_and_the_chapter_says_how_it_is_made() -> None:
    monitor = ALL["ServiceMonitor"]["spec"]["endpoints"][0]["authorization"]["credentials"]
    read = secrets(POD) | {(monitor["name"], monitor["key"])}
    assert read == {
        ("object-store-api", None),
        ("price-api-keys", "api-keys"),
        ("price-api-keys", "feedback-keys"),
        ("price-api-keys", "metrics-key"),
    }
    for name, key in read:
        assert f"create secret generic {name} --from-env-file" in CHAPTER
        assert key is None or f"{key}=" in CHAPTER


def test_only_the_ingress_and_prometheus_come_in_whose_word_about_clients_is_believed() -> None:
    policy = ALL["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    [rule] = policy["ingress"]
    assert [set(source) for source in rule["from"]] == [{"namespaceSelector"}, {"namespaceSelector"}]
    assert settings()["FORWARDED_ALLOW_IPS"] == "*"


def test_the_image_has_a_place_and_a_fixed_tag() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["api"]["image"]
    name, _, tag = API["image"].partition(":")
    assert name == compose.partition(":")[0]
    assert tag not in ("", "latest")
    assert (FOLDER / "kustomization.yaml").read_text().count("# yours") == 2
