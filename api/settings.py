"""The service's settings, from the environment."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from model_registry.settings import DEFAULT_REGISTRY

Positive = Annotated[int, Meta(ge=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of the API; each field is the variable of the same name in capitals."""

    model_registry: str = DEFAULT_REGISTRY
    """The registry folder; the pipeline is given the same."""
    host: str = "127.0.0.1"
    """The address to listen on; in a container 0.0.0.0."""
    port: Annotated[int, Meta(ge=1, le=65535)] = 8000
    """The port to listen on."""
    api_keys: str = ""
    """Keys, parted by commas; with any set, everything but health needs one."""
    cors_origins: str = ""
    """Origins whose pages may call the service, parted by commas; none unless set."""
    body_limit: Positive = 1_000_000
    """The largest body of a request in bytes; a larger one is a 413."""
    batch_body_limit: Positive = 10_000_000
    """The same for a batch."""
    body_seconds: Annotated[float, Meta(gt=0)] = 10.0
    """How long a body may take to arrive; a slower one is a 408."""
    concurrency_limit: Positive = 200
    """How many requests may be under way; one more is a 503 with Retry-After."""
    grace_seconds: Positive = 20
    """How long requests under way may take to finish after SIGTERM."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important log lines that are written."""
    access_log: bool = True
    """Whether every request is a log line."""

    def keys(self) -> tuple[str, ...]:
        """The keys, one by one."""
        return _parted(self.api_keys)

    def origins(self) -> tuple[str, ...]:
        """The origins, one by one."""
        return _parted(self.cors_origins)


def _parted(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
