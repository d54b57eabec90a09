"""The service's settings, from the environment."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from model_registry.market import is_market_name
from model_registry.settings import (
    DEFAULT_PREDICTION_LOG,
    DEFAULT_REGISTRY,
    DEFAULT_SPOOL,
    BadSetting,
    OrOff,
    check_addresses,
)

Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of the API; each field is the variable of the same name in capitals."""

    model_registry: str = DEFAULT_REGISTRY
    """The registry, a folder or a URL; the pipeline is given the same."""
    market: str | None = None
    """The market that /classify, /classify/batch and /model speak for; unless set, the only one there, or New York."""
    host: str = "127.0.0.1"
    """The address to listen on; in a container 0.0.0.0."""
    port: Annotated[int, Meta(ge=1, le=65535)] = 8000
    """The port to listen on."""
    forwarded_allow_ips: str = "127.0.0.1"
    """Peers whose X-Forwarded-For is believed, parted by commas, or *: the gateway in front."""
    api_keys: str = ""
    """Keys, parted by commas; with any set, all that answers about listings or models, and /metrics, needs one."""
    prediction_log: OrOff = DEFAULT_PREDICTION_LOG
    """The folder, or URL, that answers and feedback are logged to; none are where it is empty."""
    prediction_spool: str = DEFAULT_SPOOL
    """Where PREDICTION_LOG is a URL: the folder of this machine in which what is to be uploaded waits."""
    prediction_sample: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """The share of the answers that is logged."""
    feedback_keys: str = ""
    """Keys, parted by commas, that `/feedback` takes in place of API_KEYS."""
    cors_origins: str = ""
    """Origins whose pages may call the service, parted by commas; none unless set."""
    body_limit: Positive = 1_000_000
    """The largest body of a request in bytes; a larger one is a 413."""
    batch_body_limit: Positive = 10_000_000
    """The same for a batch."""
    body_seconds: Seconds = 10.0
    """How long a body may take to arrive; a slower one is a 408."""
    concurrency_limit: Positive = 200
    """How many requests may be answered at once, their bodies read, half of them large batches; one more is a 503."""
    explanation_limit: Positive = 8
    """How many explanations may be under way or wait for their turn; one more is a 503."""
    shadow_sample: Annotated[float, Meta(ge=0, le=1)] = 0.1
    """The share of the listings, from 0 to 1, that a market's shadow is asked about too, where it has one."""
    connection_limit: Positive = 1_000
    """How many connections may be open; for one more, the one that has kept the service waiting longest is closed."""
    buffer_limit: Positive = 64_000_000
    """How many bytes of bodies not yet answered and of answers not yet read may be held, of all together."""
    head_limit: Positive = 16_384
    """The largest request line and headers in bytes; larger ones are a 431."""
    head_seconds: Seconds = 10.0
    """How long they may take to arrive; slower ones are a 408."""
    answer_seconds: Seconds = 30.0
    """How long an answer may wait to be read before its connection is closed."""
    idle_seconds: Seconds = 75.0
    """How long a connection is kept open for its next request."""
    drain_seconds: Annotated[float, Meta(ge=0)] = 0.0
    """How long it goes on answering after SIGTERM, not ready, before it closes the port: for a gateway to see it."""
    grace_seconds: Positive = 20
    """How long requests under way may take to finish after that."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important log lines that are written."""
    access_log: bool = True
    """Whether every request is a log line, health checks that find nothing wrong aside."""

    def __post_init__(self) -> None:
        """Raise BadSetting where no market can be called so, or for a URL of a scheme that is none of ours."""
        check_addresses(self, "model_registry", "prediction_log")
        if "://" in self.prediction_spool:
            raise BadSetting(
                f"PREDICTION_SPOOL={self.prediction_spool!r} cannot be used: give a folder of this machine"
            )
        if self.market is not None and not is_market_name(self.market):
            raise BadSetting(
                f"MARKET={self.market!r} cannot be used: a market's name is small letters and digits with single "
                "hyphens between, as in new-york; see `models markets`"
            )

    def keys(self) -> tuple[str, ...]:
        """The keys, one by one."""
        return _parted(self.api_keys)

    def keys_for_feedback(self) -> tuple[str, ...]:
        """Those that feedback needs."""
        return _parted(self.feedback_keys) or self.keys()

    def origins(self) -> tuple[str, ...]:
        """The origins, one by one."""
        return _parted(self.cors_origins)


def _parted(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
