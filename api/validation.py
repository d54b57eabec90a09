"""From a request's body to listings, strictly; a body that is refused is refused with every wrong field.

Refusing costs no more than answering: faults are listed up to MOST_FAULTS, the others are only counted, and nothing
that a client sent is shown at length.
"""

import json
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from api.schemas import Problem, WrongField
from api.validation_errors import MALFORMED, first_fault, in_words, missing, repeated, unknown
from model_registry.listing import Listing
from model_registry.market import Market

MOST_LISTINGS = 10_000
"""How many listings a batch may hold."""

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
_INTEGERS = frozenset({"id", "accommodates", "beds", "bedrooms"})

_AT_ONCE = 500_000
"""Bytes of a batch, some two thousand listings, that are decoded in one go: that takes three milliseconds."""

# The whole of a list is decoded before its length is looked at, and five million zeros take 400 MB. A full batch has
# twelve commas for each listing.
_MOST_COMMAS = 20 * MOST_LISTINGS


@dataclass
class Faults:
    """What is wrong with a body: the faults that are listed, and how many more fields and listings are wrong."""

    listed: list[WrongField]
    fields: int = 0
    listings: int = 0

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
        if faults.listings:
            texts.append(f"and {_counted(faults.listings, 'listing')}")
        super().__init__(f"{PREFIX}: {'; '.join(texts)}")
        self.faults = faults

    def problem(self) -> Problem:
        """The refusal as it is answered."""
        faults = self.faults
        return Problem(400, str(self), faults.listed, omitted=faults.fields + faults.listings)


def reader_of(market: Market) -> "Reader":
    """What reads the listings of a market."""
    return _reader(market.listing)


class Reader:
    """Reads listings of one market."""

    def __init__(self, kind: type[Listing]) -> None:
        """Read listings of a kind: `Listing`, with the neighbourhoods that there are."""
        self._listing = msgspec.json.Decoder(kind)
        self._batch = msgspec.json.Decoder(Annotated[list[kind], Meta(min_length=1, max_length=MOST_LISTINGS)])
        self._kind = kind
        self._kinds: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(kind)}
        self._fields = {name: msgspec.json.Decoder(of_field) for name, of_field in self._kinds.items()}

    def listing(self, body: bytes) -> Listing:
        """The listing in a body; raises Invalid with all that is wrong with it."""
        read = self._look(body)
        if isinstance(read, Faults):
            raise Invalid(read)
        return read

    def batch(self, body: bytes) -> list[Listing]:
        """The listings in a body, in order; raises Invalid with what is wrong with every one of them."""
        # Decoding them in one go holds the interpreter; row by row takes hardly longer.
        good = self._good(body) if len(body) <= _AT_ONCE else None
        if good is not None:
            return good
        listings, faults = list[Listing](), Faults([])
        for index, row in enumerate(_parted(body)):
            if len(faults.listed) >= MOST_FAULTS:
                faults.listings += not isinstance(self._look_once(row), Listing)
                continue
            read = self._look(row)
            if isinstance(read, Listing):
                listings.append(read)
                continue
            for fault in read.listed:
                faults.add(msgspec.structs.replace(fault, index=index))
            faults.fields += read.fields
        if faults.listed:
            raise Invalid(faults)
        return listings

    def rows(self, body: bytes) -> list[Listing | Invalid]:
        """For each row of a body its listing, or what is wrong with it; raises Invalid where there are no rows.

        Once MOST_FAULTS are listed, a row has only the first of its faults.
        """
        read: list[Listing | Invalid] = []
        listed = 0
        for index, row in enumerate(_parted(body)):
            one = self._look(row) if listed < MOST_FAULTS else self._look_once(row)
            if isinstance(one, Listing):
                read.append(one)
                continue
            faults = Faults([msgspec.structs.replace(fault, index=index) for fault in one.listed], fields=one.fields)
            listed += len(faults.listed)
            read.append(Invalid(faults))
        return read

    def _good(self, body: bytes) -> list[Listing] | None:
        try:
            listings = self._batch.decode(body)
        except MALFORMED:
            return None
        return listings if body.count(b'"') == _QUOTES * len(listings) else None

    def _look(self, body: bytes) -> Listing | Faults:
        try:
            listing = self._listing.decode(body)
        except MALFORMED:
            return self._look_closer(body)
        return listing if body.count(b'"') == _QUOTES else self._look_closer(body)

    def _look_once(self, row: bytes) -> Listing | Faults:
        # The first fault only, as msgspec finds it: a fifth of the time that a closer look takes.
        try:
            listing = self._listing.decode(row)
        except MALFORMED as error:
            fault = first_fault(error)
        else:
            if row.count(b'"') == _QUOTES:
                return listing
            again = _repeated(row)
            return Faults(again[:1]) if again else listing
        if fault.field in _INTEGERS and fault.message == "expected int, got float":
            closer = self._look_closer(row)
            return Faults(closer.listed[:1]) if isinstance(closer, Faults) else closer
        return Faults([fault])

    def _look_closer(self, body: bytes) -> Listing | Faults:
        # msgspec stops at the first fault: here each field is looked at by itself. Only few bodies come here.
        try:
            given = _values.decode(body)
        except MALFORMED as error:
            return Faults([WrongField(in_words(error))])
        values, faults = dict[str, Any](), Faults([])
        for name in self._fields:
            if name not in given:
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
        if not faults.listed and body.count(b'"') != _QUOTES:
            faults.listed = _repeated(body)
        return faults if faults.listed else self._kind(**values)

    def _value(self, name: str, given: msgspec.Raw) -> Any:
        try:
            return self._fields[name].decode(given)
        except msgspec.ValidationError:
            # To JSON Schema, and to clients whose language has one kind of number, 2.0 is an integer.
            number = _whole(given) if name in _INTEGERS else None
            if number is None:
                raise
            return msgspec.convert(number, self._kinds[name])


@cache
def _reader(kind: type[Listing]) -> Reader:
    return Reader(kind)


def _parted(body: bytes) -> list[bytes]:
    if body.count(b",") > _MOST_COMMAS:
        raise Invalid(
            Faults([WrongField(f"more than {_MOST_COMMAS:,} commas: send at most {MOST_LISTINGS:,} listings at once")])
        )
    try:
        rows = _rows.decode(body)
    except MALFORMED as error:
        raise Invalid(Faults([WrongField(in_words(error))])) from None
    return [bytes(row) for row in rows]


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
