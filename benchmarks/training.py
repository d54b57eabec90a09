"""Training: the whole job beside all that the predecessor did, and how both the job and its parts grow with the data.

    make bench SNAPSHOT=listings.csv.gz

Prints seconds, cores in use, peak memory and ratios; nothing is asserted. How to read them is in benchmarks/README.md.
Each is a process of its own, and they take turns. SIZES (100000,300000,1000000) are the synthetic snapshots that a
training is measured on besides; without any, only the shared one is.
"""

import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mle_assets.listings.synthetic import write_snapshot

ROOT = Path(__file__).parents[1]
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SIZES = [int(size) for size in os.environ.get("SIZES", "100000,300000,1000000").split(",") if size]
LIKE_NEW_YORK = 31_841
_LINE = re.compile(r"(?P<at>[\d-]{10} [\d:]{8}) [\da-f]{8} (?P<text>.*)")
_STEP = re.compile(r"(?P<step>\w+) +(?P<seconds>\d+\.\d) s")


@dataclass(frozen=True)
class Measured:
    """One process from its start to its end."""

    seconds: float
    processor: float
    """Seconds of it, of all cores together."""
    megabytes: float
    """The most that was resident."""
    output: str

    @property
    def cores(self) -> float:
        """How many were in use on average."""
        return self.processor / self.seconds


def measured(command: list[str], environment: dict[str, str]) -> Measured:
    """Run a command to its end; leaves with its words where it fails."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        output.seek(0)
        text = output.read().decode()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{text[-3_000:]}")
    return Measured(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3, text)


def predecessor(snapshot: str, folder: Path) -> Measured:
    """All that the replaced system did."""
    where = folder / "predecessor"
    where.mkdir(exist_ok=True)
    # As it was run: nobody told its libraries how many threads to use.
    told = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
    environment = {name: value for name, value in os.environ.items() if name not in told}
    return measured([sys.executable, "-m", "benchmarks.predecessor", snapshot, str(where)], environment)


def job(snapshot: str, folder: Path) -> Measured:
    """`dagster job execute -j training`, as a person would run it, with a Dagster home that was used before."""
    home = folder / "home"
    if not home.exists():
        home.mkdir()
        (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text().replace("var/dagster", str(home)))
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "SNAPSHOT": snapshot,
        "ASSET_FOLDER": str(folder / "assets"),
    }
    command = ["dagster", "job", "execute", "-m", "mle_assets.definitions", "-j", "training"]
    return measured([sys.executable, "-W", "ignore", "-m", *command], environment)


def side_by_side(snapshot: str, folder: Path) -> None:
    """The job and the predecessor's way, in turns; the job once before, so that Dagster's home is there."""
    job(snapshot, folder)
    ours, its = list[Measured](), list[Measured]()
    for _ in range(ROUNDS):
        its.append(predecessor(snapshot, folder))
        ours.append(job(snapshot, folder))
    print(f"\n{'':<34}{'seconds':>9}{'cores':>7}{'MB':>7}   median of {ROUNDS}")
    for what, runs in (("the predecessor's way, whole", its), ("dagster job execute -j training", ours)):
        seconds, cores, megabytes = (_median(runs, figure) for figure in ("seconds", "cores", "megabytes"))
        print(f"{what:<34}{seconds:>9.1f}{cores:>7.2f}{megabytes:>7.0f}")
    for what, figure in (("seconds", "seconds"), ("memory", "megabytes")):
        ratios = sorted(getattr(a, figure) / getattr(b, figure) for a, b in zip(ours, its, strict=True))
        print(f"training / predecessor, {what}: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    last = ours[-1]
    begun, steps = of_run(last)
    parts = ", ".join(f"{step} {seconds:.1f}" for step, seconds in steps.items())
    print(f"of which the run itself {begun:.0f} s: {parts}")
    # Each market has a folder of its own, and here is one market.
    [file] = (folder / "assets").glob("*/leaderboard/leaderboard.json")
    leaderboard = json.loads(file.read_text())
    leader = next(row for row in leaderboard["standings"] if row["candidate"] == leaderboard["leader"])
    print("leader: " + ", ".join(f"{name} {leader[name]}" for name in ("candidate", "accuracy", "roc_auc", "log_loss")))
    models = (folder / "assets").glob("*/models/**/*.onnx")
    print(f"models on disk: {sum(file.stat().st_size for file in models) / 1e6:.0f} MB")


def of_run(run: Measured) -> tuple[float, dict[str, float]]:
    """How long a run took between its first and its last line, and each of its steps, in seconds."""
    lines = [found for line in run.output.splitlines() if (found := _LINE.fullmatch(line))]
    first, last = (datetime.fromisoformat(line["at"]) for line in (lines[0], lines[-1]))
    steps = {found["step"]: float(found["seconds"]) for line in lines if (found := _STEP.fullmatch(line["text"]))}
    return (last - first).total_seconds(), steps


def beside_a_busy_process(snapshot: str, folder: Path) -> None:
    """The job with another process that never rests."""
    alone = job(snapshot, folder)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        beside = job(snapshot, folder)
    finally:
        busy.kill()
        busy.wait()
    print(f"\nbeside a busy process / alone: {beside.seconds / alone.seconds:.2f}", flush=True)


def growth(folder: Path) -> None:
    """The job on synthetic snapshots of several sizes, with the exponent by which its time grows between them."""
    print(f"\n{'listings':>10}{'seconds':>9}{'cores':>7}{'MB':>7}{'exponent':>10}")
    before: tuple[int, float] | None = None
    for size in SIZES:
        snapshot = folder / f"{size}.csv"
        write_snapshot(snapshot, size)
        run = job(str(snapshot), folder)
        exponent = math.log(run.seconds / before[1]) / math.log(size / before[0]) if before else math.nan
        print(f"{size:>10,}{run.seconds:>9.1f}{run.cores:>7.2f}{run.megabytes:>7.0f}{exponent:>10.2f}", flush=True)
        before = size, run.seconds
        snapshot.unlink()


def _median(runs: list[Measured], figure: str) -> float:
    return statistics.median(getattr(run, figure) for run in runs)


def main() -> None:
    """Measure everything, one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        snapshot = os.environ.get("SNAPSHOT") or str(folder / "synthetic.csv")
        if not os.environ.get("SNAPSHOT"):
            write_snapshot(Path(snapshot), LIKE_NEW_YORK)
        side_by_side(snapshot, folder)
        beside_a_busy_process(snapshot, folder)
        growth(folder)


if __name__ == "__main__":
    main()
