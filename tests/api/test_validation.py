"""Reading a body: nothing that is in it raises anything but Invalid, and a refusal is bounded."""

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from api.validation import MOST_FAULTS, MOST_LISTINGS, Invalid, reader_of
from api.validation_errors import cut, first_fault
from model_registry.listing import EXAMPLE, Listing
from model_registry.market import NEW_YORK

Read = Callable[[bytes], object]
READER = reader_of(NEW_YORK)
DEPTHS = (1_000, 1_010, 9_000, 100_000, 4_900_000)


def body(**changes: object) -> bytes:
    return json.dumps({**EXAMPLE, **changes}).encode()


def refusal(read: Read, content: bytes) -> Invalid:
    with pytest.raises(Invalid) as refused:
        read(content)
    return refused.value


def errors(content: bytes) -> list[str]:
    """What `READER.rows` says of each row, or of the body as a whole."""
    try:
        return [str(row) for row in READER.rows(content) if isinstance(row, Invalid)]
    except Invalid as refused:
        return [str(refused)]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("read", [READER.one, READER.batch])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"id":', b"}]")],
    ids=["arrays", "objects", "mixed"],
)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b"[", b"]"),
        (b'[{"beds":', b"}]"),
        (b'[{"unknown":', b"}]"),
        (body()[:-1] + b', "beds":', b', "beds": 2}'),
        (b"[" + body() + b",", b"]"),
        (b"[" + body()[:-1] + b', "beds":', b', "beds": 2}]'),
    ],
    ids=["body", "row", "field", "unknown", "twice", "second", "twice-in-a-row"],
)
def test_no_depth_of_nesting_is_more_than_a_refusal(
    before: bytes, after: bytes, opening: bytes, closing: bytes, read: Read, depth: int
) -> None:
    times = min(depth, 9_800_000 // (len(opening) + len(closing)))
    for content in (
        before + opening * times + b"1" + closing * times + after,
        before + opening * times,
    ):
        assert len(str(refusal(read, content))) < 5_000
        told = errors(content)
        assert told
        assert all(one.startswith("Invalid JSON input: ") for one in told)


def test_a_row_nested_too_deeply_is_said_to_be() -> None:
    # From Python 3.14 on it is not too deep as long as there is room on the stack.
    [told] = errors(b"[" + b"[" * 100_000 + b"]" * 100_000 + b"]")
    assert told in ("Invalid JSON input: nested too deeply", "Invalid JSON input: [0]: expected object, got array")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (body(beds=2)[:-1] + b', "beds": ' + b"9" * 5_000 + b', "beds": 2}', "beds: stands more than once"),
        (body()[:-1] + b', "beds": "a\x01b\xff", "beds": 2}', "stands more than once|malformed"),
        (body()[:-1] + b', "beds": "\\ud800", "beds": 2}', "beds: stands more than once|malformed"),
        (body()[:-1] + b', "beds": 1e999, "beds": 2}', "beds: stands more than once"),
        (body()[:-1] + b"," + b'"beds": 2,' * 50_000 + b'"tv": true}', "beds: stands more than once; .*tv: stands"),
        (body().replace(b"39331263", b"9" * 5_000), "id: integer value out of range"),
        (body().replace(b"39331263", b"9" * 400), "id: expected int <= 9223372036854775807"),
        (body().replace(b"39331263", b"1e300"), "id: expected int <= 9223372036854775807"),
        (body().replace(b"39331263", b"1e999"), "id: number out of range|id: expected int, got float"),
        (body().replace(b"40.65837", b"9" * 400), "latitude: number out of range"),
        (body().replace(b"Brooklyn", b"\xff\xfe"), "neighbourhood: malformed UTF-8"),
        (body().replace(b"Brooklyn", b"\\ud800"), "malformed"),
        (body().replace(b'"beds"', b'"\xff"'), "malformed"),
        (body().replace(b'"beds"', b'"\\udc00"'), "malformed"),
        (b"\xef\xbb\xbf" + body(), "malformed"),
        (body().decode().encode("utf-16"), "malformed"),
        (b"\x00" * 1_000, "malformed"),
        (b" " * 900_000, "truncated|length >= 1"),
        (body() + body(), "malformed"),
        (body() + b"\x00", "malformed"),
        (body()[:-1] + b",}", "malformed"),
    ],
    ids=range(21),
)
def test_what_no_client_means_is_refused_in_words(content: bytes, words: str) -> None:
    assert re.search(words, str(refusal(READER.one, content)))
    assert re.search(words, errors(b"[" + content + b"]")[0])
    refusal(READER.batch, b"[" + content + b"]")


def test_whitespace_and_escapes_change_nothing() -> None:
    flood = b" \n\t\r" * 100_000
    escaped = body().replace(b'"beds"', b'"\\u0062eds"').replace(b"Brooklyn", b"Br\\u006foklyn")
    assert READER.one(flood + escaped.replace(b":", b":" + b"\n" * 1_000) + flood) == READER.one(body())


def test_an_enum_says_what_is_allowed() -> None:
    assert str(refusal(READER.one, body(neighbourhood="Unknown"))) == (
        "Invalid JSON input: neighbourhood: invalid enum value 'Unknown' "
        "(allowed: Bronx, Queens, Staten Island, Brooklyn, Manhattan)"
    )
    assert "(allowed: Shared room, Private room, Entire home/apt, Hotel room)" in str(
        refusal(READER.one, body(room_type='it\'s "x" `y`'))
    )


def test_nothing_a_client_sent_is_shown_at_length() -> None:
    long = "x" * 800_000
    refused = refusal(READER.one, body(room_type=long, **{long: 1, "y" + long: long}))
    assert len(str(refused)) < 500
    assert "…" in str(refused)
    assert [fault.field for fault in refused.faults.listed] == ["room_type", cut(long), cut("y" + long)]
    late = errors(b"[" + b"{}," * 200 + body(room_type=long) + b"]")[-1]
    assert len(late) < 200


def test_a_listing_with_a_thousand_wrong_fields_has_a_hundred_of_them_listed_and_the_rest_counted() -> None:
    refused = refusal(READER.one, body(beds="1", **{f"field-{n}": n for n in range(1_000)}))
    assert len(refused.faults.listed) == MOST_FAULTS
    assert str(refused).startswith("Invalid JSON input: beds: expected int, got str; field-0: unknown field; ")
    assert str(refused).endswith("; field-98: unknown field; and 901 more wrong fields")
    assert refused.problem().omitted == 901


def test_ten_thousand_wrong_listings_have_a_hundred_faults_listed_and_the_rest_counted() -> None:
    refused = refusal(READER.batch, b"[" + b",".join([body(beds="1")] * MOST_LISTINGS) + b"]")
    assert str(refused).endswith("; [99].beds: expected int, got str; and 9,900 more wrong listings")
    assert refused.problem().omitted == 9_900
    assert len(str(refused)) < 5_000


def test_only_the_wrong_ones_among_the_rest_are_counted() -> None:
    rows = [body(beds="1")] * 100 + [body(beds=2.0)] * 5 + [body(beds=2.5)] + [body()] * 5 + [body(id=-1)]
    refused = refusal(READER.batch, b"[" + b",".join(rows) + b"]")
    assert str(refused).endswith("and 2 more wrong listings")
    assert str(refusal(READER.batch, b"[" + b",".join(rows[:106]) + b"]")).endswith("and 1 more wrong listing")


def test_fields_and_listings_that_are_not_listed_are_counted_apart() -> None:
    strangers = {f"field-{n}": n for n in range(150)}
    refused = refusal(READER.batch, b"[" + b",".join([body(**strangers), b"{}", b"3"]) + b"]")
    assert str(refused).endswith("; and 50 more wrong fields; and 2 more wrong listings")
    assert refused.problem().omitted == 52


def test_a_partial_batch_has_an_error_in_the_place_of_every_bad_row_however_many() -> None:
    late = [
        (body(beds="1"), "beds: expected int, got str"),
        (body(beds=2.5), "beds: expected int, got float"),
        (body(new=1), "new: unknown field"),
        (b"{}", "id: missing required field"),
        (b"3", ""),
        (body(room_type="Unknown"), "room_type: invalid enum value 'Unknown'"),
        (body(**{"x` - at `$.beds": 1}), "x` - at `$.beds: unknown field"),
        (body()[:-1] + b', "beds": 3}', "beds: stands more than once"),
        (body(beds=2.0)[:-1] + b', "beds": 2.0}', "beds: stands more than once"),
    ]
    rows = READER.rows(b"[" + b"{}," * 50 + b",".join([row for row, _ in late] + [body(), body(beds=2.0)]) + b"]")
    assert len(rows) == 50 + len(late) + 2
    assert all(isinstance(row, Listing) for row in rows[-2:])
    for (_, words), row in zip(late, rows[50:-2], strict=True):
        assert isinstance(row, Invalid)
        assert len(row.faults.listed) == 1
        assert words in str(row)
    assert str(rows[54]) == "Invalid JSON input: [54]: expected object, got int"


def test_the_field_at_which_a_decoder_stopped_is_not_what_a_client_made_up() -> None:
    for made_up in ("a` - at `$.beds", "Object missing required field `id`", "…", "", "`"):
        fault = first_fault(raised(body(room_type=made_up)))
        assert fault.field == "room_type"
        assert first_fault(raised(body(**{made_up: 1}))).field == made_up


def raised(content: bytes) -> Exception:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.json.decode(content, type=Listing)
    return error.value


@pytest.mark.parametrize("read", [READER.batch, READER.rows])
@pytest.mark.parametrize("part", [b"0,", b"{},", b'"",', b"[],"])
def test_millions_of_rows_are_refused_before_they_are_kept(part: bytes, read: Read) -> None:
    content = b"[" + part * (9_000_000 // len(part)) + b"0]"
    assert "send at most 10,000 listings at once" in str(refusal(read, content))


def as_json(refused: Invalid) -> dict[str, Any]:
    return json.loads(msgspec.json.encode(refused.problem()))


def test_a_refusal_of_all_there_is_says_nothing_of_omitted() -> None:
    assert set(as_json(refusal(READER.one, b"{}"))) == {"status_code", "detail", "extra"}
