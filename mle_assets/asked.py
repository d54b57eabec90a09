"""What the sensors asked for before: runs that are not finished yet, and those that failed and are asked for again."""

import time
from collections.abc import Mapping, Sequence

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from mle_assets.partitions import MARKET_TAG

REPEATED_AFTER, MOST_REPEATED = 600.0, 6
"""Seconds after which a run that failed is asked for again, twice as long each time; and how often."""
AGAIN = f"it is asked for again after ten minutes, then after twice as long each time, {MOST_REPEATED} times in all"
"""REPEATED_AFTER and MOST_REPEATED in words, for a reason to skip."""
MOST_NAMES = 10
"""So many of what there may be hundreds of are named in one sentence."""


def under_way_of(instance: dg.DagsterInstance, job: str) -> set[str]:
    """The markets that a job has runs of which are not finished."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job, statuses=NOT_FINISHED_STATUSES))
    return {run.tags[MARKET_TAG] for run in runs if MARKET_TAG in run.tags}


def failures_of(instance: dg.DagsterInstance, job: str, tag: str, wanted: Mapping[str, str]) -> dict[str, list[float]]:
    """When the failed runs of a job ended whose tag has the value wanted for their market, for each market wanted.

    It takes one statement, however many markets there are.
    """
    ends: dict[str, list[float]] = {market: [] for market in wanted}
    if wanted:
        of_any = {tag: sorted(set(wanted.values()))}
        failed = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.FAILURE], tags=of_any)
        for record in instance.get_run_records(failed):
            tags = record.dagster_run.tags
            market = tags.get(MARKET_TAG, "")
            if wanted.get(market) == tags[tag]:
                ends[market].append(record.end_time or 0.0)
    return ends


def asked_for_later(failures: Mapping[str, Sequence[float]]) -> list[str]:
    """The markets whose runs failed too lately, or too often, to be asked for again now.

    What a run met may have been a store that was away or full, and nobody tells a sensor when that is over.
    """
    now = time.time()
    return [
        market
        for market, ends in failures.items()
        if ends and (len(ends) > MOST_REPEATED or now < max(ends) + REPEATED_AFTER * 2 ** (len(ends) - 1))
    ]


def requests_for(
    instance: dg.DagsterInstance, job: str, tag: str, wanted: Mapping[str, str], keys: Mapping[str, str]
) -> tuple[list[dg.RunRequest], list[str]]:
    """A run of a job for each market, tagged with what is wanted of it, and the markets to be asked for later.

    A run has its market's key; one that failed is asked for again under another.
    """
    failures = failures_of(instance, job, tag, wanted)
    later = asked_for_later(failures)
    requests = [
        dg.RunRequest(
            run_key=f"{keys[market]}-{len(failures[market])}" if failures[market] else keys[market],
            partition_key=market,
            tags={tag: what},
        )
        for market, what in wanted.items()
        if market not in later
    ]
    return requests, later


def first_of(names: Sequence[str]) -> str:
    """Some names with commas between them, and how many more there are."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
