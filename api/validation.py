"""From a request's body to listings or feedback, strictly; a body that is refused is refused with every wrong field.

Refusing costs no more than answering: faults are listed up to MOST_FAULTS, the others are only counted, and nothing
that a client sent is shown at length.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from api.schemas import Problem, WrongField
from api.validation_errors import MALFORMED, first_fault, in_words, missing, repeated, unknown
from model_registry.listing import Listing
from model_registry.market import Market

MOST_LISTINGS = 10_000
"""How many listings a batch may hold, and how many feedbacks a request."""

MOST_FAULTS = 100
"""How many wrong fields an answer lists; the others are counted."""

PREFIX = "Invalid JSON input"
"""How the text of every refusal begins; clients of the predecessor look for it."""

# Strict decoders: Litestar's own decoding would take "4" for 4 and 1 for true.
_rows = msgspec.json.Decoder(Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MOST_LISTINGS)])
_values = msgspec.json.Decoder(dict[str, msgspec.Raw])
_number = msgspec.json.Decoder(float)

# A listing has twelve keys and two texts, each between two quotation marks, and none can contain one: a body
# with more has a key twice, of which a decoder would silently take the last.
_QUOTES = 2 * (len(Listing.__struct_fields__) + 2)

_AT_ONCE = 500_000
"""Bytes of a batch, some two thousand listings, that are decoded in one go: that takes three milliseconds."""

# The whole of a list is decoded before its length is looked at, and five million zeros take 400 MB. A full batch has
# twelve commas for each listing, and fewer for each feedback.
_MOST_COMMAS = 20 * MOST_LISTINGS


Row = TypeVar("Row", bound=msgspec.Struct)


@dataclass
class Faults:
    """What is wrong with a body: the faults that are listed, and how many more fields and rows are wrong."""

    listed: list[WrongField]
    fields: int = 0
    rows: int = 0
    noun: str = "listing"
    """What a row is."""

    def add(self, fault: WrongField) -> None:
        """List one more if there is room, or count it."""
        if len(self.listed) < MOST_FAULTS:
            self.listed.append(fault)
        else:
            self.fields += 1


class Invalid(Exception):
    """A body that is refused, with all that is wrong with it."""

    def __init__(self, faults: Faults) -> None:
        texts = [_in_words(one) for one in faults.listed]
        if faults.fields:
            texts.append(f"and {_counted(faults.fields, 'field')}")
        if faults.rows:
            texts.append(f"and {_counted(faults.rows, faults.noun)}")
        super().__init__(f"{PREFIX}: {'; '.join(texts)}")
        self.faults = faults

    def problem(self) -> Problem:
        """The refusal as it is answered."""
        faults = self.faults
        return Problem(400, str(self), faults.listed, omitted=faults.fields + faults.rows)


def reader_of(market: Market) -> "Reader[Listing]":
    """What reads the listings of a market."""
    return _listings(market.listing)


class Reader(Generic[Row]):
    """Reads rows of one kind, one of them or a list."""

    def __init__(self, kind: type[Row], noun: str, quotes: Callable[[Sequence[Row]], int]) -> None:
        """Read rows of a kind, which errors call by a noun.

        `quotes` is how many quotation marks rows have: more in a body stand around keys that are there twice.
        """
        self._row = msgspec.json.Decoder(kind)
        self._batch = msgspec.json.Decoder(Annotated[list[kind], Meta(min_length=1, max_length=MOST_LISTINGS)])
        self._kind, self._noun, self._quotes = kind, noun, quotes
        fields = msgspec.structs.fields(kind)
        self._kinds: dict[str, Any] = {field.name: field.type for field in fields}
        self._fields = {field.name: msgspec.json.Decoder(field.type) for field in fields}
        self._required = {field.name for field in fields if field.required}
        self._integers = {field.name for field in fields if _is_integer(field.type)}

    def one(self, body: bytes) -> Row:
        """The row in a body; raises Invalid with all that is wrong with it."""
        read = self._look(body)
        if isinstance(read, Faults):
            raise Invalid(read)
        return read

    def batch(self, body: bytes) -> list[Row]:
        """The rows in a body, in order; raises Invalid with what is wrong with every one of them."""
        # Decoding them in one go holds the interpreter; row by row takes hardly longer.
        good = self._good(body) if len(body) <= _AT_ONCE else None
        if good is not None:
            return good
        rows, faults = list[Row](), Faults([], noun=self._noun)
        for index, row in enumerate(self._parted(body)):
            if len(faults.listed) >= MOST_FAULTS:
                faults.rows += isinstance(self._look_once(row), Faults)
                continue
            read = self._look(row)
            if not isinstance(read, Faults):
                rows.append(read)
                continue
            for fault in read.listed:
                faults.add(msgspec.structs.replace(fault, index=index))
            faults.fields += read.fields
        if faults.listed:
            raise Invalid(faults)
        return rows

    def rows(self, body: bytes) -> list[Row | Invalid]:
        """For each row of a body what it says, or what is wrong with it; raises Invalid where there are no rows.

        Once MOST_FAULTS are listed, a row has only the first of its faults.
        """
        read: list[Row | Invalid] = []
        listed = 0
        for index, row in enumerate(self._parted(body)):
            one = self._look(row) if listed < MOST_FAULTS else self._look_once(row)
            if not isinstance(one, Faults):
                read.append(one)
                continue
            faults = Faults([msgspec.structs.replace(fault, index=index) for fault in one.listed], fields=one.fields)
            listed += len(faults.listed)
            read.append(Invalid(faults))
        return read

    def _good(self, body: bytes) -> list[Row] | None:
        try:
            rows = self._batch.decode(body)
        except MALFORMED:
            return None
        return rows if body.count(b'"') == self._quotes(rows) else None

    def _look(self, body: bytes) -> Row | Faults:
        try:
            row = self._row.decode(body)
        except MALFORMED:
            return self._look_closer(body)
        return row if body.count(b'"') == self._quotes((row,)) else self._look_closer(body)

    def _look_once(self, body: bytes) -> Row | Faults:
        # The first fault only, as msgspec finds it: a fifth of the time that a closer look takes.
        try:
            row = self._row.decode(body)
        except MALFORMED as error:
            fault = first_fault(error)
        else:
            if body.count(b'"') == self._quotes((row,)):
                return row
            again = _repeated(body)
            return Faults(again[:1]) if again else row
        if fault.field in self._integers and fault.message == "expected int, got float":
            closer = self._look_closer(body)
            return Faults(closer.listed[:1]) if isinstance(closer, Faults) else closer
        return Faults([fault])

    def _look_closer(self, body: bytes) -> Row | Faults:
        # msgspec stops at the first fault: here each field is looked at by itself. Only few bodies come here.
        try:
            given = _values.decode(body)
        except MALFORMED as error:
            return Faults([WrongField(in_words(error))])
        values, faults = dict[str, Any](), Faults([])
        for name in self._fields:
            if name not in given:
                if name in self._required:
                    faults.add(missing(name))
                continue
            try:
                values[name] = self._value(name, given[name])
            except MALFORMED as error:
                faults.add(WrongField(in_words(error, self._kinds[name]), name))
        room = MOST_FAULTS - len(faults.listed)
        strangers = len(given) - sum(name in given for name in self._fields)
        faults.listed += [unknown(name) for name in islice((name for name in given if name not in self._fields), room)]
        faults.fields += max(0, strangers - room)
        if faults.listed:
            return faults
        try:
            row = self._kind(**values)
        except ValueError as error:  # what is wrong with the fields together
            return Faults([WrongField(str(error))])
        if body.count(b'"') != self._quotes((row,)):
            faults.listed = _repeated(body)
        return faults if faults.listed else row

    def _value(self, name: str, given: msgspec.Raw) -> Any:
        try:
            return self._fields[name].decode(given)
        except msgspec.ValidationError:
            # To JSON Schema, and to clients whose language has one kind of number, 2.0 is an integer.
            number = _whole(given) if name in self._integers else None
            if number is None:
                raise
            return msgspec.convert(number, self._kinds[name])

    def _parted(self, body: bytes) -> list[bytes]:
        if body.count(b",") > _MOST_COMMAS:
            most = f"more than {_MOST_COMMAS:,} commas: send at most {MOST_LISTINGS:,} {self._noun}s at once"
            raise Invalid(Faults([WrongField(most)]))
        try:
            rows = _rows.decode(body)
        except MALFORMED as error:
            raise Invalid(Faults([WrongField(in_words(error))])) from None
        return [bytes(row) for row in rows]


@cache
def _listings(kind: type[Listing]) -> Reader[Listing]:
    return Reader(kind, "listing", lambda rows: _QUOTES * len(rows))


def _is_integer(kind: Any) -> bool:
    # Whatever its bounds are, and also where it need not be there.
    if get_origin(kind) is Annotated:
        return _is_integer(get_args(kind)[0])
    return any(map(_is_integer, get_args(kind))) if get_origin(kind) in (Union, UnionType) else kind is int


def _whole(given: msgspec.Raw) -> int | None:
    try:
        number = _number.decode(given)
    except msgspec.ValidationError:
        return None
    return int(number) if number.is_integer() else None


def _repeated(body: bytes) -> list[WrongField]:
    # Only the names are wanted, whatever the values are that do not count: 5,000 digits, or bytes that are no text.
    text = body.decode(errors="replace")
    try:
        pairs: list[tuple[str, Any]] = json.loads(
            text, object_pairs_hook=list, parse_int=str, parse_float=str, strict=False
        )
    except (ValueError, RecursionError):
        return [WrongField("a field stands more than once")]
    names = [name for name, _ in pairs]
    return [repeated(name) for name in dict.fromkeys(names) if names.count(name) > 1]


def _counted(number: int, what: str) -> str:
    return f"{number:,} more wrong {what}{'' if number == 1 else 's'}"


def _in_words(fault: WrongField) -> str:
    if fault.index is None:
        return f"{fault.field}: {fault.message}" if fault.field is not None else fault.message
    place = f"[{fault.index}]" if fault.field is None else f"[{fault.index}].{fault.field}"
    return f"{place}: {fault.message}"
