"""What there is to learn from that the champion has not: another snapshot, or prices that were told."""

import hashlib
from pathlib import Path
from time import monotonic

import msgspec

from mle_assets.listings import synthetic
from mle_assets.listings.bad_snapshot import BadSnapshot, without_password
from mle_assets.listings.downloading import validator
from mle_assets.listings.fetching import fetched
from mle_assets.monitoring.live import LEAST_LABELLED
from mle_assets.monitoring.live_report import LiveReport
from model_registry.manifest import Manifest
from storage.address import SCHEMES

_ASK_SECONDS = 5.0
"""A server that takes longer to say which version it has is taken for one that does not say."""
_LOOK_AGAIN = 3_600.0
_LATE_FOR = 86_400.0
"""Seconds after which a snapshot is tried again that could not be hashed in the time there was."""
AFTER_LATE = "and is tried again when it has changed, or after a day"
_BLOCK = 1 << 20


class News(msgspec.Struct, frozen=True):
    """What there is to learn from that the champion has not: a name for it, if there is anything, and a sentence."""

    name: str | None
    sentence: str


class Looked(msgspec.Struct, frozen=True):
    """A snapshot as it was read last, at `time`; `state` tells whether it has changed since, unless it is empty."""

    time: float
    state: str
    sha256: str


class Late(msgspec.Struct, frozen=True):
    """A snapshot that could not be hashed in a whole look's time, at `time`, when it was in that state."""

    time: float
    state: str


class Seen(msgspec.Struct):
    """What the sensor remembers: when it asked for a training of each market last, for which causes, and snapshots.

    `late` are snapshots that take too long, and `next` is the market that the next look begins with.
    """

    asked: dict[str, float] = {}
    causes: dict[str, list[str]] = {}
    snapshots: dict[str, Looked] = {}
    late: dict[str, Late] = {}
    next: str = ""


def remembered(cursor: str | None) -> Seen:
    """What a cursor says, whichever version wrote it; nothing where it cannot be read."""
    try:
        return msgspec.json.decode(cursor or "{}", type=Seen)
    except msgspec.DecodeError:
        return Seen()


class TimeLeft:
    """What is left of the time that something may take."""

    def __init__(self, seconds: float) -> None:
        """Begin to count."""
        self._until = monotonic() + seconds

    @property
    def seconds(self) -> float:
        """It is over at zero."""
        return self._until - monotonic()


class Hashing(msgspec.Struct, frozen=True):
    """A snapshot that is hashed, and the state it is in."""

    source: str
    state: str


class TimeIsUp(Exception):
    """Something was not done in the time there was; `hashing` is the snapshot that was being hashed, if any."""

    def __init__(self, sentence: str, hashing: Hashing | None = None) -> None:
        """Say what."""
        super().__init__(sentence)
        self.hashing = hashing


def snapshot_news(source: str | None, manifest: Manifest, seen: Seen, now: float, left: TimeLeft) -> News:
    """Whether what is read by default is another snapshot than the champion's; `seen` is brought up to date.

    A file is hashed again when its size or time has changed, and a download fetched again when its server's ETag or
    date has; where a server tells neither, once an hour. Raises TimeIsUp where that takes more than what is left.
    """
    if source is None or source == synthetic.SOURCE:
        return News(None, "no snapshot is named to be read by default: name one in the market's file, or in SNAPSHOT")
    named = without_password(source)
    if left.seconds <= 0:
        raise TimeIsUp(f"{named} could not be looked at in time")
    try:
        state, known = _state(source, min(_ASK_SECONDS, left.seconds)), seen.snapshots.get(source)
        if known is None or (known.state != state if state else now - known.time >= _LOOK_AGAIN):
            late = seen.late.get(source)
            if late is not None and late.state == state and now - late.time < _LATE_FOR:
                return News(None, f"{named} could not be read in a look's time, {AFTER_LATE}")
            known = seen.snapshots[source] = Looked(now, state, _sha256(Hashing(source, state), left))
            seen.late.pop(source, None)
    except BadSnapshot as error:
        return News(None, f"the snapshot read by default cannot be looked at: {str(error).rstrip('.')}")
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


def _state(source: str, seconds: float) -> str:
    """What changes when a source does, as far as it can be had cheaply; empty where it cannot."""
    if source.lower().startswith(_STORES):
        from mle_assets.listings.objects import version  # here: few have a store, and its client takes its time

        return version(source)
    if "://" in source:
        return validator(source, seconds) if source.lower().startswith("http") else ""
    try:
        found = Path(source).expanduser().stat()
    except (OSError, RuntimeError):
        return ""  # whoever reads it says what is wrong with it
    return f"{found.st_size}:{found.st_mtime_ns}"


def _sha256(hashed: Hashing, left: TimeLeft) -> str:
    too_late = TimeIsUp(f"{without_password(hashed.source)} could not be read in a look's time", hashed)
    seconds, sha256 = max(0.0, left.seconds), hashlib.sha256()
    try:
        with fetched(hashed.source, seconds, seconds) as file:
            while block := file.read(_BLOCK):
                sha256.update(block)
                if left.seconds <= 0:
                    raise too_late
    except BadSnapshot as error:
        # That it is late is told as something else that is wrong with a source.
        if left.seconds <= 0:
            raise too_late from error
        raise
    except OSError as error:
        raise BadSnapshot(hashed.source, f"cannot be read ({error.strerror}): check the disk it lies on.") from error
    return sha256.hexdigest()


_STORES = tuple(f"{scheme}://" for scheme in SCHEMES)
