"""How the champions fare, as the pipeline found out last, told to Prometheus; no answer depends on it."""

import logging

from api.metrics import Metrics
from api.registry_errors import sameness
from model_registry.live import LiveDamaged, read_live
from model_registry.store import MarketRegistry

logger = logging.getLogger("api.live")


class LiveFollowing:
    """Reads a champion's live figures when they have changed; what cannot be read is logged once, and not told."""

    def __init__(self, metrics: Metrics) -> None:
        """Nothing has been read yet."""
        self._metrics = metrics
        self._seen: dict[str, tuple[str, object]] = {}
        self._logged: dict[str, tuple[type, str]] = {}
        """What the log tells of already, by market."""

    def look(self, registry: MarketRegistry, version: str) -> None:
        """Tell how a market's champion fares, if that is new; raises nothing. The thread of a look calls it."""
        market, state = registry.market, (version, registry.live_state(version))
        if self._seen.get(market) == state:
            return
        self._seen[market] = state
        live = None
        try:
            live = read_live(registry, version)
            self._logged.pop(market, None)
        except (LiveDamaged, OSError) as error:
            if self._logged.get(market) != sameness(error):
                self._logged[market] = sameness(error)
                logger.warning("How %s fares cannot be told: %s", version, error)
            if isinstance(error, OSError):  # a disk or a store that is away comes back, and nothing has changed
                self._seen.pop(market, None)
        self._metrics.fares(market, version, live)
