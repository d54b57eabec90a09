"""The whole story in one command: train, let the sensor promote, serve, ask. Run it with `make demo`."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
from rich.table import Table

from api.schemas import Answer
from local.answer import show_answer
from local.news import why_it_failed
from local.processes import free_port, request, running
from local.steps import Steps
from local.training import train
from mle_assets.io_managers import FolderIOManager
from mle_assets.lineage import materialization
from model_registry.cli.terminal import (
    fitted,
    label_width,
    new_table,
    print_table,
    print_wrapped,
    terminal_width,
    two_columns,
)
from model_registry.manifest import Manifest
from model_registry.market import DEFAULT_MARKET, FOLDER, BadMarket, Market, find_market
from model_registry.registries import Registries
from model_registry.settings import DEFAULT_REGISTRY

ROOT = Path(__file__).parents[1]
LOGS = Path("var/demo")
PROMOTION_SECONDS, START_SECONDS = 120, 30
INDENT = 3
BEST = 5
_NOT_STARTED = {dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING}


def main() -> None:
    """Run the demo; exits non-zero with a sentence where a part of it fails."""
    os.chdir(ROOT)
    begin, steps = time.monotonic(), Steps()
    steps.heading(f"1. Training on {snapshot()}")
    if code := train(steps, LOGS / "training.log"):
        sys.exit(code)  # its last line said why
    show_leaderboard()
    steps.heading("2. The daemon runs; its sensor promote_best_model sees the new leaderboard")
    with running("dagster-daemon", "run", log=LOGS / "daemon.log") as daemon:
        wait_for_promotion(steps, daemon)
    market = show_champion().market
    steps.heading("3. The API serves the champion")
    port = free_port()
    with running(sys.executable, "-m", "api", log=LOGS / "api.log", PORT=str(port)) as api:
        wait_for_api(steps, api, port)
        ask(port, market)
    steps.heading(f"Done in {time.monotonic() - begin:.0f} s.")
    print_wrapped(next_step())


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


def show_leaderboard() -> None:
    """The leaderboard as the run stored it, its first places and why the leader leads."""
    stored = FolderIOManager(folder=os.environ.get("ASSET_FOLDER") or "var/assets")
    leaderboard = json.loads(stored.file(market_name(), dg.AssetKey("leaderboard"), "leaderboard.json"))
    standings, leader = leaderboard["standings"], leaderboard["leader"]
    width = terminal_width()
    room = None if width is None else width - INDENT
    table = fitted(lambda titles: leaderboard_table(standings[:BEST], leader, titles), _COLUMNS, _FIRST_TO_GO, room)
    print_wrapped("")
    print_table(table, fold=False, indent=INDENT)
    if rest := standings[BEST:]:
        print_wrapped(f"and {len(rest)} more, down to {rest[-1]['candidate']}.", indent=INDENT)
    print_wrapped(leaderboard["reason"], indent=INDENT)


_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "": lambda row: str(row["rank"]),
    "candidate": lambda row: row["candidate"],
    "CV log loss": lambda row: f"{row['cross_validated_log_loss']:.4f}",
    "accuracy": lambda row: f"{row['accuracy']:.4f}",
    "ROC AUC": lambda row: f"{row['roc_auc']:.4f}",
    "size": lambda row: f"{row['model_bytes'] / 1000:,.0f} kB",
    "one answer": lambda row: f"{row['latency_us']:.0f} µs",
}
"""Of the leaderboard."""
_FIRST_TO_GO = ("one answer", "size", "ROC AUC", "accuracy", "CV log loss")
"""Where the terminal is narrow."""


def leaderboard_table(standings: list[dict[str, Any]], leader: str, titles: list[str]) -> Table:
    """Some of its rows and columns, → before the leader."""
    table = new_table()
    table.add_column("")
    for title in titles:
        table.add_column(title, no_wrap=True, justify="left" if title == "candidate" else "right")
    for row in standings:
        table.add_row("→" if row["candidate"] == leader else "", *(_COLUMNS[title](row) for title in titles))
    return table


def wait_for_promotion(steps: Steps, daemon: subprocess.Popen[bytes]) -> None:
    """Until the champion was chosen from the latest leaderboard."""
    with dg.DagsterInstance.get() as instance:
        latest = materialization(instance, market_name(), "leaderboard")
        if latest is None:
            sys.exit("Dagster has no record of the leaderboard that was just made: is DAGSTER_HOME another one?")
        filters = dg.RunsFilter(tags={"dagster/run_key": f"leaderboard-{latest.storage_id}"})
        clock = ticks(PROMOTION_SECONDS, "no promotion", daemon)

        def seen() -> dg.DagsterRun:
            for _ in clock:
                for run in instance.get_runs(filters, limit=1):
                    return run
            raise AssertionError  # the clock ends the demo

        with steps.step("the daemon starts, and its sensor looks", "the sensor asks for a run of promotion"):
            run = seen()
        name, status = f"promotion (run {run.run_id[:8]})", "queued"
        with steps.step(name, name, lambda: status):
            while not run.is_finished:
                status = "queued" if run.status in _NOT_STARTED else "the gate decides"
                run = seen()
            if run.status != dg.DagsterRunStatus.SUCCESS:
                steps.failed(name)
                sys.exit(why_it_failed(instance, run.run_id))


def show_champion() -> Manifest:
    """The champion and the last decision, as the registry folder tells them; what is known of the champion."""
    registry = Registries(os.environ.get("MODEL_REGISTRY") or DEFAULT_REGISTRY).of(market_name())
    champion, last = registry.champion(), registry.history()[-1]
    if champion is None:
        sys.exit(f"The gate kept the challenger out: {last.decision.reason}")
    manifest = registry.open(champion.version).manifest
    made_up = "made-up " if manifest.snapshot.synthetic else ""
    lines = {
        "decision": f"{last.action} of {last.version}: {last.decision.reason}",
        "champion": f"{champion.version}, promoted {champion.promoted_at:%Y-%m-%d %H:%M:%S} UTC by {champion.actor}",
        "trained on": f"{manifest.rows.train:,} {made_up}listings of {manifest.snapshot.date}, "
        f"snapshot {manifest.snapshot.sha256[:12]}",
    }
    print_table(two_columns(lines, label_width(lines)), indent=1)
    return manifest


def wait_for_api(steps: Steps, api: subprocess.Popen[bytes], port: int) -> None:
    """Until /readyz answers 200."""
    with steps.step("the API starts", "the API is ready"):
        for _ in ticks(START_SECONDS, "the API is not ready", api):
            try:
                if request(port, "GET", "/readyz")[0] == 200:
                    return
            except OSError:
                continue


def ask(port: int, market: Market) -> None:
    """Classify the market's example over HTTP, and then once more with the reasons."""
    listing = market.example()
    body = json.dumps(listing)
    print_wrapped(f"POST /classify {body}", indent=INDENT)
    status, headers, answer = request(port, "POST", "/classify", body)
    print_wrapped(f"{status} {answer}", indent=INDENT)
    if status != 200:
        sys.exit("The API did not answer.")
    status, _, explained = request(port, "POST", "/classify?probabilities=true&explain=true", body)
    if status != 200:
        sys.exit(f"The API did not explain its answer: {status} {explained}")
    print_wrapped("")
    print_wrapped("With ?probabilities=true&explain=true it says more:", indent=INDENT)
    show_answer(listing, msgspec.json.decode(explained, type=Answer), market.prices())
    made_up = " of made-up listings" if headers["X-Synthetic"] == "true" else ""
    print_wrapped(
        f"Answered by {headers['X-Model-Version']}, published by run {headers['X-Run-Id']}, trained on snapshot "
        f"{headers['X-Snapshot'][:12]}{made_up}.",
        indent=INDENT,
    )


def next_step() -> str:
    """What to do after the demo, in one sentence."""
    page, ui = (
        f"http://127.0.0.1:{os.environ.get(name) or port}" for name, port in (("PORT", 8000), ("UI_PORT", 3000))
    )
    market = "" if market_name() == DEFAULT_MARKET else f"MARKET={market_name()} "
    return (
        f"Next: `{market}make up` keeps it running, with a page on {page} where you describe a listing of your own, "
        f"and the runs and their pictures on {ui}."
    )


def ticks(seconds: float, otherwise: str, process: subprocess.Popen[bytes]) -> Iterator[None]:
    """A tick a quarter of a second; ends the demo in words when time runs out or the process has died."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{otherwise}: the process ended with {process.returncode}; its log is in var/demo/")
        yield
        time.sleep(0.25)
    sys.exit(f"{otherwise} after {seconds:g} s; its log is in var/demo/")


if __name__ == "__main__":
    main()
