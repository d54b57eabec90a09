"""How the champions fare, as the pipeline found out last, told to Prometheus; no answer depends on it."""

import logging

from api.metrics import Metrics
from model_registry.live import LiveDamaged, read_live
from model_registry.store import MarketRegistry

logger = logging.getLogger("api.live")


class LiveFollowing:
    """Reads a champion's live figures when they have changed; what cannot be read is logged once, and not told."""

    def __init__(self, metrics: Metrics) -> None:
        """Nothing has been read yet."""
        self._metrics = metrics
        self._seen: dict[str, tuple[str, object]] = {}

    def look(self, registry: MarketRegistry, version: str) -> None:
        """Tell how a market's champion fares, if that is new; raises nothing. The thread of a look calls it."""
        state = version, registry.live_state(version)
        if self._seen.get(registry.market) == state:
            return
        self._seen[registry.market] = state
        live = None
        try:
            live = read_live(registry, version)
        except (LiveDamaged, OSError) as error:
            logger.warning("How %s fares cannot be told: %s", version, error)
        self._metrics.fares(registry.market, version, live)
