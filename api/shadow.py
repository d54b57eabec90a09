"""The shadow: asked about a sample of the listings once the champion has answered, by a thread that gives way."""

import asyncio
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

import numpy as np

from api.champion import Champion
from api.metrics import Metrics
from api.niceness import give_way
from model_registry.classifier import Classifier, PublishedModel
from model_registry.listing import CATEGORIES, Listing, PriceCategory, encode_all
from prediction_log.record import ShadowAnswer

ROOM = 10_000
"""How many listings wait at most: a full batch, which is a tenth of a second's work."""
PART = 256
"""How many are asked about at once: what holds the interpreter is short, and the model's trees are fetched once."""
GATHER_SECONDS = 0.02
"""How long the thread waits for more: woken for each listing, it would cost the event loop more than the asking."""
LAST_SECONDS = 2.0
"""How long the end waits for what was asked."""

Done = Callable[[Sequence[ShadowAnswer]], None]
"""Takes what came of listings, in their order: in the shadow's thread, or at once where the shadow is busy."""

logger = logging.getLogger("api.shadow")


@dataclass(frozen=True, eq=False)
class ShadowModel:
    """A version that is asked beside a market's champion; one that cannot be opened fails at everything."""

    version: str
    market: str
    classifier: Classifier | None
    neighbourhoods: Mapping[str, int]
    """The codes of its market."""

    @classmethod
    def of(cls, published: PublishedModel) -> "ShadowModel":
        """A verified version."""
        manifest = published.manifest
        return cls(manifest.version, manifest.market.name, published.classifier, manifest.market.codes)

    @classmethod
    def refused(cls, version: str, market: str) -> "ShadowModel":
        """A version that the registry names and that cannot be opened."""
        return cls(version, market, None, {})

    def answers(self, listings: Sequence[Listing]) -> list[ShadowAnswer]:
        """What it answers about each listing, in order; raises whatever the model does."""
        if self.classifier is None:
            return [self.missed("failed")] * len(listings)
        rows = self.classifier.probabilities(encode_all(listings, self.neighbourhoods))
        codes, finite = rows.argmax(axis=1).tolist(), np.isfinite(rows.sum(axis=1)).tolist()
        # Rounded to float32 one may be a hair above 1, which whoever reads the record would refuse.
        probabilities = np.clip(rows, 0, 1).tolist()
        return [
            ShadowAnswer(self.version, CATEGORIES[code].value, tuple(row)) if good else self.missed("failed")
            for _, code, row, good in zip(listings, codes, probabilities, finite, strict=True)
        ]

    def missed(self, why: Literal["busy", "failed"]) -> ShadowAnswer:
        """That it gave no answer, and why."""
        return ShadowAnswer(self.version, missed=why)


class Asked(NamedTuple):
    """Listings that one shadow is to be asked about, and what the champion answered."""

    shadow: ShadowModel
    listings: Sequence[Listing]
    categories: Sequence[PriceCategory]
    done: Done | None


class Shadowing:
    """Asks shadows about listings without anybody waiting for it; what there is no room for is dropped, and told.

    It is asked by the event loop alone.
    """

    def __init__(self, models: Mapping[str, ShadowModel], metrics: Metrics) -> None:
        """Ask these, by market: those that there are at the time."""
        self.models = models
        """Empty where no market has a shadow: then there is nothing to do after an answer."""
        self._metrics = metrics
        self._waiting = deque[Asked]()
        self._taken = self._settled = 0
        """How many listings were taken, which the event loop counts, and how many are done, which the thread does."""
        self._news = threading.Event()
        self._thread: threading.Thread | None = None
        self._ending = False
        self._told: ShadowModel | None = None
        """The model whose failure the log tells of already."""

    def beside(self, champion: Champion) -> ShadowModel | None:
        """The shadow of a champion, if there is one at present."""
        shadow = self.models.get(champion.market.name)
        return None if shadow is None or shadow.version == champion.version else shadow

    def ask(
        self,
        shadow: ShadowModel,
        listings: Sequence[Listing],
        categories: Sequence[PriceCategory],
        done: Done | None = None,
    ) -> None:
        """Have a shadow asked about listings that got these categories, all or none of them; raises nothing."""
        asked = Asked(shadow, listings, categories, done)
        if self._taken - self._settled + len(listings) > ROOM or self._ending or not self._works():
            self._metrics.asked_shadow(shadow.market, shadow.version, {"busy": len(listings)})
            _tell(asked, [shadow.missed("busy")] * len(listings))
            return
        self._taken += len(listings)
        self._waiting.append(asked)
        if not self._news.is_set():
            self._news.set()

    async def end(self) -> None:
        """Take no more, and wait a moment for what was taken."""
        self._ending = True
        self._news.set()
        patience = time.monotonic() + LAST_SECONDS
        while self._thread is not None and self._thread.is_alive() and time.monotonic() < patience:
            await asyncio.sleep(0.01)

    def _works(self) -> bool:
        # Where nobody ever asks there is no thread.
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="shadow", daemon=True)
            with suppress(RuntimeError):  # there can be no further thread at present
                thread.start()
                self._thread = thread
        return self._thread is not None

    def _work(self) -> None:
        give_way()
        while self._waiting or not self._ending:
            self._news.wait()
            if not self._ending:
                time.sleep(GATHER_SECONDS)
                self._news.clear()
            while self._waiting:
                for shadow, asked in groupby(self._some(), lambda one: one.shadow):
                    self._answer(shadow, list(asked))

    def _some(self) -> list[Asked]:
        # As many as one call of a model takes, if they are all of one.
        some, listings = list[Asked](), 0
        while self._waiting and listings < PART:
            some.append(self._waiting.popleft())
            listings += len(some[-1].listings)
        return some

    def _answer(self, shadow: ShadowModel, asked: list[Asked]) -> None:
        listings = [listing for one in asked for listing in one.listings]
        answers = list[ShadowAnswer]()
        for start in range(0, len(listings), PART):
            answers += self._answers(shadow, listings[start : start + PART])
        categories = [category for one in asked for category in one.categories]
        agreements = sum(answer.category == given for answer, given in zip(answers, categories, strict=True))
        outcomes = Counter(answer.missed or "answered" for answer in answers)
        self._metrics.asked_shadow(shadow.market, shadow.version, outcomes, agreements)
        self._settled += len(listings)
        start = 0
        for one in asked:
            _tell(one, answers[start : start + len(one.listings)])
            start += len(one.listings)

    def _answers(self, shadow: ShadowModel, listings: Sequence[Listing]) -> list[ShadowAnswer]:
        # A listing with which the model fails spoils no other's answer.
        try:
            return shadow.answers(listings)
        except Exception:  # a model may raise anything
            if len(listings) > 1:
                return [answer for listing in listings for answer in self._answers(shadow, [listing])]
            if self._told is not shadow:
                self._told = shadow
                logger.exception("The shadow %s fails, which is told only once.", shadow.version)
            return [shadow.missed("failed")]


def _tell(asked: Asked, answers: Sequence[ShadowAnswer]) -> None:
    try:
        if asked.done is not None:
            asked.done(answers)
    except Exception:  # whatever it is, the answers of others have to be told as well
        logger.exception("What the shadow %s answered could not be taken.", asked.shadow.version)
