"""Only the gateway and the API's replicas, over a registry of two small models: up in seconds, without the pipeline."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_registry.registries import Registries
from tests.containers.stack import Stack, new_stack, say, told
from tests.making import PROMOTE, publish


class Light(Stack):
    """A project in which two services are used."""

    versions: tuple[str, str] = ("", "")
    """What the registry holds; the first is the champion at the start."""

    def start(self, replicas: int = 2, **settings: str) -> None:
        """Start, or bring to what the settings say, and wait until the gateway counts every replica as ready."""
        self.settings |= {"API_REPLICAS": str(replicas)}
        self.compose("up", "--no-build", "--detach", "--wait", "--no-deps", "api", "gateway", **settings)
        deadline = time.monotonic() + 20
        while self.figure('haproxy_backend_active_servers{proxy="ready"}') != replicas:
            assert time.monotonic() < deadline, "the gateway does not see the replicas"
            time.sleep(0.1)

    def figure(self, name: str) -> float:
        """One of the gateway's figures, by name and labels as its page writes them."""
        page = self.client.get(f"http://127.0.0.1:{self.settings['GATEWAY_METRICS_PORT']}/metrics").text
        return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(name))

    def gateway(self) -> tuple[str, int]:
        """The gateway's own address, where no proxy of the engine stands before it."""
        return self.address("gateway"), 8000

    def promote(self, version: str) -> None:
        """Make a version the champion, by the `models` command in a container that may write the registry."""
        self._beside("models", "promote", version, "--reason", "a test")

    def fill(self, registry: Path) -> None:
        """Put a registry folder of this machine into the volume, as the user whom the images have."""
        name = f"{self.project}-filling"
        told(
            "docker",
            "create",
            "--name",
            name,
            *self._registry(),
            "--entrypoint=chown",
            *self._image(),
            "-R",
            "10001",
            ".",
        )
        try:
            told("docker", "cp", f"{registry}/.", f"{name}:/app/var/registry/")
            told("docker", "start", "--attach", name)
        finally:
            told("docker", "rm", "--force", name)

    def _beside(self, command: str, *arguments: str) -> None:
        told(
            "docker",
            "run",
            "--rm",
            *self._registry(user="10001"),
            f"--entrypoint={command}",
            *self._image(),
            *arguments,
        )

    def _registry(self, user: str = "0") -> list[str]:
        folder = "/app/var/registry"
        mount = ["--volume", f"{self.project}_registry:{folder}", "--workdir", folder]
        return ["--user", user, *mount, "--env", f"MODEL_REGISTRY={folder}"]

    def _image(self) -> list[str]:
        return [f"listing-price-category/api:{self.settings['TAG']}"]


@contextmanager
def light_stack(folder: Path) -> Iterator[Light]:
    """Images built, two replicas ready behind a gateway; all removed afterwards."""
    plain = new_stack()
    Stack.present.remove(plain)
    stack = Light(plain.project, plain.settings)
    Stack.present.append(stack)
    try:
        start = time.monotonic()
        stack.compose("build", "api", "gateway", GIT_COMMIT=told("git", "rev-parse", "HEAD").stdout.strip())
        registry = Registries(folder / "registry").of("new-york")
        stack.versions = publish(registry, 1), publish(registry, 2)
        registry.promote(stack.versions[0], PROMOTE, run_id="run-1", actor="a test")
        stack.fill(folder / "registry")
        stack.start()
        say(f"\n   two replicas behind a gateway after {time.monotonic() - start:.0f} s, images included")
        yield stack
    finally:
        stack.remove()
