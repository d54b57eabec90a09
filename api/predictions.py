"""What was answered and what turned out to be true, handed to the prediction log: nobody waits for it."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from api.champion import Champion
from api.settings import Settings
from model_registry.listing import CATEGORIES, Listing
from prediction_log.record import Feedback, LoggedListing, Prediction
from prediction_log.writer import LogWriter, State

PREDICTIONS, FEEDBACK = "predictions", "feedback"
"""How the log's files begin."""
_DECIMALS = 6
"""Of the probabilities that are kept: a model has no more to say."""


class Predictions:
    """The prediction log of a service, which does nothing where it is off."""

    def __init__(self, settings: Settings) -> None:
        """Write where the settings say, once started."""
        self._folder = Path(settings.prediction_log).absolute() if settings.prediction_log else None
        # Of the 2^32 values that an id is hashed to, so many are logged.
        self._sampled = round(settings.prediction_sample * 2**32)
        self._predictions: LogWriter | None = None
        self._feedback: LogWriter | None = None

    @property
    def on(self) -> bool:
        """Whether anything is kept at all."""
        return self._folder is not None

    def start(self) -> None:
        """Begin to write."""
        if self._folder is None:
            return
        self._predictions, self._feedback = LogWriter(self._folder, PREDICTIONS), LogWriter(self._folder, FEEDBACK)
        self._predictions.start()
        self._feedback.start()

    def end(self) -> None:
        """Write what waits and finish the files."""
        for writer in (self._predictions, self._feedback):
            if writer is not None:
                writer.close()

    def singles(
        self, champion: Champion, ids: Sequence[bytes], listings: Sequence[Listing], of_each: NDArray[np.float32]
    ) -> None:
        """Log single listings that a model answered together: their requests' ids and probabilities (n, 4)."""
        writer = self._predictions
        if writer is None:
            return
        chosen = self._chosen(ids)
        if chosen:
            writer.offer(partial(_singles, time.time(), champion, ids, listings, of_each, chosen), len(chosen))

    def batch(
        self,
        champion: Champion,
        request_id: bytes,
        places: Sequence[int],
        listings: Sequence[Listing],
        of_each: NDArray[np.float32],
    ) -> None:
        """Log listings of a batch, which have these places in it, with their probabilities (n, 4)."""
        writer = self._predictions
        if writer is None:
            return
        chosen = self._chosen([b"%b/%d" % (request_id, place) for place in places])
        if chosen:
            make = partial(_of_batch, time.time(), champion, request_id, places, listings, of_each, chosen)
            writer.offer(make, len(chosen))

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

    def problem(self) -> str | None:
        """What is wrong with the log, in words."""
        return next((state.problem for state in self.states().values() if state.problem), None)

    def _chosen(self, names: Sequence[bytes]) -> Sequence[int]:
        # By what an answer is called, so that all that is ever told of it is logged or none.
        if self._sampled >= 2**32:
            return range(len(names))
        return [place for place, name in enumerate(names) if crc32(name) < self._sampled]


def _singles(
    at: float,
    champion: Champion,
    ids: Sequence[bytes],
    listings: Sequence[Listing],
    of_each: NDArray[np.float32],
    chosen: Sequence[int],
) -> Iterator[Prediction]:
    for place in chosen:
        yield _prediction(at, champion, ids[place], listings[place], of_each[place])


def _of_batch(
    at: float,
    champion: Champion,
    request_id: bytes,
    places: Sequence[int],
    listings: Sequence[Listing],
    of_each: NDArray[np.float32],
    chosen: Sequence[int],
) -> Iterator[Prediction]:
    for place in chosen:
        yield _prediction(at, champion, request_id, listings[place], of_each[place], places[place])


def _prediction(
    at: float,
    champion: Champion,
    request_id: bytes,
    listing: Listing,
    probabilities: NDArray[np.float32],
    index: int | None = None,
) -> Prediction:
    low, mid, high, lux = (round(one, _DECIMALS) for one in probabilities.tolist())
    return Prediction(
        at,
        request_id.decode(),
        champion.market.name,
        champion.version,
        LoggedListing(
            listing.id,
            listing.neighbourhood,
            listing.room_type,
            listing.accommodates,
            listing.bathrooms,
            listing.bedrooms,
            listing.beds,
            listing.latitude,
            listing.longitude,
            listing.tv,
            listing.elevator,
            listing.internet,
        ),
        CATEGORIES[int(probabilities.argmax())].value,
        (low, mid, high, lux),
        index,
    )
