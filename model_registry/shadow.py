"""The shadow: a version that is asked beside the champion, and whose answers nobody is given."""

from datetime import datetime

import msgspec


class Shadow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """shadow.json: the version that is asked beside the champion, since when, by whom and why."""

    version: str
    set_at: datetime
    actor: str
    reason: str


class ShadowDamaged(Exception):
    """shadow.json holds something that this code did not write."""


class ShadowRefused(Exception):
    """A version cannot be the shadow, because it is the champion."""


def read_shadow(content: bytes) -> Shadow:
    """The pointer in the content of shadow.json; raises ShadowDamaged for anything else."""
    try:
        return msgspec.json.decode(content, type=Shadow)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ShadowDamaged(
            f"shadow.json is damaged ({error}): remove it with `models shadow --none`, and set the shadow again"
        ) from error
