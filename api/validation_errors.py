"""What was wrong with a body, in words: the predecessor's, as far as it had them."""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from api.schemas import WrongField

MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading JSON raises, whatever the bytes are."""

_LONGEST = 60
_MOST_ALLOWED = 50
_PLACE = re.compile(r" - at `\$\.(\w+)`$")
_UNKNOWN = "Object contains unknown field `"
_MISSING = "Object missing required field `"
_ENUM = "invalid enum value "


def cut(text: str) -> str:
    """The text, or as much of it as an error shows of what a client sent."""
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def unknown(name: str) -> WrongField:
    """A field that no listing has."""
    return WrongField("unknown field", cut(name))


def missing(name: str) -> WrongField:
    """A field that every listing has and this one has not."""
    return WrongField("missing required field", name)


def repeated(name: str) -> WrongField:
    """A field that has two values, of which none is taken."""
    return WrongField("stands more than once", cut(name))


def in_words(error: Exception, kind: Any = None) -> str:
    """What a decoder raised, in plain words; for one of a few texts (`kind`) with those that are allowed."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "malformed UTF-8: invalid bytes in a text"
    return _plain(str(error), kind)


def first_fault(error: Exception) -> WrongField:
    """What a decoder of listings raised, and the field at which it stopped."""
    text = str(error)
    # In this order, for the name of an unknown field may look like a place.
    if text.startswith(_UNKNOWN):
        return unknown(text[len(_UNKNOWN) : -1])
    if text.startswith(_MISSING):
        return missing(text[len(_MISSING) : -1])
    place = _PLACE.search(text)
    if place is None:
        return WrongField(in_words(error))
    return WrongField(_plain(text[: place.start()], None), place[1])


def _plain(told: str, kind: Any) -> str:
    text = told if told.startswith("JSON") else told[:1].lower() + told[1:]
    if text.startswith(_ENUM):
        return _ENUM + _shown(text[len(_ENUM) :]) + _allowed(kind)
    return text.replace("`", "")


def _shown(value: str) -> str:
    quotation_mark = value[0]
    return quotation_mark + cut(value[1:-1]) + quotation_mark


def _allowed(kind: Any) -> str:
    if kind is None:
        return ""
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    texts = get_args(bare) if get_origin(bare) is Literal else tuple(bare) if _is_enum(bare) else ()
    more = f" and {len(texts) - _MOST_ALLOWED:,} more" if len(texts) > _MOST_ALLOWED else ""
    return f" (allowed: {', '.join(texts[:_MOST_ALLOWED])}{more})" if texts else ""


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, StrEnum)
