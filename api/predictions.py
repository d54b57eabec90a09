"""What was answered and what turned out to be true, handed to the prediction log: nobody waits for it."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from api.champion import Champion
from api.sampling import Sample
from api.settings import Settings
from model_registry.listing import CATEGORIES, Listing
from prediction_log.record import Feedback, LoggedListing, Prediction, ShadowAnswer
from prediction_log.writer import LogWriter, State

PREDICTIONS, FEEDBACK = "predictions", "feedback"
"""How the log's files begin."""
Name = tuple[bytes, int | None]
"""What an answer is called: its request's id, and its place where it is one of a batch."""
_DECIMALS = 6
"""Of the probabilities that are kept: a model has no more to say."""


class Predictions:
    """The prediction log of a service, which does nothing where it is off."""

    def __init__(self, settings: Settings) -> None:
        """Write where the settings say, once started."""
        self._folder = Path(settings.prediction_log).absolute() if settings.prediction_log else None
        self._sample, self._all = Sample(settings.prediction_sample), settings.prediction_sample == 1
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
        writer = self._predictions
        if writer is None:
            return
        chosen = range(len(names)) if self._all else [place for place, name in enumerate(names) if self._takes(name)]
        if chosen:
            writer.offer(
                partial(_records, time.time(), champion, names, listings, of_each, shadows, chosen), len(chosen)
            )

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

    def _takes(self, name: Name) -> bool:
        return self._sample.takes(name[0], name[1] or 0)


def _records(
    at: float,
    champion: Champion,
    names: Sequence[Name],
    listings: Sequence[Listing],
    of_each: NDArray[np.float32],
    shadows: Sequence[ShadowAnswer] | None,
    chosen: Sequence[int],
) -> Iterator[Prediction]:
    for place in chosen:
        shadow = None if shadows is None else shadows[place]
        yield _prediction(at, champion, names[place], listings[place], of_each[place], shadow)


def _prediction(
    at: float,
    champion: Champion,
    name: Name,
    listing: Listing,
    probabilities: NDArray[np.float32],
    shadow: ShadowAnswer | None,
) -> Prediction:
    request_id, index = name
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
        shadow,
    )
