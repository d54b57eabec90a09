"""Manifests: ours as kustomize puts them together, and what the schemas of Kubernetes let pass and should not be."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

FOLDER = Path(__file__).parents[2] / "containers" / "kubernetes" / "api"
VERSIONS = ("1.35", "1.36", "1.37")
"""Of Kubernetes: the ones that are maintained."""

Manifest = dict[str, Any]


def kustomization() -> Manifest:
    """What names the files."""
    return yaml.safe_load((FOLDER / "kustomization.yaml").read_text())


def settings() -> dict[str, str]:
    """The API's settings, as kustomize reads settings.env."""
    lines = (FOLDER / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def manifests() -> dict[str, Manifest]:
    """By kind, what `kubectl apply -k` applies, but for the hash in the settings' name."""
    chosen = kustomization()
    [image], [generator] = chosen["images"], chosen["configMapGenerator"]
    read = [yaml.safe_load((FOLDER / name).read_text()) for name in chosen["resources"]]
    read.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": settings()})
    for one in read:
        one["metadata"]["namespace"] = chosen["namespace"]
        if one["kind"] == "Deployment":
            [container] = one["spec"]["template"]["spec"]["containers"]
            assert container["image"] == image["name"]
            container["image"] = f"{image['newName']}:{image['newTag']}"
    return {one["kind"]: one for one in read}


def validate(manifest: Manifest, version: str) -> None:
    """Raise kubernetes_validate.ValidationError where a version of Kubernetes would refuse it or ignore a key."""
    kubernetes_validate.validate(manifest, version, strict=True)


def unconfined(pod: Mapping[str, Any]) -> Iterator[str]:
    """What a pod's spec leaves open of what Kubernetes calls «restricted», and of a read-only root besides."""
    whole = pod.get("securityContext", {})
    if not (whole.get("runAsNonRoot") and whole.get("runAsUser") == whole.get("runAsGroup") == 10001):
        yield "runs as another user than the image's"
    if whole.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "makes any system call"
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{container['name']} can get more rights"
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{container['name']} keeps capabilities"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{container['name']} writes to its root"


def loose_volumes(pod: Mapping[str, Any]) -> set[str]:
    """The names of volumes that are mounted and not there, or there and not mounted."""
    mounted = {mount["name"] for container in pod["containers"] for mount in container.get("volumeMounts", [])}
    return mounted ^ {volume["name"] for volume in pod.get("volumes", [])}


def secrets(pod: Mapping[str, Any]) -> set[tuple[str, str | None]]:
    """The secrets that a pod reads and the key of each; no key where all of it becomes variables."""
    found = set[tuple[str, str | None]]()
    for container in pod["containers"]:
        for source in container.get("envFrom", []):
            if "secretRef" in source:
                found.add((source["secretRef"]["name"], None))
        for variable in container.get("env", []):
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                found.add((reference["name"], reference["key"]))
    return found
