"""Micro-batching: the listings that arrive in one turn of the event loop are answered by one call of the model.

Between two requests the model's trees leave the processor's caches, so that most of a call is fetching them again; for
many listings they are fetched once. Nothing waits for more: what is there at the end of a turn is answered.
"""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from api.champion import Champion
from api.champion import answers as answers_to
from api.metrics import Metrics
from api.schemas import Answer
from model_registry.listing import Listing

Asked = tuple[Listing, bytes, bool, asyncio.Future[Answer]]
"""A listing, its request's id, whether its probabilities are wanted, and where its answer goes."""


Log = Callable[[Champion, Sequence[bytes], Sequence[Listing], NDArray[np.float32]], None]
"""Told of listings that a model answered: their requests' ids, themselves and their probabilities (n, 4)."""


def nowhere(*_: object) -> None:
    """A log that is not kept."""


class Microbatch:
    """Takes listings one by one, and answers those of each turn of the event loop together."""

    def __init__(self, metrics: Metrics, log: Log = nowhere) -> None:
        """Wait for the first listing; what is answered is counted and logged."""
        self._metrics, self._log = metrics, log
        self._turn: dict[Champion, list[Asked]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def answer(
        self, champion: Champion, listing: Listing, *, probabilities: bool, request_id: bytes = b""
    ) -> asyncio.Future[Answer]:
        """What that champion answers, at the end of this turn.

        Whoever gives the future up, or whose listing makes the model fail, harms no other.
        """
        if not self._turn:
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._end_turn)
        future = asyncio.Future[Answer](loop=self._loop)
        self._turn.setdefault(champion, []).append((listing, request_id, probabilities, future))
        return future

    def _end_turn(self) -> None:
        # One call for each market, and for each champion where one was promoted in the midst of the turn.
        turn, self._turn = self._turn, {}
        for champion, asked in turn.items():
            self._answer(champion, [one for one in asked if not one[3].done()])

    def _answer(self, champion: Champion, asked: Sequence[Asked]) -> None:
        if not asked:
            return
        self._metrics.answered_together(len(asked))
        listings, ids, probabilities, futures = zip(*asked, strict=True)
        try:
            of_each = champion.probabilities(listings)
            answers = answers_to(listings, of_each, probabilities=probabilities)
        except Exception as error:
            if len(asked) == 1:
                futures[0].set_exception(error)
                return
            for one in asked:
                self._answer(champion, [one])
            return
        for future, answer in zip(futures, answers, strict=True):
            future.set_result(answer)
        self._log(champion, ids, listings, of_each)
