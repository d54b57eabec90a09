"""When to train again: what is established about the champion, where there is anything new to learn from."""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple, TypeVar

import dagster as dg
import msgspec

from mle_assets.io_managers import FolderIOManager
from mle_assets.listings.snapshot import DefaultSnapshot
from mle_assets.monitoring.inputs import DriftReport
from mle_assets.monitoring.live_report import LiveReport
from mle_assets.monitoring.newer import (
    AFTER_LATE,
    Late,
    Seen,
    TimeIsUp,
    TimeLeft,
    feedback_news,
    remembered,
    snapshot_news,
)
from mle_assets.release.champion import Release
from model_registry.history import HistoryDamaged
from model_registry.manifest import Manifest, ManifestRefused
from model_registry.market import Market
from model_registry.registries import Registries
from model_registry.store import UnknownVersion
from storage.errors import StoreAway

COOL_DOWN = 86_400.0
"""Seconds from one request for a market to the next, whatever is established: a training takes its time to show."""
TICK_SECONDS = 40.0
"""A look at the markets ends then, and the next one goes on: Dagster gives a sensor sixty seconds."""
_AT_ONCE = 16
"""So many markets' champions and reports are read at once: each may be several requests to a store."""
_MOST_CAUSES = 50


class Cause(msgspec.Struct, frozen=True):
    """Why a champion is to be replaced: a word for it, if anything is established, and a sentence."""

    word: str | None
    sentence: str


def cause_of(champion: str, drift: DriftReport | None, live: LiveReport | None) -> Cause:
    """What is established about a champion by the latest reports; reports of another champion say nothing."""
    reports = {"drift": drift, "accuracy": live}
    of_it = {name: one for name, one in reports.items() if one is not None and one.champion == champion}
    if not of_it:
        return Cause(None, f"no report of {champion} yet: run the job monitoring")
    found = [name for name, one in of_it.items() if one.verdict in ("drift", "below its test")]
    told = " ".join(f"{name}: {one.verdict} ({one.current.reason})" for name, one in of_it.items())
    return Cause("-and-".join(found) or None, told)


_Report = TypeVar("_Report", DriftReport, LiveReport)


def train_when_needed_sensor(markets: Iterable[Market], *, train_on_feedback: bool) -> dg.SensorDefinition:
    """The sensor `train_when_needed`, for some markets."""
    known = list(markets)

    @dg.sensor(
        name="train_when_needed",
        job_name="training",
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=300,
        description="Trains once for each cause: when drift or a loss of accuracy is established and there is newer "
        "data than the champion's, at most once a day for each market; off until someone turns it on.",
    )
    def train_when_needed(
        context: dg.SensorEvaluationContext,
        release: Release,
        default_snapshot: DefaultSnapshot,
        artefacts: dg.ResourceParam[FolderIOManager],
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        left, now, seen = TimeLeft(TICK_SECONDS), time.time(), remembered(context.cursor)
        turns, registries = _in_turn(known, seen.next), release.registries()
        seen.next = ""
        requests, told, unseen = list[dg.RunRequest](), list[str](), list[str]()
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            standings = [pool.submit(_standing, market, registries, artefacts) for market in turns]
            for place, (market, standing) in enumerate(zip(turns, standings, strict=True)):
                try:
                    stands = _in_time(standing, left)
                    source = default_snapshot.of(market)
                    request, sentence = _needed(market, stands, source, seen, now, left, train_on_feedback)
                except StoreAway as error:
                    # It would be waited for with every market anew. The next look begins behind this one, for what is
                    # refused may be this market's alone.
                    told.append(f"From {market.name} on no market could be looked at: {error}.")
                    seen.next = turns[(place + 1) % len(turns)].name
                    break
                except TimeIsUp as error:
                    if place or error.hashing is None:
                        unseen.append(market.name)
                    else:
                        # It had all the time there is; another try would take as much from the others, for nothing.
                        seen.late[error.hashing.source] = Late(now, error.hashing.state)
                        told.append(f"{market.name}: {error}, {AFTER_LATE}.")
                    continue
                told.append(f"{market.name}: {sentence}.")
                if request:
                    requests.append(request)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # a store that does not answer is not waited for
        if unseen and not seen.next:
            # With another one than this look began with: it has waited longer.
            seen.next = next((name for name in unseen if name != turns[0].name), unseen[0])
            told.append(
                f"Time was up before {len(unseen)} of {len(turns)} markets could be looked at: the next look begins "
                f"with {seen.next}."
            )
        context.update_cursor(msgspec.json.encode(seen).decode())
        yield from requests
        if requests:
            context.log.info(" ".join(told))
        else:
            yield dg.SkipReason(" ".join(told) or "There is no market.")

    return train_when_needed


def _in_turn(markets: Sequence[Market], first: str) -> list[Market]:
    """The markets from the one of that name on and around; in their own order where none has it."""
    names = [market.name for market in markets]
    start = names.index(first) if first in names else 0
    return [*markets[start:], *markets[:start]]


class _Standing(NamedTuple):
    """A market's champion, what is established about it, and how it fares."""

    champion: Manifest
    cause: Cause
    live: LiveReport | None


def _in_time(standing: "Future[_Standing | str]", left: TimeLeft) -> _Standing | str:
    wait([standing], timeout=max(0.0, left.seconds))
    if not standing.done():
        raise TimeIsUp("its champion and reports could not be read in time")
    return standing.result()


def _standing(market: Market, registries: Registries, artefacts: FolderIOManager) -> _Standing | str:
    """How a market's champion stands, or in a sentence why there is none."""
    registry = registries.of(market.name)
    try:
        pointer = registry.champion()
        manifest = registry.manifest(pointer.version) if pointer else None
    except StoreAway:
        raise
    except (HistoryDamaged, ManifestRefused, UnknownVersion, OSError) as error:
        return f"its champion cannot be read ({error})"
    if manifest is None:
        return "it has no champion yet"
    live = _stored(artefacts, market.name, "live_performance", LiveReport)
    cause = cause_of(manifest.version, _stored(artefacts, market.name, "drift", DriftReport), live)
    return _Standing(manifest, cause, live)


def _needed(
    market: Market,
    standing: _Standing | str,
    source: str | None,
    seen: Seen,
    now: float,
    left: TimeLeft,
    train_on_feedback: bool,
) -> tuple[dg.RunRequest | None, str]:
    """Whether a market's model is to be trained, and what was looked at."""
    if isinstance(standing, str):
        return None, standing
    manifest, cause, live = standing
    if cause.word is None:
        return None, f"nothing is established against {manifest.version} ({cause.sentence})"
    rest = COOL_DOWN - (now - seen.asked.get(market.name, -COOL_DOWN))
    if rest > 0:
        return (
            None,
            f"{cause.sentence} A training was asked for a while ago, and the next may be in {rest / 3_600:.1f} h",
        )
    looked = [
        snapshot_news(source, manifest, seen, now, left),
        feedback_news(live, used=train_on_feedback),
    ]
    new = [one for one in looked if one.name]
    sentence = f"{cause.sentence} {'; '.join(one.sentence for one in looked)}"
    if not new:
        return None, f"{sentence}: there is nothing newer to learn from"
    key = f"needed:{market.name}:{manifest.version}:{cause.word}:{'+'.join(str(one.name) for one in new)}"
    causes = seen.causes.setdefault(market.name, [])
    if key in causes:
        return None, f"{sentence}; for all that a training was asked for, and {manifest.version} is still the champion"
    seen.asked[market.name] = now
    seen.causes[market.name] = [*causes, key][-_MOST_CAUSES:]
    return dg.RunRequest(run_key=key, partition_key=market.name, tags={"cause": cause.word}), sentence


def _stored(artefacts: FolderIOManager, market: str, name: str, kind: type[_Report]) -> _Report | None:
    try:
        return artefacts.read(market, dg.AssetKey(name), kind)
    except (FileNotFoundError, ValueError):
        return None
