"""Settings from an environment, the same way on both sides: a struct's fields are variables in capitals."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from storage.address import BadAddress, is_url

DEFAULT_REGISTRY = "var/registry"
"""The registry folder where MODEL_REGISTRY is not set; relative to where a process is started."""

DEFAULT_PREDICTION_LOG = "var/predictions"
"""The folder of the prediction log where PREDICTION_LOG is not set."""

DEFAULT_SPOOL = "var/spool"
"""Where files of the log wait to be uploaded, where PREDICTION_SPOOL is not set."""

OrOff = Annotated[str, Meta(extra={"empty": "off"})]
"""What an empty variable turns off; every other empty variable counts as unset."""

_Settings = TypeVar("_Settings", bound=msgspec.Struct)


class BadSetting(Exception):
    """A variable of the environment has a value that cannot be used."""


def read_settings(kind: type[_Settings], environment: Mapping[str, str]) -> _Settings:
    """The settings in an environment; an empty variable counts as unset, unless it turns something off.

    Raises BadSetting naming the variable.
    """
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        given = environment.get(field.name.upper())
        if given or (given is not None and field.type == OrOff):
            try:
                values[field.name] = msgspec.convert(given, field.type, strict=False)
            except msgspec.ValidationError as error:
                raise BadSetting(f"{field.name.upper()}={given!r} cannot be used: {error}") from error
    return kind(**values)


def check_addresses(settings: msgspec.Struct, *names: str) -> None:
    """Raise BadSetting where one of these settings is a URL of a scheme that is none of ours."""
    for name in names:
        try:
            is_url(getattr(settings, name))
        except BadAddress as error:
            raise BadSetting(f"{name.upper()} cannot be used: {error}") from error
