"""The service's settings, from the environment."""

from typing import Annotated

import msgspec
from msgspec import Meta

from model_registry.settings import DEFAULT_REGISTRY


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of the API; each field is the variable of the same name in capitals."""

    model_registry: str = DEFAULT_REGISTRY
    """The registry folder; the pipeline is given the same."""
    host: str = "127.0.0.1"
    """The address to listen on; in a container 0.0.0.0."""
    port: Annotated[int, Meta(ge=1, le=65535)] = 8000
    """The port to listen on."""
