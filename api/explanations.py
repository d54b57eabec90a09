"""Explanations: worked out beside the event loop, by a thread that leaves it whatever it wants of the processor."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from api.champion import Champion
from api.concurrency import ConcurrencyLimit
from api.metrics import Metrics
from api.niceness import give_way
from api.schemas import Answer
from model_registry.listing import Listing


class Explainer:
    """Takes explanations one after the other; raises 503 where too many wait."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        """Have room for so many, the one under way among them."""
        self._metrics = metrics
        self._room = ConcurrencyLimit(limit, metrics)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="explanation", initializer=give_way)

    async def explain(self, champion: Champion, listing: Listing, answering: asyncio.Future[Answer]) -> Answer:
        """The answer that the champion is about to give to a listing, with the reasons for it.

        Where there is no room for these it is not given: nobody would get it, and the log holds what was answered.
        """
        try:
            with self._room:
                answer, loop = await answering, asyncio.get_running_loop()
                explained = await loop.run_in_executor(self._executor, champion.explained, listing, answer)
        finally:
            answering.cancel()
        self._metrics.explained(champion.market.name)
        return explained

    def end(self) -> None:
        """Work out none that is not under way."""
        self._executor.shutdown(wait=False, cancel_futures=True)
