"""The multi-container deployment, built and run for real; nothing it does needs hands after a fault.

The tests share one deployment and come in the order of its life: nothing, first training, faults, upgrade.
"""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mle_assets.listings.synthetic import write_snapshot
from model_registry.listing import EXAMPLE
from tests.containers.load import load
from tests.containers.stack import ENDED, ROOT, SERVICES, Stack, new_stack, reason_to_skip, say, told
from tests.waiting import until

pytestmark = pytest.mark.containers

OURS = ("code", "webserver", "daemon", "api")
"""Those with a Python to look around with."""
WRITABLE = {
    "code": {"/app/var", "/app/var/registry"},
    "webserver": {"/app/var"},
    "daemon": {"/app/var"},
    "api": {"/app/var/predictions"},
}


@pytest.fixture(scope="module")
def built() -> Iterator[Stack]:
    """A project whose images are built, and in which nothing has been started."""
    if reason := reason_to_skip():
        pytest.skip(f"no containers here: {reason}")
    stack = new_stack()
    try:
        start = time.monotonic()
        stack.make("images")
        say(f"\n   make images: {time.monotonic() - start:.0f} s")
        yield stack
    finally:
        stack.remove()


@pytest.fixture(scope="module")
def started(built: Stack) -> Stack:
    """The deployment as it is after the first start: everything healthy, nothing trained."""
    built.up()
    return built


@pytest.fixture(scope="module")
def stack(started: Stack) -> Stack:
    """The deployment with a champion."""
    if not started.ready():
        started.train()
        until(started.ready, seconds=20)
    return started


class Kept:
    """What must not be lost: the champion, its answer, the history, the runs, what was logged of the answers."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.answer, self.history, self.runs = stack, stack.ask(), stack.history(), stack.runs()
        self.logged = logged(stack)

    def check(self) -> None:
        """All of it is still there; more may have come."""
        assert self.stack.history()[: len(self.history)] == self.history
        runs = self.stack.runs()
        ended = {run.id: run for run in self.runs.values() if run.status in ENDED}
        assert {run_id: runs.get(run_id) for run_id in ended} == ended
        assert logged(self.stack) >= self.logged
        self.stack.inside("api", "models", "verify", "--all")
        if len(self.stack.history()) == len(self.history):
            assert self.stack.ask() == self.answer
        say(f"kept: champion {self.answer.version}, {len(self.history)} history lines, {len(ended)} ended runs")


def logged(stack: Stack) -> int:
    """How many answers the pipeline finds in the prediction log."""
    return int(stack.inside("code", "sh", "-c", "cat var/predictions/predictions-* | wc -l").stdout)


def test_without_a_password_it_does_not_start_and_says_what_to_do(built: Stack) -> None:
    refused = built.compose("up", "--no-build", "--detach", check=False, POSTGRES_PASSWORD="")
    assert refused.returncode != 0
    assert (
        "POSTGRES_PASSWORD is missing a value: copy .env.example to .env and write a password there" in refused.stderr
    )
    say(refused.stderr.strip())
    assert built.compose("ps", "--all", "--quiet").stdout == ""


def test_before_the_first_training_the_api_is_alive_and_not_ready_and_says_why(started: Stack) -> None:
    assert started.get("/livez").status_code == 200
    ready = started.get("/readyz")
    assert ready.status_code == 503
    assert "No model has been promoted" in ready.json()["detail"]
    say(f"GET /readyz: {ready.status_code} {ready.text}")


def test_from_nothing_to_a_served_answer(started: Stack) -> None:
    api = started.container("api")["State"]["StartedAt"]
    training = started.launch("training")
    assert started.wait_for_status(training, *ENDED).status == "SUCCESS"
    promotion = started.wait_for_promotion(before={training})
    until(started.ready, seconds=20)
    answer = started.ask()
    say(f"POST /classify: {answer.category} by {answer.version}, run {answer.run_id}, snapshot {answer.snapshot[:12]}")
    assert answer.category in ("Low", "Mid", "High", "Lux")
    # The answer names the run that put the model there, and the webserver lists it; its lineage names the training.
    assert answer.run_id == promotion.id
    manifest = json.loads(started.inside("api", "models", "show", answer.version, "--json").stdout)
    assert manifest["run"]["training_run_id"] == training
    assert manifest["run"]["git_commit"] == started.revision("code")
    # By itself: the same process that was not ready before.
    assert started.container("api")["State"]["StartedAt"] == api


def test_what_the_api_answers_is_logged_for_the_pipeline_and_can_be_forgotten(stack: Stack) -> None:
    def ask(request_id: str) -> None:
        asked = stack.client.post(f"{stack.url()}/classify", json=EXAMPLE, headers={"X-Request-Id": request_id})
        assert asked.status_code == 200

    def monitored() -> dict[str, Any]:
        assert stack.wait_for_status(stack.launch("monitoring"), *ENDED).status == "SUCCESS"
        return json.loads(stack.inside("api", "models", "live", "--json").stdout)

    version = stack.ask().version
    ask("to-be-kept")
    ask("to-be-forgotten")
    told_of = stack.client.post(f"{stack.url()}/feedback", json={"request_id": "to-be-kept", "price": 129.0})
    assert told_of.status_code == 202
    # What the API has not written yet it writes within a second.
    time.sleep(1.5)
    before = monitored()
    assert (before["version"], before["labelled"]) == (version, 1)
    forgotten = stack.inside("api", "models", "forget", "--request-id", "to-be-forgotten").stdout
    say(forgotten.strip())
    assert "Erased 1 answers" in forgotten
    after = monitored()
    say(f"models live: {before['answers']} answers, {after['answers']} after one of them was forgotten")
    assert (after["answers"], after["labelled"]) == (before["answers"] - 1, 1)


@pytest.mark.parametrize("service", SERVICES)
def test_no_process_is_root(stack: Stack, service: str) -> None:
    def users() -> set[str]:
        lines = told("docker", "top", stack.container(service)["Id"], "-eo", "uid,pid,args").stdout.splitlines()[1:]
        assert lines
        say(f"{service}: {len(lines)} processes of uid {', '.join(sorted({line.split()[0] for line in lines}))}")
        return {line.split()[0] for line in lines}

    # What looks whether PostgreSQL is healthy is begun by the engine, as root, and gone in an instant.
    until(lambda: "0" not in users(), every=0.2)


@pytest.mark.parametrize("service", OURS)
def test_a_container_can_write_only_to_its_volumes_and_tmpfs(stack: Stack, service: str) -> None:
    # Every directory it may write to, over all file systems, by the mount it is under: volumes may share a device.
    program = """
import os
mounts = {}
for line in open("/proc/self/mountinfo"):
    fields = line.split()
    mounts[fields[4]] = line.split(" - ")[1].split()[0]
found = set()
for folder, folders, _ in os.walk("/"):
    if folder == "/":
        folders.remove("proc"), folders.remove("sys")
    if os.access(folder, os.W_OK):
        at = folder
        while at not in mounts:
            at = os.path.dirname(at)
        found.add((mounts[at], at))
for kind, at in sorted(found):
    print(kind, at)
"""
    told_of = stack.inside(service, "python", "-c", program).stdout.splitlines()
    say(f"{service} may write to: {', '.join(told_of)}")
    volumes = {line.split()[1] for line in told_of if line.split()[0] not in ("tmpfs", "mqueue")}
    assert volumes == WRITABLE[service]


def test_the_api_has_nothing_of_the_pipeline(stack: Stack) -> None:
    program = """
import importlib.util
print([name for name in ("dagster", "pandas", "sklearn", "mle_assets", "pip") if importlib.util.find_spec(name)])
"""
    assert stack.inside("api", "/app/.venv/bin/python", "-c", program).stdout.strip() == "[]"


@pytest.mark.parametrize("image", ["api", "dagster"])
def test_an_image_holds_no_secret_no_cache_and_no_tools(stack: Stack, image: str) -> None:
    name = f"listing-price-category/{image}:{stack.settings['TAG']}"
    config = json.loads(told("docker", "image", "inspect", name).stdout)[0]
    history = told("docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", name).stdout
    environment = config["Config"]["Env"]
    for text in (history, json.dumps(environment)):
        assert stack.settings["POSTGRES_PASSWORD"] not in text
        assert not [word for word in ("PASSWORD", "API_KEY", "SECRET", "TOKEN") if word in text.upper()]
    assert config["Config"]["User"] not in ("", "0", "root")
    assert len(config["Config"]["Labels"]["org.opencontainers.image.revision"].split("-")[0]) == 40
    # Only what our layers added: what lies under the base is the base's.
    layers = """
import os
for folder in ("/root", "/app", "/home", "/tmp", "/var/cache", "/var/lib/apt/lists"):
    for path, _, files in os.walk(folder):
        for file in files:
            whole = os.path.join(path, file)
            if "cache" in whole.replace("__pycache__", "").lower() and "site-packages" not in whole:
                print(whole)
            elif os.path.basename(whole) in ("pip", "uv", "gcc", "curl"):
                print(whole)
"""
    run = ("docker", "run", "--rm", "--user=0", "--entrypoint=python", "--network=none")
    base = config["Config"]["Labels"]["org.opencontainers.image.base.name"]
    ours, bases = (set(told(*run, which, "-c", layers).stdout.splitlines()) for which in (name, base))
    assert ours - bases == set()
    base_size = json.loads(told("docker", "image", "inspect", base).stdout)[0]["Size"]
    say(f"{name}: {config['Size'] / 1e6:.0f} MB, {(config['Size'] - base_size) / 1e6:.0f} MB over its base")


def test_three_replicas_answer_behind_the_gateway_and_two_go_again_without_a_failure(stack: Stack) -> None:
    stack.up("--scale", "api=3")
    replicas = stack.apis()
    assert len(set(replicas)) == 3
    answers = {stack.ask(replica) for replica in replicas}
    assert len(answers) == 1
    say(f"three replicas at {', '.join(sorted(replicas))}: {answers.pop().version}")
    with load(("127.0.0.1", int(stack.settings["API_PORT"]))) as told_of:
        until(lambda: all(_answered(replica) > 100 for replica in replicas), seconds=30, every=0.2)
        say(f"each has answered: {[_answered(replica) for replica in replicas]}")
        stack.up("--scale", "api=1")
        time.sleep(1)
    say(f"from three replicas to one under 16 connections: {told_of}")
    assert told_of.good == told_of.asked
    assert len(stack.apis()) == 1


def _answered(replica: str) -> float:
    """How many listings a replica has classified, by its own figures."""
    rows = httpx.get(f"{replica}/metrics").text.splitlines()
    return sum(float(row.split()[-1]) for row in rows if row.startswith("api_predictions_total{"))


def test_a_snapshot_is_read_from_a_url(stack: Stack, tmp_path: Path) -> None:
    # Served by a container of its own on the compose network.
    write_snapshot(tmp_path / "listings.csv.gz", 3_000)
    tmp_path.chmod(0o755)
    image, name = stack.container("code")["Config"]["Image"], f"{stack.project}-files"
    create = ("docker", "create", "--rm", "--name", name, "--network", f"{stack.project}_pipeline", "--workdir=/tmp")
    told(*create, "--network-alias=files", "--entrypoint=python", image, "-m", "http.server", "8080")
    told("docker", "cp", str(tmp_path / "listings.csv.gz"), f"{name}:/tmp/listings.csv.gz")
    told("docker", "start", name)
    try:
        url = "http://files:8080/listings.csv.gz"
        run_id = stack.train({"ops": {"raw_listings": {"config": {"snapshot": url}}}})
    finally:
        told("docker", "rm", "--force", name)
    made_by, metadata = stack.materialization("raw_listings")
    assert (made_by, metadata["source"]) == (run_id, url)
    say(f"trained on {url}, SHA-256 {metadata['sha256'][:12]}")


def test_a_file_put_into_the_snapshot_folder_is_trained_on(stack: Stack, tmp_path: Path) -> None:
    before = set(stack.runs())
    write_snapshot(tmp_path / "fresh.csv.gz", 2_500)
    stack.compose("cp", str(tmp_path / "fresh.csv.gz"), "code:/app/var/snapshots/fresh.csv.gz")
    until(lambda: any(run.job == "training" and run.id not in before for run in stack.runs().values()), 60, every=0.5)
    training = next(run for run in stack.runs().values() if run.job == "training" and run.id not in before)
    assert stack.wait_for_status(training.id, *ENDED).status == "SUCCESS"
    stack.wait_for_promotion(before)


def test_a_job_is_launched_from_the_command_line(stack: Stack) -> None:
    before = set(stack.runs())
    stack.inside("code", "dagster", "job", "launch", "--workspace", "containers/workspace.yaml", "--job", "promotion")
    stack.wait_for_promotion(before)


@pytest.mark.parametrize("service", SERVICES)
def test_after_a_kill_nothing_is_lost_and_everything_works_again(stack: Stack, service: str) -> None:
    kept = Kept(stack)
    api = stack.container("api")["State"]["StartedAt"]
    stack.kill(service)
    until(stack.works, seconds=120, every=0.5)
    kept.check()
    if service != "api":
        assert stack.container("api")["State"]["StartedAt"] == api
    assert stack.get("/livez").status_code == 200
    stack.train()
    kept.check()


@pytest.mark.parametrize("service", ["daemon", "webserver", "postgres"])
def test_a_training_run_outlives_what_it_does_not_run_in(stack: Stack, service: str) -> None:
    kept = Kept(stack)
    run_id = stack.launch("training")
    stack.wait_for_status(run_id, "STARTED")
    time.sleep(2)
    stack.kill(service)
    assert stack.wait_for_status(run_id, *ENDED).status == "SUCCESS"
    stack.wait_for_promotion(set(kept.runs))
    kept.check()


def test_a_training_run_outlasts_a_database_that_is_away_for_longer_than_dagster_waits(stack: Stack) -> None:
    kept = Kept(stack)
    run_id = stack.launch("training")
    stack.wait_for_status(run_id, "STARTED")
    stack.compose("stop", "postgres")
    time.sleep(30)
    stack.compose("start", "postgres")
    assert stack.wait_for_status(run_id, *ENDED).status == "SUCCESS"
    stack.wait_for_promotion(set(kept.runs))
    # And the code server still looks after its runs: it ends when told to, instead of being killed.
    stack.compose("stop", "--timeout=60", "code")
    assert stack.container("code")["State"]["ExitCode"] == 0
    stack.up()
    until(stack.works, seconds=120, every=0.5)
    kept.check()


def test_a_training_run_whose_container_is_killed_fails_and_the_next_succeeds(stack: Stack) -> None:
    kept = Kept(stack)
    run_id = stack.launch("training")
    stack.wait_for_status(run_id, "STARTED")
    time.sleep(2)
    stack.kill("code")
    assert stack.wait_for_status(run_id, *ENDED).status == "FAILURE"
    # The next comes by itself, and goes on where the dead one was.
    until(lambda: any(run.parent == run_id for run in stack.runs().values()), seconds=60, every=0.5)
    [retry] = [run for run in stack.runs().values() if run.parent == run_id]
    assert stack.wait_for_status(retry.id, *ENDED).status == "SUCCESS"
    stack.wait_for_promotion(set(kept.runs))
    kept.check()
    # And so does one that is asked for.
    stack.train()
    kept.check()


def test_postgresql_can_be_restarted(stack: Stack) -> None:
    kept = Kept(stack)
    stack.compose("restart", "postgres")
    until(stack.works, seconds=120, every=0.5)
    kept.check()
    stack.train()
    kept.check()


def test_the_whole_stack_can_be_stopped_and_started_and_ends_the_training_under_way_first(stack: Stack) -> None:
    kept = Kept(stack)
    run_id = stack.launch("training")
    stack.wait_for_status(run_id, "STARTED")
    start = time.monotonic()
    stack.compose("stop")
    codes = {service: stack.container(service)["State"]["ExitCode"] for service in SERVICES}
    say(f"docker compose stop: {time.monotonic() - start:.0f} s, exit codes {codes}")
    assert set(codes.values()) == {0}, "SIGTERM did not arrive, or was not followed in time"
    stack.up()
    until(stack.works, seconds=60, every=0.5)
    kept.check()
    assert stack.runs()[run_id].status == "SUCCESS"
    stack.wait_for_promotion(set(kept.runs))
    kept.check()


def test_a_backup_brings_everything_back(stack: Stack, tmp_path: Path) -> None:
    kept, backup = Kept(stack), tmp_path / "backup.tar.gz"
    stack.make("compose-backup", f"BACKUP={backup}")
    say(f"make compose-backup: {backup.stat().st_size / 1e6:.1f} MB")
    stack.compose("down", "--volumes")
    stack.make("compose-restore", f"BACKUP={backup}")
    until(stack.works, seconds=60, every=0.5)
    kept.check()
    stack.train()
    kept.check()


def test_an_upgrade_keeps_champion_and_history(stack: Stack, tmp_path: Path) -> None:
    kept = Kept(stack)
    # As before there were several markets: everything in the registry folder itself.
    stack.inside("code", "sh", "-c", "cd var/registry && mv new-york/* . && rm new-york/.lock && rmdir new-york")
    checkout, old = tmp_path / "checkout", stack.revision("code")
    told("git", "clone", "--quiet", str(ROOT), str(checkout))
    page = checkout / "mle_assets" / "evaluation" / "report.html"
    page.write_text(page.read_text() + "<!-- Upgraded. -->")
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    told("git", *author, "commit", "--quiet", "--all", "--message=Change the report", cwd=checkout)
    commit = told("git", "rev-parse", "HEAD", cwd=checkout).stdout.strip()
    before, stack.folder = stack.folder, checkout
    try:
        stack.make("compose-up")
        until(stack.works, seconds=60, every=0.5)
        for service in (*OURS, "gateway"):
            assert stack.revision(service) == commit
        say(f"make compose-up: from commit {old[:12]} to {commit[:12]}")
        kept.check()
        stack.inside("daemon", "dagster", "instance", "migrate")
        stack.train()
        kept.check()
        # The first run that wrote to the registry has given it its market's folder.
        assert stack.inside("code", "ls", "-A", "var/registry").stdout.split() == [".lock", "new-york"]
        # The new code made the new reports.
        stack.inside("code", "sh", "-c", "grep --quiet Upgraded /app/var/assets/new-york/evaluations/*/report.html")
    finally:
        stack.folder = before
        shutil.rmtree(checkout)
