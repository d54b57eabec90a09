"""The service's settings: the only reader of the environment on this side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of the API; each field is the variable of the same name in capitals."""

    model_registry: str = "var/registry"
    """The registry folder; the pipeline is given the same."""
    host: str = "127.0.0.1"
    """The address to listen on; in a container 0.0.0.0."""
    port: Annotated[int, Meta(ge=1, le=65535)] = 8000
    """The port to listen on."""

    @property
    def registry_folder(self) -> Path:
        """The registry folder as a path."""
        return Path(self.model_registry)


class BadSetting(Exception):
    """A variable of the environment has a value that cannot be used."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in an environment; an empty variable counts as unset. Raises BadSetting naming the variable."""
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(Settings):
        given = environment.get(field.name.upper())
        if given:
            try:
                values[field.name] = msgspec.convert(given, field.type, strict=False)
            except msgspec.ValidationError as error:
                raise BadSetting(f"{field.name.upper()}={given!r} cannot be used: {error}") from error
    return Settings(**values)  # pyright: ignore[reportArgumentType] (each was converted to its field's type)
