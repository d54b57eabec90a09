"""From a request's body to listings, strictly; a body that is refused is refused with every wrong field."""

import json
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from api.schemas import Problem, WrongField
from model_registry.listing import Listing

MOST_LISTINGS = 10_000
"""How many listings a batch may hold."""

PREFIX = "Invalid JSON input"
"""How the text of every refusal begins; clients of the predecessor look for it."""

Batch = Annotated[list[Listing], Meta(min_length=1, max_length=MOST_LISTINGS)]

# Strict decoders: Litestar's own decoding would take "4" for 4 and 1 for true.
_listing = msgspec.json.Decoder(Listing)
_batch = msgspec.json.Decoder(Batch)
_rows = msgspec.json.Decoder(Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MOST_LISTINGS)])
_fields = {field.name: field.type for field in msgspec.structs.fields(Listing)}

# A listing has twelve keys and two texts, each between two quotation marks, and none can contain one: a body
# with more has a key twice, of which a decoder would silently take the last.
_QUOTES = 2 * (len(_fields) + 2)
_INTEGERS = frozenset({"id", "accommodates", "beds", "bedrooms"})
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError)


class Invalid(Exception):
    """A body that is refused; `wrong` holds every wrong field."""

    def __init__(self, wrong: list[WrongField]) -> None:
        super().__init__(f"{PREFIX}: {'; '.join(_in_words(one) for one in wrong)}")
        self.wrong = wrong

    def problem(self) -> Problem:
        """The refusal as it is answered."""
        return Problem(status_code=400, detail=str(self), extra=self.wrong)


def read_listing(body: bytes) -> Listing:
    """The listing in a body; raises Invalid with all that is wrong with it."""
    try:
        listing = _listing.decode(body)
    except _MALFORMED:
        listing = _look_closer(body)
    if body.count(b'"') != _QUOTES:
        raise Invalid(_repeated(body))
    return listing


def read_batch(body: bytes) -> list[Listing]:
    """The listings in a body, in order; raises Invalid with all that is wrong with every one of them."""
    try:
        listings = _batch.decode(body)
    except _MALFORMED:
        listings = None
    if listings is not None and body.count(b'"') == _QUOTES * len(listings):
        return listings
    rows = read_rows(body)
    wrong = [fault for row in rows if isinstance(row, Invalid) for fault in row.wrong]
    if wrong:
        raise Invalid(wrong)
    return [row for row in rows if isinstance(row, Listing)]


def read_rows(body: bytes) -> list[Listing | Invalid]:
    """For each row of a body its listing, or what is wrong with it; raises Invalid where there are no rows."""
    try:
        rows = _rows.decode(body)
    except _MALFORMED as error:
        raise Invalid([WrongField(_plain(error))]) from None
    read: list[Listing | Invalid] = []
    for index, row in enumerate(rows):
        try:
            read.append(read_listing(bytes(row)))
        except Invalid as invalid:
            read.append(Invalid([msgspec.structs.replace(fault, index=index) for fault in invalid.wrong]))
    return read


def _look_closer(body: bytes) -> Listing:
    # msgspec stops at the first fault: here each field is looked at by itself. Only few bodies come here.
    try:
        values: Any = msgspec.json.decode(body)
    except RecursionError:
        raise Invalid([WrongField("nested too deeply")]) from None
    except _MALFORMED as error:
        raise Invalid([WrongField(_plain(error))]) from None
    if not isinstance(values, dict):
        raise Invalid([WrongField(f"expected object, got {_kind(values)}")])
    fields, wrong = _whole_numbers(cast("dict[str, Any]", values)), list[WrongField]()
    for name, kind in _fields.items():
        if name not in fields:
            wrong.append(WrongField("missing required field", name))
            continue
        try:
            msgspec.convert(fields[name], kind)
        except msgspec.ValidationError as error:
            wrong.append(WrongField(_plain(error), name))
    wrong += [WrongField("unknown field", name) for name in fields if name not in _fields]
    if wrong:
        raise Invalid(wrong)
    return msgspec.convert(fields, Listing)


def _whole_numbers(values: dict[str, Any]) -> dict[str, Any]:
    # To JSON Schema, and to clients whose language has one kind of number, 2.0 is an integer.
    return {
        name: int(value) if name in _INTEGERS and isinstance(value, float) and value.is_integer() else value
        for name, value in values.items()
    }


def _repeated(body: bytes) -> list[WrongField]:
    pairs: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=list)
    names = [name for name, _ in pairs]
    return [WrongField("stands more than once", name) for name in dict.fromkeys(names) if names.count(name) > 1]


def _plain(error: Exception) -> str:
    text = str(error).replace("`", "")
    return text[:1].lower() + text[1:]


def _kind(value: object) -> str:
    kinds: dict[type[object], str] = {list: "array", str: "str", bool: "bool", int: "int", float: "float"}
    return kinds.get(type(value), "null")


def _in_words(fault: WrongField) -> str:
    place = "" if fault.index is None else f"[{fault.index}]"
    where = ".".join(part for part in (place, fault.field) if part)
    return f"{where}: {fault.message}" if where else fault.message
