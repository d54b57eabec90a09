"""The whole story in one command: train, let the sensor promote, serve, ask. Run it with `make demo`."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from local.news import why_it_failed
from local.processes import free_port, request, running
from mle_assets.lineage import materialization
from model_registry.manifest import Manifest
from model_registry.market import DEFAULT_MARKET, FOLDER, BadMarket, find_market
from model_registry.registries import Registries
from model_registry.settings import DEFAULT_REGISTRY

ROOT = Path(__file__).parents[1]
LOGS = Path("var/demo")
PROMOTION_SECONDS, START_SECONDS = 120, 30
_RUN_LINE = re.compile(r"[\d-]{10} [\d:]{8} [\da-f]{8} (?P<text>.*)")
_UNDER_WAY = re.compile(r".* … \d+ s")


def main() -> None:
    """Run the demo; exits non-zero with a sentence where a part of it fails."""
    os.chdir(ROOT)
    say(f"1. Training on {snapshot()}")
    train()
    show_leaderboard()
    say("2. The daemon runs; its sensor promote_best_model sees the new leaderboard")
    with running("dagster-daemon", "run", log=LOGS / "daemon.log") as daemon:
        wait_for_promotion(daemon)
    market = show_champion().market
    say("3. The API serves the champion")
    port = free_port()
    with running(sys.executable, "-m", "api", log=LOGS / "api.log", PORT=str(port)) as api:
        wait_for_api(api, port)
        ask(port, json.dumps(market.example()))
    say("Done. `make up` keeps the UI, the daemon and the API running.")


def market_name() -> str:
    """The market of the demo."""
    return os.environ.get("MARKET") or DEFAULT_MARKET


def snapshot() -> str:
    """What the training reads, in words; exits with a sentence where the market cannot be used."""
    try:
        market = find_market(Path(os.environ.get("MARKET_FOLDER") or FOLDER), market_name())
    except BadMarket as error:
        sys.exit(str(error))
    named = os.environ.get("SNAPSHOT") or market.snapshot or "synthetic"
    return "the embedded synthetic snapshot (made up, not real listings)" if named == "synthetic" else named


def train() -> None:
    """The training job from the dagster command line; its lines without what they all begin with.

    On a terminal, what is under way is told on the last line, which the next one takes the place of.
    """
    command = ["dagster", "job", "execute", "-m", "mle_assets.definitions", "-j", "training"]
    clear = "\r\x1b[2K" if sys.stdout.isatty() else ""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr or ():
            if told := _RUN_LINE.match(line):
                passing = clear and _UNDER_WAY.fullmatch(told["text"])
                print(f"{clear}   {told['text']}", end="" if passing else "\n", flush=True)
            else:
                sys.stderr.write(line)
    if process.returncode:
        sys.exit(process.returncode)  # its last line says why


def show_leaderboard() -> None:
    """The leaderboard as the run stored it."""
    folder = Path(os.environ.get("ASSET_FOLDER") or "var/assets")
    leaderboard = json.loads((folder / market_name() / "leaderboard" / "leaderboard.json").read_text())
    print(f"\n   {'':4}{'candidate':<24}{'CV log loss':>12}{'size':>11}{'answer':>10}{'accuracy':>10}{'ROC AUC':>9}")
    for row in leaderboard["standings"]:
        mark = "→" if row["candidate"] == leaderboard["leader"] else " "
        print(
            f"   {mark}{row['rank']:>2} {row['candidate']:<24}{row['cross_validated_log_loss']:>12.4f}"
            f"{row['model_bytes'] / 1000:>8,.0f} kB{row['latency_us']:>7.0f} µs{row['accuracy']:>10.4f}"
            f"{row['roc_auc']:>9.4f}"
        )
    print(f"   {leaderboard['reason']}")


def wait_for_promotion(daemon: subprocess.Popen[bytes]) -> None:
    """Until the champion was chosen from the latest leaderboard."""
    with dg.DagsterInstance.get() as instance:
        latest = materialization(instance, market_name(), "leaderboard")
        if latest is None:
            sys.exit("Dagster has no record of the leaderboard that was just made: is DAGSTER_HOME another one?")
        filters = dg.RunsFilter(tags={"dagster/run_key": f"leaderboard-{latest.storage_id}"})
        asked_for = False
        for _ in ticks(PROMOTION_SECONDS, "no promotion", daemon):
            for run in instance.get_runs(filters, limit=1):
                if not asked_for:
                    print(f"   it asks for a run of the job promotion: {run.run_id[:8]}", flush=True)
                    asked_for = True
                if run.status == dg.DagsterRunStatus.SUCCESS:
                    print("   promotion succeeded")
                    return
                if run.status == dg.DagsterRunStatus.FAILURE:
                    print("   promotion failed", flush=True)
                    sys.exit(why_it_failed(instance, run.run_id))


def show_champion() -> Manifest:
    """The champion and the last decision, as the registry folder tells them; what is known of the champion."""
    registry = Registries(Path(os.environ.get("MODEL_REGISTRY") or DEFAULT_REGISTRY)).of(market_name())
    champion, last = registry.champion(), registry.history()[-1]
    if champion is None:
        sys.exit(f"The gate kept the challenger out: {last.decision.reason}")
    manifest = registry.open(champion.version).manifest
    synthetic = "synthetic " if manifest.snapshot.synthetic else ""
    print(
        f"   champion   {champion.version}, promoted {champion.promoted_at:%Y-%m-%d %H:%M:%S} UTC by {champion.actor}"
    )
    print(
        f"   data       {synthetic}snapshot {manifest.snapshot.sha256[:12]} of {manifest.snapshot.date}, "
        f"{manifest.rows.kept:,} of {manifest.rows.raw:,} listings kept"
    )
    print(f"   decision   {last.action} of {last.version}: {last.decision.reason}")
    return manifest


def wait_for_api(api: subprocess.Popen[bytes], port: int) -> None:
    """Until /readyz answers 200."""
    for _ in ticks(START_SECONDS, "the API is not ready", api):
        try:
            if request(port, "GET", "/readyz")[0] == 200:
                return
        except OSError:
            continue


def ask(port: int, listing: str) -> None:
    """Classify a listing over HTTP."""
    status, headers, body = request(port, "POST", "/classify", listing)
    print(f"   POST /classify {listing}")
    print(f"   {status} {body}")
    print(
        f"   answered by {headers['X-Model-Version']}, run {headers['X-Run-Id']}, snapshot {headers['X-Snapshot'][:12]}"
    )
    if status != 200:
        sys.exit("The API did not answer.")


def ticks(seconds: float, otherwise: str, process: subprocess.Popen[bytes]) -> Iterator[None]:
    """A tick a quarter of a second; ends the demo in words when time runs out or the process has died."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{otherwise}: the process ended with {process.returncode}; its log is in var/demo/")
        yield
        time.sleep(0.25)
    sys.exit(f"{otherwise} after {seconds:g} s; its log is in var/demo/")


def say(text: str) -> None:
    """A heading."""
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main()
