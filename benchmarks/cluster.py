"""What the engine of a cluster adds to its runs: markets trained by workers of one core each.

    python -m benchmarks.cluster --markets 12 --workers 2 --listings 5000

On a Docker engine, as `make test-cluster`: PostgreSQL, Redis and the object store are the cluster's own, on the same
machine. All trainings are asked for at once, the sensor promotes each; the total is from the first request until the
last run has ended, and the ideal is the sum of what the runs took themselves, shared out among the workers.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.cluster.cluster import Cluster, cluster
from tests.containers.stack import ENDED, reason_to_skip
from tests.waiting import until

_TIMES = """
{ runsOrError { ... on Runs { results { jobName status creationTime startTime endTime } } } }
"""


def main() -> None:
    """Print the total and the ideal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--markets", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--listings", type=int, default=5_000)
    given = parser.parse_args()
    if reason := reason_to_skip():
        sys.exit(f"No containers here: {reason}")
    markets = ["new-york", *(f"city-{number:02d}" for number in range(1, given.markets))]
    settings = {"WORKERS": str(given.workers), "WORKER_CPUS": "1", "SYNTHETIC_LISTINGS": str(given.listings)}
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder), markets, **settings) as stack:
        until(lambda: len(stack.workers()) == given.workers, seconds=60)
        start = time.time()
        for market in markets:
            stack.launch("training", market=market)
        until(lambda: all_promoted(stack, given.markets), seconds=7_200, every=2)
        report(stack, start, given.workers)


def all_promoted(stack: Cluster, markets: int) -> bool:
    """Whether each market's training and promotion have ended."""
    runs = stack.runs().values()
    return len(runs) >= 2 * markets and all(run.status in ENDED for run in runs)


def report(stack: Cluster, start: float, workers: int) -> None:
    """Print what the runs took themselves, what all took together, and the ratio."""
    rows = stack.graphql(_TIMES)["runsOrError"]["results"]
    if failed := [row for row in rows if row["status"] != "SUCCESS"]:
        sys.exit(f"{len(failed)} runs did not end well: {failed[0]}")
    took = [row["endTime"] - row["startTime"] for row in rows]
    total, ideal = max(row["endTime"] for row in rows) - start, sum(took) / workers
    trainings = sorted(one for one, row in zip(took, rows, strict=True) if row["jobName"] == "training")
    print(
        f"{len(rows)} runs on {workers} workers: a training {median(trainings):.1f} s ({trainings[0]:.1f} to "
        f"{trainings[-1]:.1f}); all of them in {total:.0f} s, {total / ideal:.3f} of the ideal {ideal:.0f} s"
    )


if __name__ == "__main__":
    main()
