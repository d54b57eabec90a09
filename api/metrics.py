"""What Prometheus is told. One process serves, and replicas are scraped one by one, so no figure is shared."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from api.log_metrics import LogMetrics
from api.loop_metrics import LoopCounter, LoopHistogram
from api.schemas import Model
from model_registry.live import Live

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

SHADOW_OUTCOMES = ("answered", "busy", "failed")

_STATUS = {status: str(status) for status in range(100, 600)}


class Metrics:
    """The service's counters, gauges and histograms, under the names that `/metrics` shows."""

    def __init__(self) -> None:
        """Start every figure at zero."""
        self.before_page: Callable[[], None] = lambda: None
        """Called before the figures are told: for who counts some later."""
        self._registry = to = CollectorRegistry()
        self.log = LogMetrics(to)
        ProcessCollector(registry=to)
        PlatformCollector(registry=to)
        GCCollector(registry=to)
        self._requests = LoopCounter(
            "api_requests", "Requests answered.", ("method", "route", "status", "market"), registry=to
        )
        self._seconds = LoopHistogram(
            "api_request_seconds", "Time from a request to its answer.", ("route",), buckets=_BUCKETS, registry=to
        )
        self._predictions = LoopCounter(
            "api_predictions", "Listings answered.", ("market", "category", "version"), registry=to
        )
        self._explanations = LoopCounter("api_explanations", "Answers explained.", ("market",), registry=to)
        self._together = LoopHistogram(
            "api_answered_together",
            "Single listings answered by one call of the model.",
            (),
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=to,
        )
        self._model = Gauge(
            "api_model_info", "The model that answers.", ["market", "version", "run_id", "snapshot"], registry=to
        )
        self._models: dict[str, tuple[str, ...]] = {}
        self._loads = Counter("api_model_loads", "Models loaded, verified and put to work.", ["market"], registry=to)
        self._refusals = Counter(
            "api_model_refusals", "Champions that were refused; the old one stays.", ["market"], registry=to
        )
        self._shadow = Gauge(
            "api_shadow_info", "The version asked beside the champion.", ["market", "version"], registry=to
        )
        self._shadow_versions: dict[str, str] = {}
        self._shadow_failing = Gauge(
            "api_shadow_failing", "1 where the registry's shadow cannot be asked.", ["market"], registry=to
        )
        self._shadow_answers = Counter(
            "api_shadow_answers",
            "Listings the shadow was to be asked about: answered, dropped because it was busy, or failed.",
            ["market", "version", "outcome"],
            registry=to,
        )
        self._shadow_agreements = Counter(
            "api_shadow_agreements",
            "Listings that the shadow answered with the champion's category.",
            ["market", "version"],
            registry=to,
        )
        of_champion = ["market", "version"]
        self._live = {
            name: Gauge(f"api_live_{name}", what, of_champion, registry=to)
            for name, what in {
                "time_seconds": "When it was looked last how the champion fares, in seconds since 1970.",
                "labelled": "Answers of the champion whose truth is known.",
                "accuracy": "Of the different listings among those, the share that was answered right.",
                "test_accuracy": "The share on its test listings.",
                "below_test": "1 where it is right less often than on those, beyond chance.",
                "drifted": "1 where listings asked about are not those that it learned from.",
            }.items()
        }
        self._fares: dict[str, str] = {}
        self._failures = Counter("api_registry_failures", "Looks at the registry that failed.", registry=to)
        self._lines_lost = Counter(
            "api_access_lines_lost", "Lines of the access log that could not be written.", registry=to
        )
        self._turned_away = Counter("api_turned_away", "Requests answered with 503 for want of room.", registry=to)
        self._ended = Counter(
            "api_connections_ended", "Connections ended before their peer ended them.", ["reason"], registry=to
        )
        self.ready = Gauge("api_ready", "1 where /readyz says so, else 0.", registry=to)
        self.following = Gauge("api_registry_following", "1 where the last look at all markets was good.", registry=to)
        self.look_age = Gauge(
            "api_registry_look_age_seconds", "Time since the last good look at all markets.", registry=to
        )
        self.under_way = Gauge("api_requests_under_way", "Requests not yet answered.", registry=to)
        self.being_answered = Gauge(
            "api_requests_being_answered", "Requests whose body is there and whose answer is not.", registry=to
        )
        self.concurrency_limit = Gauge("api_concurrency_limit", "How many may be answered at once.", registry=to)
        self.connections = Gauge("api_connections", "Open connections.", registry=to)
        self.connection_limit = Gauge("api_connection_limit", "How many connections may be open.", registry=to)
        self.held_bytes = Gauge(
            "api_held_bytes", "Bytes of bodies not yet answered and of answers not yet read.", registry=to
        )

    def answered(self, method: str, route: str, status: int, seconds: float, market: str = "") -> None:
        """Count a request; route and market are among the service's own, so that no client makes up a label."""
        self._requests.inc((method, route, _STATUS[status], market))
        self._seconds.observe((route,), seconds)

    def predicted(self, market: str, category: str, version: str, listings: int = 1) -> None:
        """Count the listings that were given a category."""
        self._predictions.inc((market, category, version), listings)

    def explained(self, market: str) -> None:
        """Count an answer that was explained."""
        self._explanations.inc((market,))

    def answered_together(self, listings: int) -> None:
        """Count a call of the model that answered so many single listings."""
        self._together.observe((), listings)

    def follows(self, market: str) -> None:
        """Show a market's figures, which are 0 as yet: what was never there does not increase to an alert rule."""
        self._loads.labels(market)
        self._refusals.labels(market)
        self._shadow_failing.labels(market)

    def loaded(self, market: str, model: Model) -> None:
        """Say which model answers for a market from now on."""
        self._loads.labels(market).inc()
        if market in self._models:
            self._model.remove(*self._models[market])
        self._models[market] = (market, model.version, model.run_id, model.snapshot)
        self._model.labels(*self._models[market]).set(1)

    def refused(self, market: str) -> None:
        """Count a champion that cannot be served."""
        self._refusals.labels(market).inc()

    def shadowed(self, market: str, version: str | None) -> None:
        """Say which version is asked beside a market's champion from now on, if any."""
        if market in self._shadow_versions:
            self._shadow.remove(market, self._shadow_versions.pop(market))
        if version is not None:
            self._shadow_versions[market] = version
            self._shadow.labels(market, version).set(1)
            for outcome in SHADOW_OUTCOMES:
                self._shadow_answers.labels(market, version, outcome)
            self._shadow_agreements.labels(market, version)

    def shadow_fails(self, market: str, *, fails: bool) -> None:
        """Say whether something is wrong with a market's shadow."""
        self._shadow_failing.labels(market).set(fails)

    def asked_shadow(self, market: str, version: str, outcomes: Mapping[str, int], agreements: int = 0) -> None:
        """Count what came of listings that the shadow was to be asked about; any thread may."""
        for outcome, listings in outcomes.items():
            self._shadow_answers.labels(market, version, outcome).inc(listings)
        self._shadow_agreements.labels(market, version).inc(agreements)

    def fares(self, market: str, version: str, live: Live | None) -> None:
        """Say how a market's champion fares, as far as it is known; the thread of a look may."""
        if (before := self._fares.pop(market, None)) is not None:
            for gauge in self._live.values():
                with suppress(KeyError):  # an accuracy that was not known
                    gauge.remove(market, before)
        if live is None:
            return
        self._fares[market] = version
        known = {
            "time_seconds": live.at.timestamp(),
            "labelled": live.labelled,
            "accuracy": live.accuracy,
            "test_accuracy": live.test_accuracy,
            "below_test": live.verdict == "below its test",
            "drifted": live.drift == "drift",
        }
        for name, value in known.items():
            if value is not None:
                self._live[name].labels(market, version).set(value)

    def look_failed(self) -> None:
        """Count a look at the registry that failed."""
        self._failures.inc()

    def lines_lost(self, count: int) -> None:
        """Count lines of the access log that could not be written."""
        self._lines_lost.inc(count)

    def turned_away(self) -> None:
        """Count a request for which there was no room."""
        self._turned_away.inc()

    def connection_ended(self, reason: str) -> None:
        """Count a connection that was not left to its peer."""
        self._ended.labels(reason).inc()

    def page(self) -> bytes:
        """All figures in Prometheus' text format."""
        self.before_page()
        return generate_latest(self._registry)
