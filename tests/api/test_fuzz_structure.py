"""Fuzzed by structure: good listings and batches, broken where no schema would think of it.

Whatever is sent, the answer is a 200 or a 400 in the one shape, bounded in size, and a partial batch has one entry for
each of its rows.
"""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar.testing import TestClient

from api.app import create_app
from api.settings import Settings
from api.validation import MOST_FAULTS
from model_registry.folder_store import FolderRegistry
from model_registry.listing import EXAMPLE
from tests.making import PROMOTE, publish

MOST_BYTES_OF_A_REFUSAL = 150_000
MOST_BYTES_OF_A_ROW = 700

# A value is its own JSON text, so that there are values which no encoder writes. An object is a list of its pairs, so
# that a key can stand in it twice.
Pairs = list[tuple[str, str]]


def texts(value: object) -> str:
    return json.dumps(value)


GOOD: Pairs = [(texts(name), texts(value)) for name, value in EXAMPLE.items()]

depths = st.sampled_from([1, 2, 50, 900, 1_100, 20_000])
nested = st.builds(
    lambda depth, ends: ends[0] * depth + "1" + ends[1] * depth,
    depths,
    st.sampled_from([("[", "]"), ('{"a":', "}"), ('[{"id":', "}]")]),
)
numbers = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),  # nan and inf among them, which are no JSON
    st.builds(lambda digit, many: digit * many, st.sampled_from("19"), st.sampled_from([19, 20, 309, 400, 5_000])),
    st.sampled_from(["-0", "-0.0", "1e308", "1e309", "-1e999", "1e-999", "2.0", "0.5", "01", "1.", ".5", "+1", "0x10"]),
)
words = st.one_of(
    st.text(max_size=80).map(texts),
    st.text(max_size=20).map(lambda text: f'"{text}"'),  # control characters and quotation marks as they are
    st.builds(lambda character, many: texts(character * many), st.characters(), st.sampled_from([61, 1_000, 100_000])),
    st.sampled_from(['"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"` - at `$.beds`"', '"\\x"', '"']),
)
large = st.sampled_from([1, 200, 50_000]).map(lambda many: "[" + "0," * many + "0]")
values = st.one_of(nested, numbers, words, large, st.sampled_from(["null", "true", "{}", "[]", "", "undefined"]))
spaces = st.sampled_from(["", " ", "\n\t\r ", " " * 100_000, "\u00a0", "\ufeff", "\x00", "/* */"])
known = st.sampled_from([name for name, _ in GOOD])


def replaced(pairs: Pairs, name: str, value: str) -> Pairs:
    return [(one, value if one == name else other) for one, other in pairs]


def shuffled(pairs: Pairs, name: str, value: str) -> Pairs:
    del name, value
    return pairs[::-1]


def escaped(pairs: Pairs, name: str, value: str) -> Pairs:
    return [*pairs, (f'"\\u00{ord(name[1]) % 256:02x}{name[2:]}' if len(name) > 2 else name, value)]


CHANGES: list[Callable[[Pairs, str, str], Pairs]] = [
    replaced,
    lambda pairs, name, value: [*pairs, (name, value)],
    lambda pairs, name, value: [(name, value), *pairs],
    lambda pairs, name, _: [pair for pair in pairs if pair[0] != name],
    escaped,
    shuffled,
]


@st.composite
def listings(draw: st.DrawFn) -> str:
    """The text of a listing, after up to three changes."""
    pairs = GOOD
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=3)):
        pairs = change(pairs, draw(known | words), draw(values))
    if draw(st.integers(0, 9)) == 0:
        many = draw(st.sampled_from([99, 100, 101, 5_000]))
        pairs = [*pairs, *((f'"field-{n}"', "0") for n in range(many))]
    space = draw(st.just("") | spaces)
    return "{" + space + ",".join(f"{name}:{value}" for name, value in pairs) + space + "}"


rows = st.one_of(listings(), values, st.just("{" + ",".join(":".join(pair) for pair in GOOD) + "}"))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A listing or a batch, whole, cut off, sent twice or with something around it."""
    several = draw(st.lists(rows, max_size=4))
    repeated = draw(st.sampled_from([1, 1, 1, 60, 2_000])) if sum(map(len, several)) < 3_000 else 1
    text = draw(listings() | st.just("[" + ",".join(several * repeated) + "]"))
    match draw(st.integers(0, 9)):
        case 0:
            text = text[: draw(st.integers(0, len(text)))]
        case 1:
            text += draw(spaces) + text
        case 2:
            text = draw(spaces) + text + draw(spaces)
        case 3:
            text = draw(st.sampled_from(["[", '{"a":', "]", ","])) + text
        case _:
            pass
    content = text.encode("utf-8", "surrogatepass")
    return (
        content.replace(b"o", draw(st.sampled_from([b"\xff", b"\xc0\x80", b"\xed\xa0\x80"])), 1)
        if draw(st.integers(0, 19)) == 0
        else content
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service that lets no exception pass for an answer."""
    registry = FolderRegistry(tmp_path_factory.mktemp("registry"))
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    limits = Settings(model_registry=str(registry.folder), access_log=False, body_limit=10**8, batch_body_limit=10**8)
    with TestClient(create_app(limits)) as client:
        yield client


def check(service: httpx.Client, content: bytes) -> None:
    """Every property, of each of the routes."""
    headers = {"Content-Type": "application/json"}
    for path in ("/classify", "/classify/batch", "/classify/batch?partial=true&probabilities=true"):
        answer = service.post(path, content=content, headers=headers)
        told = answer.json()
        if answer.status_code == 200:
            if path != "/classify":
                sent = json.loads(content.decode(errors="replace"), strict=False, parse_int=str, parse_float=str)
                assert len(told) == len(sent)
                assert len(answer.content) <= MOST_BYTES_OF_A_REFUSAL + MOST_BYTES_OF_A_ROW * len(sent)
                for row in told:
                    check_problem(row["error"]) if "error" in row else check_answer(row)
            else:
                check_answer(told)
            continue
        assert answer.status_code == 400, answer.text
        assert len(answer.content) <= MOST_BYTES_OF_A_REFUSAL
        check_problem(told)


def check_answer(told: dict[str, object]) -> None:
    assert {"id", "price_category"} <= set(told) <= {"id", "price_category", "probabilities"}


def check_problem(told: dict[str, object]) -> None:
    assert {"status_code", "detail", "extra"} <= set(told) <= {"status_code", "detail", "extra", "omitted"}
    assert str(told["detail"]).startswith("Invalid JSON input: ")
    assert isinstance(told["extra"], list)
    assert 1 <= len(told["extra"]) <= MOST_FAULTS
    assert told.get("omitted", 1)


# What fails may be a text of a megabyte.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


@settings(deadline=None, max_examples=40, suppress_health_check=SLOW)
@given(content=bodies())
def test_no_structure_is_a_fault_of_the_service(service: httpx.Client, content: bytes) -> None:
    check(service, content)


@pytest.mark.slow
@settings(deadline=None, max_examples=4_000, suppress_health_check=SLOW)
@given(content=bodies())
def test_no_structure_among_four_thousand_is_a_fault_of_the_service(service: httpx.Client, content: bytes) -> None:
    check(service, content)
