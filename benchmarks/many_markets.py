"""What the daemon and its sensors take with many markets and a long history, which is made up and said to be.

    python -m benchmarks.many_markets --markets 200 --runs 10000 --seconds 180

Over PostgreSQL where POSTGRES_HOST, POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB name one (an empty database, as
the containers have it), else over SQLite. Every market has a champion in the registry; the recorded runs have the
materializations that real ones record, and no step logs. Then the real daemon runs with every sensor on, and no run of
its own is begun. What is printed comes from the ticks that Dagster recorded itself, and from the processes' memory.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import msgspec
import yaml
from dagster._core.events import DagsterEvent, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.dagster_run import DagsterRunStatus

from local.processes import running
from mle_assets.partitions import MARKET_TAG
from model_registry.history import Decision
from model_registry.market import NEW_YORK
from model_registry.registries import Registries
from tests.making import manifest, model

ROOT = Path(__file__).parents[1]
SENSORS = ("promote_best_model", "new_snapshot", "observe_champion", "new_answers", "train_when_needed")
TRAINED = (
    *("raw_listings", "listings", "train_listings", "test_listings"),
    *("validation", "models", "evaluations", "leaderboard"),
)
AFTER = ("served_listings", "drift", "live_performance")
PROMOTED = Decision(promote=True, reason="Better than the majority class.", numbers={})


def main() -> None:
    """Make everything up, let the daemon run, and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--markets", type=int, default=200)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=180)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        markets = ["new-york", *(f"city-{number:03d}" for number in range(1, given.markets))]
        environment = {**os.environ, **settings(home, markets)}
        versions = publish(home / "registry", markets)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            started = time.monotonic()
            record(instance, markets, versions, given.runs)
            print(
                f"{given.markets} markets, {instance.get_runs_count():,} runs recorded in "
                f"{time.monotonic() - started:.0f} s, in {storage()}"
            )
            start = ["dagster", "sensor", "start", "train_when_needed", "-m", "mle_assets.definitions"]
            subprocess.run(start, env=environment, check=True, capture_output=True)
            daemon = ("dagster-daemon", "run", "-m", "mle_assets.definitions")
            with running(*daemon, log=home / "daemon.log", **environment) as process:
                memory = list(watched(process.pid, given.seconds))
            show_ticks(instance)
            show_memory(memory)


def storage() -> str:
    """What Dagster's records are kept in."""
    return "PostgreSQL" if "POSTGRES_HOST" in os.environ else "SQLite"


def settings(home: Path, markets: list[str]) -> dict[str, str]:
    """The environment of the daemon, with a file for each market and an instance's settings that begin no run."""
    (home / "markets").mkdir()
    text = (ROOT / "markets" / "new-york.toml").read_text()
    for market in markets:
        (home / "markets" / f"{market}.toml").write_text(text)
    instance = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    if storage() == "PostgreSQL":
        instance |= yaml.safe_load((ROOT / "containers" / "dagster.yaml").read_text())
    else:
        instance["storage"] = {"sqlite": {"base_dir": str(home / "dagster")}}
    instance["local_artifact_storage"]["config"]["base_dir"] = str(home / "dagster")
    instance["compute_logs"]["config"]["base_dir"] = str(home / "dagster" / "logs")
    instance["run_queue"] = {"max_concurrent_runs": 0}
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance))
    return {
        "DAGSTER_HOME": str(home),
        "MARKET_FOLDER": str(home / "markets"),
        "ASSET_FOLDER": str(home / "assets"),
        "MODEL_REGISTRY": str(home / "registry"),
        "SNAPSHOT_FOLDER": str(home / "snapshots"),
        "PREDICTION_LOG": str(home / "predictions"),
    }


def publish(registry: Path, markets: list[str]) -> dict[str, str]:
    """A champion for each market; its version by the market."""
    content, versions = model(0), dict[str, str]()
    for market in markets:
        draft = manifest(content, market=msgspec.structs.replace(NEW_YORK, name=market))
        of_market = Registries(registry).of(market)
        versions[market] = of_market.publish(draft, content, b"<html></html>")
        of_market.promote(versions[market], PROMOTED, run_id=None, actor="benchmark")
    return versions


def record(instance: dg.DagsterInstance, markets: list[str], versions: dict[str, str], runs: int) -> None:
    """Record so many runs, of one market after another: a training, its promotion, a look at the answers, and again."""
    leaderboards: dict[str, int] = {}
    for number in range(runs):
        market, kind = markets[number % len(markets)], (number // len(markets)) % 3
        if number % len(markets) == 0 and kind == 1:
            made = dg.DagsterEventType.ASSET_MATERIALIZATION
            leaderboards = dict(instance.get_latest_storage_id_by_partition(dg.AssetKey("leaderboard"), made))
        run = dg.DagsterRun(
            job_name=("training", "promotion", "monitoring")[kind],
            run_id=str(uuid4()),
            status=DagsterRunStatus.SUCCESS,
            tags={MARKET_TAG: market},
        )
        instance.run_storage.add_run(run)
        assets = (TRAINED, ("champion",), AFTER)[kind]
        chosen_from = leaderboards.get(market) if kind == 1 else None
        made_of = [materialized(run, market, asset, versions[market], chosen_from) for asset in assets]
        instance.event_log_storage.store_event_batch(made_of)


def materialized(run: dg.DagsterRun, market: str, asset: str, version: str, chosen_from: int | None) -> EventLogEntry:
    """What is recorded when a run has made an asset of a market; a champion, of a leaderboard by its storage id."""
    tags, metadata = {"dagster/data_version": uuid4().hex}, {"rows": dg.MetadataValue.int(30_000)}
    if chosen_from is not None:
        tags["dagster/input_event_pointer/leaderboard"] = str(chosen_from)
        metadata["champion"] = dg.MetadataValue.text(version)
    made = dg.AssetMaterialization(asset, partition=market, metadata=metadata, tags=tags)
    event = DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
        job_name=run.job_name,
        step_key=asset,
        event_specific_data=StepMaterializationData(made, []),
    )
    return EventLogEntry(
        error_info=None,
        level="debug",
        user_message="",
        run_id=run.run_id,
        timestamp=time.time(),
        step_key=asset,
        job_name=run.job_name,
        dagster_event=event,
    )


def watched(group: int, seconds: float) -> Iterator[float]:
    """The memory in MB of the daemon and its code server, summed over its session, every five seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(5)
        told = subprocess.run(["ps", "-o", "rss=", "--sid", str(group)], capture_output=True, text=True, check=True)
        yield sum(map(int, told.stdout.split())) / 1e3


def show_ticks(instance: dg.DagsterInstance) -> None:
    """Print how long the ticks of each sensor took, by Dagster's own records."""
    print(f"{'sensor':20} {'ticks':>5} {'median s':>9} {'longest s':>10}  the last one said")
    for state in sorted(instance.all_instigator_state(), key=lambda state: state.name):
        ticks = [
            tick
            for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=100)
            if tick.is_completed or tick.is_failure
        ]
        if not ticks:
            print(f"{state.name:20} none ended")
            continue
        took = [(tick.end_timestamp or time.time()) - tick.timestamp for tick in ticks]
        last = ticks[0]
        said = last.error.message.strip() if last.error else last.skip_reason or f"{len(last.run_ids)} runs asked for"
        print(f"{state.name:20} {len(ticks):>5} {statistics.median(took):>9.2f} {max(took):>10.2f}  {said[:100]}")


def show_memory(memory: list[float]) -> None:
    """Print the memory at the beginning and at the end of the time, and the most."""
    third = max(1, len(memory) // 3)
    first, last = statistics.median(memory[third : 2 * third] or memory), statistics.median(memory[-third:])
    print(f"memory: {first:.0f} MB in the second third of the time, {last:.0f} in the last, {max(memory):.0f} at most")


if __name__ == "__main__":
    sys.exit(main())
