"""The shadows in memory: what the registry's markets name, and what is wrong with it; no champion is ever touched."""

import logging
import math
import time
from dataclasses import dataclass

from api.metrics import Metrics
from api.registry_errors import FORESEEN, in_words, sameness
from api.shadow import ShadowModel
from model_registry.shadow import Shadow
from model_registry.store import MarketRegistry

logger = logging.getLogger("api.shadow")


@dataclass(frozen=True)
class ShadowOutcome:
    """A market's shadow from now on, or none, and what is wrong with it."""

    market: str
    shadow: ShadowModel | None
    error: BaseException | None = None


class ShadowFollowing:
    """Holds the shadow of each market that has one, or the reason why it cannot be asked.

    Where the registry cannot say any more which it is, the old one is asked. One that cannot be opened fails at every
    listing, so that what it was to be asked about is seen.
    """

    def __init__(self, metrics: Metrics) -> None:
        """No market has one yet."""
        self._metrics = metrics
        self.models: dict[str, ShadowModel] = {}
        """By market; each is replaced as a whole, so that whoever took one has answers of one version."""
        self._problems: dict[str, str] = {}
        self._logged: dict[str, tuple[type, str]] = {}
        self._last_looks: dict[str, int] = {}
        self._looked_at: dict[str, float] = {}
        """When each market was looked at last, a monotonic time."""

    def problem_of(self, market: str) -> str | None:
        """What is wrong at this moment with a market's shadow, in words."""
        return self._problems.get(market)

    def urgency(self, market: str) -> tuple[float, str]:
        """Who is looked at first: who has waited longest, so that everybody has a turn however long a look takes."""
        return self._looked_at.get(market, -math.inf), market

    def look(self, registry: MarketRegistry, pointer: Shadow | BaseException | None) -> ShadowOutcome | None:
        """What a market's registry names, opened if it is new; None where all is as it was. Any thread may look.

        `pointer` is what the registry said of its shadow, or what it raised.
        """
        market = registry.market
        self._looked_at[market] = time.monotonic()
        present = self.models.get(market)
        if isinstance(pointer, BaseException):
            return ShadowOutcome(market, present, pointer)
        if pointer is None:
            found = ShadowOutcome(market, None)
        elif present is not None and present.version == pointer.version and present.classifier is not None:
            found = ShadowOutcome(market, present)
        else:
            try:
                return ShadowOutcome(market, ShadowModel.of(registry.open(pointer.version, compact=True)))
            except BaseException as error:
                if present is None or present.version != pointer.version:
                    present = ShadowModel.refused(pointer.version, market)
                return ShadowOutcome(market, present, error)
        return None if found.shadow is present and market not in self._problems else found

    def take(self, number: int, outcome: ShadowOutcome) -> bool:
        """Take up what a look, by its number, has found of a market; whether no later one has found anything."""
        market = outcome.market
        if number < self._last_looks.get(market, 0):
            return False
        self._last_looks[market] = number
        if outcome.error is not None:
            self.failed(market, outcome.error)
        elif self._problems.pop(market, None) is not None:
            del self._logged[market]
            self._metrics.shadow_fails(market, fails=False)
        self._replace(market, outcome.shadow)
        return True

    def promoted(self, market: str, version: str) -> None:
        """Ask a version no more that has become its market's champion."""
        present = self.models.get(market)
        if present is not None and present.version == version:
            self._replace(market, None)

    def failed(self, market: str, error: BaseException) -> None:
        """Tell what is wrong with a market's shadow: in the log once, as long as it lasts."""
        self._problems[market] = words = f"The shadow of {market} cannot be asked: {in_words(error)}"
        self._metrics.shadow_fails(market, fails=True)
        if self._logged.get(market) != sameness(error):
            self._logged[market] = sameness(error)
            logger.error("%s", words, exc_info=None if isinstance(error, FORESEEN) else error)

    def _replace(self, market: str, shadow: ShadowModel | None) -> None:
        present = self.models.get(market)
        if shadow is present:
            return
        if shadow is None:
            del self.models[market]
            logger.info("No shadow of %s is asked any more", market)
        else:
            self.models[market] = shadow
            if shadow.classifier is not None:
                logger.info("Asking %s as the shadow of %s", shadow.version, market)
        self._metrics.shadowed(market, shadow and shadow.version)
