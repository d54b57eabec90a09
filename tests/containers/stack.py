"""The whole deployment in containers of its own: a compose project that the tests start, ask, harm and remove."""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import httpx

from local.processes import free_port
from model_registry.listing import EXAMPLE
from tests.waiting import until

ROOT = Path(__file__).parents[2]
SERVICES = ("postgres", "code", "webserver", "daemon", "api", "gateway")
# Relative to the checkout that is used.
FILES = "compose.yaml:tests/containers/compose.yaml"
_KEPT = ("HOME", "PATH", "XDG_RUNTIME_DIR")
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
_MARKET_TAG = "dagster/partition"

_LAUNCH = """
mutation($job: String!, $config: RunConfigData, $tags: [ExecutionTag!]) {
  launchRun(executionParams: {
    selector: {
      jobName: $job, repositoryName: "__repository__", repositoryLocationName: "listing-price-category"
    },
    runConfigData: $config, executionMetadata: {tags: $tags}
  }) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
  }
}
"""
_RUNS = """
{ runsOrError { ... on Runs { results { runId jobName status parentRunId tags { key value } } } } }
"""


_PLAN = """
{
  executionPlanOrError(mode: "default", pipeline: {
    pipelineName: "training", repositoryName: "__repository__", repositoryLocationName: "listing-price-category"
  }) { __typename }
}
"""
_MATERIALIZATION = """
query($path: [String!]!) {
  assetOrError(assetKey: {path: $path}) {
    ... on Asset {
      assetMaterializations(limit: 1) {
        runId
        metadataEntries { label ... on TextMetadataEntry { text } ... on UrlMetadataEntry { text: url } }
      }
    }
  }
}
"""


def say(text: str) -> None:
    """What a test saw, for whoever watches."""
    print(f"   {text}", flush=True)  # noqa: T201 (the purpose of `make test-containers`)


@dataclass(frozen=True)
class Run:
    """A run as the webserver lists it."""

    id: str
    job: str
    status: str
    parent: str | None
    market: str | None


@dataclass(frozen=True)
class Answer:
    """What the API answered to the README's listing."""

    category: str
    version: str
    run_id: str
    snapshot: str


@dataclass
class Stack:
    """A compose project."""

    present: ClassVar[list["Stack"]] = []
    """Those that have been used and not been removed."""
    services: ClassVar[tuple[str, ...]] = SERVICES

    project: str
    settings: dict[str, str]
    folder: Path = ROOT
    """The checkout whose compose file is used."""
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))
    files: str = FILES
    """The compose files, each over those before it."""

    def environment(self) -> dict[str, str]:
        """What the commands need, and the settings; neither this shell's SNAPSHOT nor a .env of the checkout."""
        kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("DOCKER_")}
        return {
            **kept,
            **self.settings,
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_ENV_FILES": "/dev/null",
            "COMPOSE_FILE": self.files,
            "COMPOSE_ANSI": "never",
        }

    def compose(self, *arguments: str, check: bool = True, **settings: str) -> subprocess.CompletedProcess[str]:
        """`docker compose` in the checkout."""
        return told(
            "docker", "compose", *arguments, cwd=self.folder, env={**self.environment(), **settings}, check=check
        )

    def make(self, *arguments: str) -> str:
        """`make` in the checkout, for this project."""
        return told("make", *arguments, cwd=self.folder, env=self.environment()).stdout

    def up(self, *arguments: str) -> None:
        """Start, or bring to what the compose file and the settings say, and wait until all are healthy."""
        start = time.monotonic()
        self.compose("up", "--no-build", "--detach", "--wait", *arguments)
        say(f"docker compose up {' '.join(arguments)}: all healthy after {time.monotonic() - start:.0f} s")

    def inside(self, service: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in a service's container."""
        return self.compose("exec", "-T", service, *command, check=check)

    def container(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container; of the first, where there are several."""
        return self.containers(service)[0]

    def containers(self, service: str) -> list[dict[str, Any]]:
        """What the engine knows of all containers of a service."""
        identifiers = self.compose("ps", "--all", "--quiet", service).stdout.split()
        return json.loads(told("docker", "inspect", *identifiers).stdout)

    def revision(self, service: str) -> str:
        """The commit a service's image was built from."""
        return self.container(service)["Config"]["Labels"]["org.opencontainers.image.revision"]

    def kill(self, service: str) -> None:
        """SIGKILL from outside, as by the kernel; after `docker kill` the engine would not start it again."""
        state = self.container(service)["State"]
        command = f"import os; os.kill({state['Pid']}, 9)"
        image = self.container("api")["Config"]["Image"]
        told("docker", "run", "--rm", "--pid=host", "--user=0", "--entrypoint=python", image, "-c", command)
        until(lambda: self.container(service)["State"]["StartedAt"] != state["StartedAt"], seconds=60, every=0.5)
        say(f"killed {service} (its process {state['Pid']}); the engine started it again")

    def healthy(self, *services: str) -> bool:
        """Whether containers run and their health checks say so."""
        states = [self.container(service)["State"] for service in services or self.services]
        return all(state["Running"] and state["Health"]["Status"] == "healthy" for state in states)

    def works(self) -> bool:
        """Whether all are healthy, the webserver has its database and the code server, and the API its champion."""
        try:
            planned = self.graphql(_PLAN)["executionPlanOrError"]["__typename"] == "ExecutionPlan"
            return planned and bool(self.runs()) and self.ready() and self.healthy()
        except httpx.HTTPError:
            return False

    def url(self) -> str:
        """Where clients reach the gateway."""
        return f"http://127.0.0.1:{self.settings['API_PORT']}"

    def address(self, service: str) -> str:
        """The address of a service's container in the network, which this machine reaches too."""
        return _address(self.container(service))

    def apis(self) -> list[str]:
        """Where the API's replicas are; past the gateway only this machine reaches them."""
        return [f"http://{_address(replica)}:8000" for replica in self.containers("api")]

    def graphql(self, query: str, **variables: object) -> dict[str, Any]:
        """Ask the webserver."""
        answer = self.client.post(
            f"http://127.0.0.1:{self.settings['UI_PORT']}/graphql", json={"query": query, "variables": variables}
        )
        told = answer.raise_for_status().json()
        assert "errors" not in told, told
        return told["data"]

    def launch(self, job: str, config: Mapping[str, object] | None = None, market: str | None = None) -> str:
        """Launch a run of a job as the UI does, of the default market unless another is named; the run's id."""
        tags = [{"key": _MARKET_TAG, "value": market}] if market else []
        launched = self.graphql(_LAUNCH, job=job, config=dict(config or {}), tags=tags)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run_id = launched["run"]["runId"]
        say(f"launched {job} through GraphQL: run {run_id}")
        return run_id

    def runs(self) -> dict[str, Run]:
        """Every run the webserver lists, newest first, by id."""
        rows = self.graphql(_RUNS)["runsOrError"]["results"]
        return {row["runId"]: _run(row) for row in rows}

    def wait_for_status(self, run_id: str, *statuses: str, seconds: float = 600) -> Run:
        """Until a run has one of some states; what kills the webserver meanwhile is waited for as well."""
        start = time.monotonic()

        def reached() -> bool:
            try:
                return self.runs()[run_id].status in statuses
            except httpx.HTTPError:
                return False

        until(reached, seconds, every=0.5)
        run = self.runs()[run_id]
        say(f"run {run_id[:8]} of {run.job}: {run.status} after {time.monotonic() - start:.0f} s")
        return run

    def train(self, config: Mapping[str, object] | None = None) -> str:
        """A training run that ends well, followed by the sensor's promotion run; the training run's id."""
        before = set(self.runs())
        run_id = self.launch("training", config)
        assert self.wait_for_status(run_id, *ENDED).status == "SUCCESS"
        self.wait_for_promotion(before)
        return run_id

    def wait_for_promotion(self, before: set[str]) -> Run:
        """The promotion run that came besides some runs, ended well."""

        def new() -> list[Run]:
            return [run for run in self.runs().values() if run.job == "promotion" and run.id not in before]

        until(lambda: bool(new()), seconds=60, every=0.5)
        run = self.wait_for_status(new()[0].id, *ENDED)
        assert run.status == "SUCCESS", run
        last = self.history()[-1]
        decided = f"{last['action']} of {last['version']} by run {last['run_id'][:8]}"
        say(f"history: {last['sequence']} lines, the last one: {decided}")
        return run

    def get(self, path: str) -> httpx.Response:
        """Ask the API, through the gateway."""
        return self.client.get(f"{self.url()}{path}")

    def ready(self) -> bool:
        """Whether the API answers /readyz with 200."""
        try:
            return self.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, api: str | None = None) -> Answer:
        """The API's answer to the README's listing; that of a certain replica, where one is named."""
        answer = self.client.post(f"{api or self.url()}/classify", json=EXAMPLE)
        assert answer.status_code == 200, answer.text
        headers = answer.headers
        return Answer(
            answer.json()["price_category"], headers["X-Model-Version"], headers["X-Run-Id"], headers["X-Snapshot"]
        )

    def materialization(self, asset: str) -> tuple[str, dict[str, str]]:
        """The run that materialized an asset last, and the texts of its metadata."""
        found = self.graphql(_MATERIALIZATION, path=asset.split("/"))["assetOrError"]["assetMaterializations"][0]
        return found["runId"], {entry["label"]: entry["text"] for entry in found["metadataEntries"] if "text" in entry}

    def history(self) -> list[dict[str, Any]]:
        """The registry's history, told by the `models` command in the API's container."""
        return json.loads(self.inside("api", "models", "history", "--json").stdout)

    def last_lines(self) -> str:
        """What each service said last, and how its container is."""
        logs = (
            self.compose("logs", "--no-color", "--timestamps", "--tail=100", name, check=False)
            for name in self.services
        )
        states = self.compose("ps", "--all", check=False)
        return "\n".join(told.stdout + told.stderr for told in (*logs, states))

    def remove(self) -> None:
        """Containers, networks, volumes and images, all gone."""
        Stack.present.remove(self)
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)
        for name in ("api", "dagster", "gateway"):
            told("docker", "image", "rm", f"listing-price-category/{name}:{self.settings['TAG']}", check=False)
        self.client.close()


def _run(row: Mapping[str, Any]) -> Run:
    tags = {tag["key"]: tag["value"] for tag in row["tags"]}
    return Run(row["runId"], row["jobName"], row["status"], row["parentRunId"], tags.get(_MARKET_TAG))


def _address(container: Mapping[str, Any]) -> str:
    # This machine reaches a container by each of its networks.
    return next(iter(container["NetworkSettings"]["Networks"].values()))["IPAddress"]


def told(
    *command: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None, check: bool = True, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command; one that fails fails the test with what it said."""
    done = subprocess.run(command, cwd=cwd, env=env, input=stdin, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, (
        f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    )
    return done


def new_stack() -> Stack:
    """A project with a name, ports, a password and image tag of its own; nothing is started."""
    name = f"lpc-test-{secrets.token_hex(4)}"
    stack = Stack(
        name,
        {
            "POSTGRES_PASSWORD": secrets.token_hex(16),
            "TAG": name,
            "UI_PORT": str(free_port()),
            "API_ADDRESS": "127.0.0.1",
            "API_PORT": str(free_port()),
            "GATEWAY_METRICS_PORT": str(free_port()),
            "SYNTHETIC_LISTINGS": "4000",
        },
    )
    Stack.present.append(stack)
    return stack


def reason_to_skip() -> str | None:
    """Why containers cannot be run here, or None where they can."""
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        except FileNotFoundError:
            return "there is no docker command"
        if asked.returncode:
            return f"`{' '.join(command)}` fails: {(asked.stderr.strip() or asked.stdout.strip()).splitlines()[-1]}"
    return None
