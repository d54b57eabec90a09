"""What was measured, as tables, and beside what the project wants."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter
from statistics import median

from benchmarks.serving.load import (
    BATCH,
    BATCH_CLIENTS,
    BATCH_CONNECTIONS,
    LARGE_BATCH,
    OPEN_CONNECTIONS,
    SINGLES_RATE,
    Mixed,
    Rate,
)
from benchmarks.serving.open_loop import Figures
from benchmarks.serving.servers import BEFORE, FASTAPI, LIMIT, OURS, PREDECESSOR, UNLOGGED, UNOBSERVED, WHAT

CONNECTIONS = (1, 16, 64)
GOALS = {LIMIT: 0.45, BEFORE: 3.0, FASTAPI: 3.0, PREDECESSOR: 200.0, UNLOGGED: 0.95, UNOBSERVED: 0.9}
"""How many times a row's requests a second ours are to be, at 16 connections."""
GOAL_BATCHES = 1.5
"""How many times the listings a second of before, in batches of a thousand."""
GOAL_HALF_LOAD = 3.0
"""Milliseconds, the 99th percentile at half of the highest rate."""
GOAL_MIXED = 50.0
"""Milliseconds, the 99th percentile of others beside large batches."""


@dataclass
class Measured:
    """Everything of one run, by row, a value for each round."""

    singles: dict[tuple[str, int], list[Rate]] = field(default_factory=dict)
    """By row and connections."""
    due: dict[str, tuple[float, list[Figures]]] = field(default_factory=dict)
    """With the requests a second that were due."""
    batches: dict[str, list[Rate]] = field(default_factory=dict)
    mixed: dict[str, list[Mixed]] = field(default_factory=dict)
    ready: dict[str, list[float]] = field(default_factory=dict)
    """Seconds from start to ready."""
    resident: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Megabytes when ready and at the end."""

    def highest(self, row: str) -> float:
        """The most requests a second that a row answered, the median of the rounds."""
        return max(middle(self.singles[row, connections], "rate") for connections in CONNECTIONS)


def middle(rounds: Iterable[object], figure: str) -> float:
    """The median of one figure."""
    return median(map(attrgetter(figure), rounds))


def largest(rounds: Iterable[object], figure: str) -> float:
    """The largest of one figure."""
    return max(map(attrgetter(figure), rounds))


def tables(measured: Measured, rows: Sequence[str]) -> None:
    """Print every figure, the medians of the rounds."""
    _singles(measured, rows)
    _due(measured)
    _batches(measured)
    _mixed(measured)
    print("\nseconds from start to ready, resident megabytes when ready and at the end")
    for row, (ready, end) in measured.resident.items():
        print(f"{row:<12}{median(measured.ready[row]):>11.2f}{ready:>9.0f}{end:>9.0f}")


def _singles(measured: Measured, rows: Sequence[str]) -> None:
    print("\n/classify, as many requests as are answered; latencies in ms, CPU of the server in µs a request")
    print(f"{'connections:':<12}" + "".join(f"{connections:^36}" for connections in CONNECTIONS).rstrip())
    print(f"{'':<12}" + f"{'requests/s':>11}{'p50':>9}{'p99':>9}{'CPU':>7}" * len(CONNECTIONS))
    for row in rows:
        line = f"{row:<12}"
        for connections in CONNECTIONS:
            rates = measured.singles[row, connections]
            rate, p50, p99, cpu = (middle(rates, figure) for figure in ("rate", "p50", "p99", "cpu"))
            line += f"{rate:>11,.0f}{p50:>9.2f}{p99:>9.2f}{cpu:>7.0f}"
        print(line)
    for row in rows:
        print(f"  {row}: {WHAT[row]}")


def _due(measured: Measured) -> None:
    print(
        f"\n/classify, requests sent when they are due over {OPEN_CONNECTIONS} connections, at half of the highest "
        "rate of ours, or of its own\nwhere a row cannot bear that; latencies in ms from when a request was due"
    )
    print(f"{'':<12}{'due/s':>11}{'p50':>9}{'p99':>9}{'max':>9}{'sent late, p99':>17}")
    for row, (rate, rounds) in measured.due.items():
        p50, p99, late = (middle(rounds, figure) for figure in ("p50", "p99", "sent_late_p99"))
        print(f"{row:<12}{rate:>11,.0f}{p50:>9.2f}{p99:>9.2f}{largest(rounds, 'max'):>9.2f}{late:>17.2f}")


def _batches(measured: Measured) -> None:
    print(f"\n/classify/batch of {BATCH:,} over {BATCH_CONNECTIONS} connections; latencies in ms")
    print(f"{'':<12}{'listings/s':>11}{'p50':>9}{'p99':>9}")
    for row, rates in measured.batches.items():
        rate, p50, p99 = (middle(rates, figure) for figure in ("rate", "p50", "p99"))
        print(f"{row:<12}{BATCH * rate:>11,.0f}{p50:>9.2f}{p99:>9.2f}")


def _mixed(measured: Measured) -> None:
    print(
        f"\n{BATCH_CLIENTS} clients post batches of {LARGE_BATCH:,}, others ask {SINGLES_RATE} times a second beside "
        "them; latencies in ms from when a request was due"
    )
    print(f"{'':<12}{'listings/s':>11}{'/livez p50':>13}{'p99':>9}{'max':>9}{'/classify p50':>16}{'p99':>9}{'max':>9}")
    for row, rounds in measured.mixed.items():
        line = f"{row:<12}{middle(rounds, 'listings_rate'):>11,.0f}"
        for path, width in (("livez", 13), ("single", 16)):
            line += f"{middle(rounds, f'{path}.p50'):>{width}.2f}{middle(rounds, f'{path}.p99'):>9.2f}"
            line += f"{largest(rounds, f'{path}.max'):>9.2f}"
        print(line)


def goals(measured: Measured) -> None:
    """Print what the project wants and what it was: the median of the rounds, and their range."""
    print(f"\n{'':<44}{'median':>9}   {'rounds':<20}goal")
    for row, goal in GOALS.items():
        if (row, 16) in measured.singles:
            ratios = _ratios(measured.singles[OURS, 16], measured.singles[row, 16])
            _goal(f"ours / {row}, 16 connections", ratios, at_least=goal)
    if BEFORE in measured.batches:
        ratios = _ratios(measured.singles[OURS, 1], measured.singles[BEFORE, 1])
        _goal("ours / before, one connection", ratios, at_least=1.0)
        ratios = _ratios(measured.batches[OURS], measured.batches[BEFORE])
        _goal(f"ours / before, batches of {BATCH:,}", ratios, at_least=GOAL_BATCHES)
    _goal("ours, p99 at 16 connections, ms", [one.p99 for one in measured.singles[OURS, 16]])
    _goal(
        "ours, p99 at half of its highest rate, ms", [one.p99 for one in measured.due[OURS][1]], at_most=GOAL_HALF_LOAD
    )
    mixed = measured.mixed[OURS]
    _goal("ours, /livez p99 beside large batches, ms", [one.livez.p99 for one in mixed], at_most=GOAL_MIXED)
    _goal("ours, /classify p99 beside large batches, ms", [one.single.p99 for one in mixed], at_most=GOAL_MIXED)
    for words in failures(measured):
        print(f"! {words}")


def _ratios(ours: list[Rate], others: list[Rate]) -> list[float]:
    return [one.rate / other.rate for one, other in zip(ours, others, strict=True)]


def _goal(what: str, values: list[float], *, at_least: float = 0.0, at_most: float = inf) -> None:
    value, digits = median(values), 0 if min(values) >= 100 else 2
    line = f"{what:<44}{value:>9.{digits}f}   {f'{min(values):.{digits}f} to {max(values):.{digits}f}':<20}"
    if at_least or at_most < inf:
        line += f"at least {at_least:g}" if at_least else f"at most {at_most:g}"
        line += ": reached" if at_least <= value <= at_most else ": missed"
    print(line.rstrip())


def failures(measured: Measured) -> Iterator[str]:
    """In words, what was not answered with 200: figures beside it are not to be believed."""
    counts: dict[str, int] = {}
    for (row, connections), rates in measured.singles.items():
        counts[f"{row}, {connections} connections"] = sum(one.failed for one in rates)
    for row, (_, figures) in measured.due.items():
        counts[f"{row}, when they were due"] = sum(one.failed for one in figures)
    for row, rates in measured.batches.items():
        counts[f"{row}, batches of {BATCH:,}"] = sum(one.failed for one in rates)
    for row, rounds in measured.mixed.items():
        counts[f"{row}, beside large batches"] = sum(one.livez.failed + one.single.failed for one in rounds)
        counts[f"{row}, large batches"] = sum(one.failed_batches for one in rounds)
    return (f"{where}: {failed:,} requests failed." for where, failed in counts.items() if failed)
