"""A deployment whose runs go to workers that share no volume: a compose project that the tests start, ask and harm."""

import ast
import json
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from local.processes import free_port
from mle_assets.listings.synthetic import write_snapshot
from model_registry.listing import EXAMPLE
from tests.containers.stack import ENDED, ROOT, SERVICES, Run, Stack, new_stack, say, told
from tests.waiting import until

MARKETS = ("new-york", "lisbon", "oslo")
FOLDERS = "compose.yaml:tests/containers/compose.yaml:tests/cluster/markets.yaml"
"""One machine, with the same markets."""
SEVERAL = f"compose.yaml:compose.cluster.yaml:{FOLDERS.partition(':')[2]}:tests/cluster/compose.yaml"
NOTICED_SECONDS = 30
"""Within so long a killed worker is to be noticed."""
_LOGS = """
query($key: [String!]!) { capturedLogs(logKey: $key) { stdout stderr } }
"""
_CANCEL = """
mutation($run: String!) { terminateRun(runId: $run) { __typename ... on TerminateRunFailure { message } } }
"""
_EVENTS = """
query($run: ID!) {
  runOrError(runId: $run) { ... on Run { eventConnection { events {
    __typename
    ... on MessageEvent { message } ... on ErrorEvent { error { message } } ... on LogsCapturedEvent { fileKey }
  } } } }
}
"""


class Cluster(Stack):
    """A compose project with workers, a broker and an object store."""

    services = (*SERVICES, "redis", "objects", "worker")

    def start_training(self, *markets: str) -> dict[str, str]:
        """Launch a training of each market; the runs by market, all of them under way."""
        runs = {market: self.launch("training", market=market) for market in markets}
        self.wait_for_start(*runs.values())
        return runs

    def wait_for_start(self, *runs: str) -> None:
        """Until all of some runs are under way."""
        until(lambda: all(self.runs()[run].status == "STARTED" for run in runs), seconds=90, every=0.5)

    def trained(self, run_id: str, seconds: float = 400) -> Run:
        """The run that ended a training well: that one, or the one that took its place when it was lost."""
        start = time.monotonic()
        ended = self._end_of(run_id, seconds)
        while ended.status == "FAILURE" and (retry := self._retry_of(ended.id)):
            ended = self._end_of(retry, seconds)
        assert ended.status == "SUCCESS", ended
        say(
            f"{ended.market}: trained by run {ended.id[:8]}, begun as {run_id[:8]}, {time.monotonic() - start:.0f} s on"
        )
        return ended

    def launch_when_possible(self, job: str, market: str) -> str:
        """Launch a run as soon as the webserver takes it, while its database or the code server come back."""
        deadline = time.monotonic() + 120
        while True:
            try:
                return self.launch(job, market=market)
            except (AssertionError, httpx.HTTPError):
                assert time.monotonic() < deadline
                time.sleep(1)

    def cancel(self, run_id: str) -> None:
        """Cancel a run as the UI does."""
        told_of = self.graphql(_CANCEL, run=run_id)["terminateRun"]
        assert told_of["__typename"] == "TerminateRunSuccess", told_of

    def idle(self) -> bool:
        """Whether no worker is at a run, a late one included."""
        program = """
import dagster as dg
with dg.DagsterInstance.get() as instance:
    print(instance.run_launcher.celery.control.inspect(timeout=3).active(safe=True))
"""
        active = ast.literal_eval(self.inside("daemon", "python", "-c", program).stdout.splitlines()[-1]) or {}
        return set(active) == set(self.workers()) and not any(active.values())

    def settled(self) -> bool:
        """Whether nothing is under way or about to be, the sensor's promotions included."""
        try:
            return all(run.status in ENDED for run in self.runs().values()) and not self._awaited()
        except httpx.HTTPError:
            return False

    def _awaited(self) -> set[str | None]:
        # Markets whose last training came after their last promotion; the webserver lists the newest first.
        last: dict[str | None, str] = {}
        for run in self.runs().values():
            if run.status == "SUCCESS" and run.job in ("training", "promotion"):
                last.setdefault(run.market, run.job)
        return {market for market, job in last.items() if job == "training"}

    def champions(self) -> dict[str, str]:
        """The version that answers for each market, asked of the API."""
        return {market: self.classify(market).headers["X-Model-Version"] for market in MARKETS}

    def classify(self, market: str) -> httpx.Response:
        """The answer to the README's listing as one of a market."""
        answer = self.client.post(f"{self.url()}/markets/{market}/classify", json=EXAMPLE)
        assert answer.status_code == 200, answer.text
        return answer

    def events(self, market: str) -> list[dict[str, Any]]:
        """The history of a market, the first event first."""
        return json.loads(self.inside("code", "models", "--market", market, "history", "--json").stdout)

    def promotions(self, market: str) -> list[str]:
        """The versions that were promoted in a market, the first one first."""
        return [event["version"] for event in self.events(market) if event["action"] == "promotion"]

    def move(self, files: str) -> None:
        """Become the deployment that other compose files describe; volumes stay."""
        self.compose("down", "--remove-orphans")
        self.files = files
        self.settings["SYNTHETIC_LISTINGS"] = "3000"
        self.up()
        until(self.ready, seconds=60)

    def workers(self, service: str = "worker") -> dict[str, dict[str, Any]]:
        """The workers' containers, by their names in Celery."""
        return {f"worker@{container['Config']['Hostname']}": container for container in self.containers(service)}

    @contextmanager
    def changed(self, files: str | None = None, **settings: str) -> Iterator[None]:
        """The deployment has other compose files or settings meanwhile."""
        before = self.files, dict(self.settings)
        self.files = files or self.files
        self.settings.update(settings)
        try:
            self.up()
            yield
        finally:
            self.files, self.settings = before
            self.up()

    @contextmanager
    def further_machine(self) -> Iterator["Cluster"]:
        """Another machine as docs/clusters.md describes it, with nothing started on it; all of it removed afterwards.

        It is the same machine, by another compose project that reaches the first one by the address of the engine.
        """
        gateway = "{{(index .IPAM.Config 0).Gateway}}"
        address = told("docker", "network", "inspect", "bridge", "--format", gateway).stdout.strip()
        where_the_first_is = {
            "POSTGRES_HOST": address,
            "CELERY_BROKER": f"redis://:{self.settings['REDIS_PASSWORD']}@{address}:6379/0",
            "AWS_ENDPOINT": f"http://{address}:8333",
        }
        ports = {name: str(free_port()) for name in ("UI_PORT", "API_PORT", "GATEWAY_METRICS_PORT")}
        settings = {**self.settings, **ports, **where_the_first_is, "WORKERS": "1"}
        further = Cluster(f"{self.project}-further", settings, files=self.files)
        with self.changed(f"{self.files}:compose.machines.yaml", CLUSTER_ADDRESS=address):
            Stack.present.append(further)
            try:
                yield further
            finally:
                Stack.present.remove(further)
                further.compose("down", "--volumes", "--timeout", "5", check=False)
                further.client.close()

    def worker_of(self, run_id: str) -> str:
        """The worker that has a run, as run monitoring sees it."""
        program = f"""
import dagster as dg
with dg.DagsterInstance.get() as instance:
    print(instance.run_launcher.check_run_worker_health(instance.get_run_by_id("{run_id}")).msg)
"""
        return self.inside("daemon", "python", "-c", program).stdout.split()[-1].rstrip(".")

    def messages(self, run_id: str) -> list[str]:
        """What happened to a run, in words."""
        told = [(event.get("message"), (event.get("error") or {}).get("message")) for event in self._events(run_id)]
        return [one for both in told for one in both if one]

    def printed(self, run_id: str) -> str:
        """What the steps of a run printed, as the UI shows it."""
        keys = [event["fileKey"] for event in self._events(run_id) if event["__typename"] == "LogsCapturedEvent"]
        assert keys
        logs = [self.graphql(_LOGS, key=[run_id, "compute_logs", key])["capturedLogs"] for key in keys]
        return "".join((log["stdout"] or "") + (log["stderr"] or "") for log in logs)

    def _events(self, run_id: str) -> list[dict[str, Any]]:
        return self.graphql(_EVENTS, run=run_id)["runOrError"]["eventConnection"]["events"]

    def _end_of(self, run_id: str, seconds: float) -> Run:
        return self.wait_for_status(run_id, *ENDED, seconds=seconds)

    def _retry_of(self, run_id: str) -> str | None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for run in self.runs().values():
                if run.parent == run_id:
                    return run.id
            time.sleep(0.5)
        return None


@contextmanager
def cluster(folder: Path, markets: Sequence[str] = MARKETS, **settings: str) -> Iterator[Cluster]:
    """Images built, everything healthy, some markets known and nothing trained; all removed afterwards."""
    plain = new_stack()
    Stack.present.remove(plain)
    passwords = {"REDIS_PASSWORD": secrets.token_hex(16), "AWS_SECRET_ACCESS_KEY": secrets.token_hex(16)}
    small = {"SYNTHETIC_LISTINGS": "2500", "PICTURES": "false", "TEST_MARKETS": str(folder)}
    stack = Cluster(plain.project, {**plain.settings, **passwords, **small, **settings}, files=SEVERAL)
    Stack.present.append(stack)
    try:
        write_markets(folder, markets, int(stack.settings["SYNTHETIC_LISTINGS"]))
        stack.make("images")
        stack.up()
        yield stack
    finally:
        stack.remove()


def write_markets(folder: Path, markets: Sequence[str], listings: int) -> None:
    """New York's file, and others that are like it but in name and listings."""
    folder.chmod(0o755)
    new_york = (ROOT / "markets" / "new-york.toml").read_text()
    (folder / "new-york.toml").write_text(new_york)
    for number, market in enumerate(markets[1:], 1):
        write_snapshot(folder / f"{market}.csv", listings + 200 * number)
        named = new_york.replace('title = "New York"', f'title = "{market.title()}"')
        (folder / f"{market}.toml").write_text(f'snapshot = "/app/markets/{market}.csv"\n{named}')
