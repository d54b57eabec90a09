"""What was answered and what turned out to be true, handed to the prediction log: nobody waits for it."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from api.champion import Champion
from api.sampling import Sample
from api.settings import Settings
from model_registry.listing import CATEGORIES, Listing
from prediction_log.files import FEEDBACK, PREDICTIONS
from prediction_log.record import Category, Feedback, LoggedListing, Prediction, ShadowAnswer
from prediction_log.uploading import Uploads, UploadState
from prediction_log.writer import LogWriter, State
from storage.address import is_url

Name = tuple[bytes, int | None]
"""What an answer is called: its request's id, and its place where it is one of a batch."""
_KEPT = 1e6
"""Probabilities are kept to a millionth: a model has no more to say."""
SOON_SECONDS = 0.05
"""For so long single listings wait to be made records of, unless there are as many as are `AT_ONCE`."""
AT_ONCE = 128
"""So many take the event loop half a millisecond."""
UPLOAD_SECONDS, UPLOAD_BYTES = 60.0, 16_000_000
"""Files that are uploaded are done so soon, for nobody sees before what is in them, and go in one request each."""
_VALUES: tuple[Category, ...] = tuple(category.value for category in CATEGORIES)


class Answered(NamedTuple):
    """Listings that a model answered together: when, the answers' names, and the probabilities (n, 4)."""

    at: float
    champion: Champion
    names: Sequence[Name]
    listings: Sequence[Listing]
    of_each: NDArray[np.float32]
    shadows: Sequence[ShadowAnswer] | None = None
    """What the shadow answered to each, where it was to be asked about them."""


class Predictions:
    """The prediction log of a service, which does nothing where it is off."""

    def __init__(self, settings: Settings) -> None:
        """Write where the settings say, once started."""
        uploaded = is_url(settings.prediction_log)
        written = settings.prediction_spool if uploaded else settings.prediction_log
        self._folder = Path(written).absolute() if written else None
        self._uploads = Uploads(Path(written).absolute(), settings.prediction_log) if uploaded else None
        self._sample, self._all = Sample(settings.prediction_sample), settings.prediction_sample == 1
        self._predictions: LogWriter | None = None
        self._feedback: LogWriter | None = None
        self._soon, self._soon_listings = list[Answered](), 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def on(self) -> bool:
        """Whether anything is kept at all."""
        return self._folder is not None

    def start(self) -> None:
        """Begin to write."""
        if self._folder is None:
            return
        self._predictions, self._feedback = (
            self._writer(self._folder, PREDICTIONS),
            self._writer(self._folder, FEEDBACK),
        )
        self._predictions.start()
        self._feedback.start()
        if self._uploads:
            self._uploads.start()

    def _writer(self, folder: Path, prefix: str) -> LogWriter:
        if self._uploads is None:
            return LogWriter(folder, prefix)
        return LogWriter(folder, prefix, rotate_seconds=UPLOAD_SECONDS, rotate_bytes=UPLOAD_BYTES)

    def end(self) -> None:
        """Write what waits, finish the files and, with a URL, try once to upload them."""
        self._log_soon()
        for writer in (self._predictions, self._feedback):
            if writer is not None:
                writer.close()
        if self._uploads:
            self._uploads.close()

    def log(
        self,
        champion: Champion,
        names: Sequence[Name],
        listings: Sequence[Listing],
        of_each: NDArray[np.float32],
        shadows: Sequence[ShadowAnswer] | None = None,
    ) -> None:
        """Log what a model answered: the answers' names, the listings and their probabilities (n, 4).

        With what the shadow answered to each, where it was to be asked about them.
        """
        if self._predictions is not None:
            self._offer([Answered(time.time(), champion, names, listings, of_each, shadows)])

    def log_soon(
        self, champion: Champion, names: Sequence[Name], listings: Sequence[Listing], of_each: NDArray[np.float32]
    ) -> None:
        """Log what a model answered to single listings, as `log` does, but soon, together with others'.

        After each call of the model, little is left in the processor's caches: for one listing it costs ten times as
        much to make a record as it does for many, one after the other.
        """
        if self._predictions is None:
            return
        self._soon.append(Answered(time.time(), champion, names, listings, of_each))
        self._soon_listings += len(names)
        if self._soon_listings >= AT_ONCE:
            self._log_soon()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SOON_SECONDS, self._log_soon)

    def feedback(self, told: Sequence[Feedback]) -> bool:
        """Log feedback; False where it cannot be kept now."""
        return (
            self._feedback is not None
            and self._feedback.state().problem is None
            and self._feedback.offer(lambda: told, len(told))
        )

    def states(self) -> dict[str, State]:
        """How the logs stand, by how their files begin; none where the log is off."""
        return {
            kind: writer.state()
            for kind, writer in ((PREDICTIONS, self._predictions), (FEEDBACK, self._feedback))
            if writer is not None
        }

    def uploads(self) -> UploadState | None:
        """How the uploads stand; None where the log is in a folder, or off."""
        return self._uploads.state() if self._uploads and self._predictions is not None else None

    def problem(self) -> str | None:
        """What is wrong with the log, in words."""
        uploads = self.uploads()
        written = next((state.problem for state in self.states().values() if state.problem), None)
        return written or (uploads and uploads.problem)

    def _log_soon(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        soon, self._soon, self._soon_listings = self._soon, [], 0
        self._offer(soon)

    def _offer(self, answered: Sequence[Answered]) -> None:
        chosen = [(one, self._chosen(one.names)) for one in answered]
        count = sum(len(places) for _, places in chosen)
        if count and self._predictions is not None:
            self._predictions.offer(partial(_records, chosen), count)

    def _chosen(self, names: Sequence[Name]) -> Sequence[int]:
        if self._all:
            return range(len(names))
        return [place for place, (id_, index) in enumerate(names) if self._sample.takes(id_, index or 0)]


def _records(answered: Iterable[tuple[Answered, Sequence[int]]]) -> Iterator[Prediction]:
    for (at, champion, names, listings, of_each, shadows), places in answered:
        market, version, rows = champion.market.name, champion.version, of_each.tolist()
        for place in places:
            request_id, index = names[place]
            row = rows[place]
            low, mid, high, lux = [int(one * _KEPT + 0.5) / _KEPT for one in row]
            # A listing has the fields of a LoggedListing, which is what a reader makes of it.
            listing = cast("LoggedListing", listings[place])
            category = _VALUES[row.index(max(row))]
            shadow = None if shadows is None else shadows[place]
            yield Prediction(
                at, request_id.decode(), market, version, listing, category, (low, mid, high, lux), index, shadow
            )
