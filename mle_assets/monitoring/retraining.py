"""When to train again: what was established about the champion, and whether there is anything new to learn from."""

import hashlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import dagster as dg
import msgspec

from mle_assets.io_managers import FolderIOManager
from mle_assets.listings import synthetic
from mle_assets.listings.bad_snapshot import BadSnapshot, without_password
from mle_assets.listings.downloading import validator
from mle_assets.listings.fetching import fetched
from mle_assets.listings.snapshot import DefaultSnapshot
from mle_assets.monitoring.inputs import DriftReport
from mle_assets.monitoring.live import LEAST_LABELLED
from mle_assets.monitoring.live_report import LiveReport
from mle_assets.release.champion import Release
from model_registry.history import HistoryDamaged
from model_registry.manifest import Manifest, ManifestRefused
from model_registry.market import Market
from model_registry.store import UnknownVersion
from storage.address import SCHEMES
from storage.errors import StoreAway

COOL_DOWN = 86_400.0
"""Seconds from one request for a market to the next, whatever is established: a training takes its time to show."""
_ASK_SECONDS, _HASH_SECONDS = 5.0, 40.0
"""A snapshot that takes longer to ask about or to download is not looked at: Dagster gives a sensor sixty seconds."""
_LOOK_AGAIN = 3_600.0
_MOST_CAUSES = 50


class Cause(msgspec.Struct, frozen=True):
    """Why a champion is to be replaced: a word for it, if anything is established, and a sentence."""

    word: str | None
    sentence: str


class News(msgspec.Struct, frozen=True):
    """What there is to learn from that the champion has not: a name for it, if there is anything, and a sentence."""

    name: str | None
    sentence: str


class Looked(msgspec.Struct, frozen=True):
    """A snapshot as it was read last, at `time`; `state` tells whether it has changed since, unless it is empty."""

    time: float
    state: str
    sha256: str


class Seen(msgspec.Struct):
    """What the sensor remembers: when it asked for a training of each market last, for which causes, and snapshots."""

    asked: dict[str, float] = {}
    causes: dict[str, list[str]] = {}
    snapshots: dict[str, Looked] = {}


def cause_of(champion: str, drift: DriftReport | None, live: LiveReport | None) -> Cause:
    """What is established about a champion by the latest reports; reports of another champion say nothing."""
    reports = {"drift": drift, "accuracy": live}
    of_it = {name: one for name, one in reports.items() if one is not None and one.champion == champion}
    if not of_it:
        return Cause(None, f"no report of {champion} yet: run the job monitoring")
    found = [name for name, one in of_it.items() if one.verdict in ("drift", "below its test")]
    told = " ".join(f"{name}: {one.verdict} ({one.current.reason})" for name, one in of_it.items())
    return Cause("-and-".join(found) or None, told)


def snapshot_news(source: str | None, manifest: Manifest, seen: Seen, now: float) -> News:
    """Whether what is read by default is another snapshot than the champion's; `seen` is brought up to date.

    A file is hashed again when its size or time has changed, and a download fetched again when its server's ETag or
    date has; where a server tells neither, once an hour.
    """
    if source is None or source == synthetic.SOURCE:
        return News(None, "no snapshot is named to be read by default: name one in the market's file, or in SNAPSHOT")
    try:
        state, known = _state(source), seen.snapshots.get(source)
        if known is None or (known.state != state if state else now - known.time >= _LOOK_AGAIN):
            known = seen.snapshots[source] = Looked(now, state, _sha256(source))
    except BadSnapshot as error:
        return News(None, f"the snapshot read by default cannot be looked at: {str(error).rstrip('.')}")
    named = without_password(source)
    if known.sha256 == manifest.snapshot.sha256:
        return News(None, f"{named} still holds the snapshot that {manifest.version} learned from")
    return News(known.sha256, f"{named} holds a snapshot that {manifest.version} did not learn from")


def feedback_news(live: LiveReport | None, *, used: bool) -> News:
    """Whether prices were told that a training would learn from."""
    if not used:
        return News(None, "feedback is not trained on (TRAIN_ON_FEEDBACK)")
    priced = 0 if live is None else live.priced
    if priced < LEAST_LABELLED:
        return News(None, f"{priced:,} prices were told, and at least {LEAST_LABELLED} are needed")
    return News("feedback", f"{priced:,} prices were told")


def _state(source: str) -> str:
    """What changes when a source does, as far as it can be had cheaply; empty where it cannot."""
    if source.lower().startswith(_STORES):
        from mle_assets.listings.objects import version  # here: few have a store, and its client takes its time

        return version(source)
    if "://" in source:
        return validator(source, _ASK_SECONDS) if source.lower().startswith("http") else ""
    try:
        found = Path(source).expanduser().stat()
    except (OSError, RuntimeError):
        return ""  # whoever reads it says what is wrong with it
    return f"{found.st_size}:{found.st_mtime_ns}"


def _sha256(source: str) -> str:
    with fetched(source, _HASH_SECONDS, _HASH_SECONDS) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]


_STORES = tuple(f"{scheme}://" for scheme in SCHEMES)
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
        seen, now, told = _remembered(context.cursor), time.time(), list[str]()
        asked = False
        for market in known:
            try:
                request, sentence = _needed(market, release, default_snapshot, artefacts, seen, now, train_on_feedback)
            except StoreAway as error:
                # It would be waited for with every market anew.
                told.append(f"From {market.name} on no market could be looked at: {error}.")
                break
            told.append(f"{market.name}: {sentence}.")
            if request:
                asked = True
                yield request
        context.update_cursor(msgspec.json.encode(seen).decode())
        if asked:
            context.log.info(" ".join(told))
        else:
            yield dg.SkipReason(" ".join(told) or "There is no market.")

    return train_when_needed


def _needed(
    market: Market,
    release: Release,
    default_snapshot: DefaultSnapshot,
    artefacts: FolderIOManager,
    seen: Seen,
    now: float,
    train_on_feedback: bool,
) -> tuple[dg.RunRequest | None, str]:
    """Whether a market's model is to be trained, and what was looked at."""
    registry = release.registries().of(market.name)
    try:
        pointer = registry.champion()
        manifest = registry.manifest(pointer.version) if pointer else None
    except StoreAway:
        raise
    except (HistoryDamaged, ManifestRefused, UnknownVersion, OSError) as error:
        return None, f"its champion cannot be read ({error})"
    if manifest is None:
        return None, "it has no champion yet"
    live = _stored(artefacts, market.name, "live_performance", LiveReport)
    cause = cause_of(manifest.version, _stored(artefacts, market.name, "drift", DriftReport), live)
    if cause.word is None:
        return None, f"nothing is established against {manifest.version} ({cause.sentence})"
    rest = COOL_DOWN - (now - seen.asked.get(market.name, -COOL_DOWN))
    if rest > 0:
        return (
            None,
            f"{cause.sentence} A training was asked for a while ago, and the next may be in {rest / 3_600:.1f} h",
        )
    looked = [
        snapshot_news(default_snapshot.of(market), manifest, seen, now),
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


def _remembered(cursor: str | None) -> Seen:
    try:
        return msgspec.json.decode(cursor or "{}", type=Seen)
    except msgspec.DecodeError:
        return Seen()
