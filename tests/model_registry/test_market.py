"""A market file says what a city's listings are, or is refused in one sentence."""

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.listing import EXAMPLE
from model_registry.market import NEW_YORK, BadMarket, Market, find_market, find_markets, market_in, read_market

NEW_YORKS_FILE = Path(__file__).parents[2] / "markets" / "new-york.toml"

QUIRKS = (
    "L'Eixample",
    "São João",
    "Neukölln, Nord",
    'The "Rocks"',
    "日本橋",
    "Ward A (councilmember X)",
    "mro",
    "None",
)
MANY = (*QUIRKS, *(f"Quarter {number}" for number in range(32)))


def written(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(BadMarket) as refused:
        read_market(path)
    return str(refused.value)


def test_new_yorks_file_says_what_old_manifests_leave_unsaid() -> None:
    assert read_market(NEW_YORKS_FILE) == NEW_YORK


def test_a_market_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    written(tmp_path / "lisbon.toml", "")
    written(tmp_path / "oslo.toml", "")
    said = refusal(tmp_path / "paris.toml")
    assert said.startswith(f"There is no market file {tmp_path}/paris.toml: there are lisbon, oslo.")
    assert "python -m mle_assets.listings.market" in said


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("currency", "curency", "Object contains unknown field `curency`"),
        ('title = "New York"\n', "", "Object missing required field `title`"),
        ("[90, 180, 400]", "[180, 90, 400]", "must rise from one to the next, and are 10, 180, 90, 400"),
        ("[90, 180, 400]", "[90, 90, 400]", "must rise from one to the next"),
        ("[90, 180, 400]", "[90, 180]", "Expected `array` of length 3"),
        ("[90, 180, 400]", "[90, 180, inf]", "must rise from one to the next"),
        ("[90, 180, 400]", "[90, nan, 400]", "must rise from one to the next"),
        ("lowest_price = 10", "lowest_price = 90", "must rise from one to the next"),
        ("lowest_price = 10", "lowest_price = -1", "Expected `float` >= 0"),
        ('"Bronx"', '""', "Expected `str` of length >= 1"),
        ('"Bronx"', '"Queens"', "its neighbourhood 'Queens' stands more than once"),
        ('"Bronx"', '"Bronx "', "its neighbourhood 'Bronx ' begins or ends with a space"),
        ('"USD"', '"dollars"', "its currency 'dollars' must be three capital letters"),
        ('"neighbourhood_group_cleansed"', '"neighborhood"', "Invalid enum value 'neighborhood'"),
        ("south = 40.45", "south = 41", "the box has no inside"),
        ("south = 40.45", "south = 91", "Expected `float` <= 90"),
        ('title = "New York"', 'title = "New York"\nname = "boston"', "it names itself"),
        ('title = "New York"', "title = New York", "Invalid value"),
    ],
)
def test_a_market_file_with_a_fault_is_refused_in_one_sentence(
    before: str, after: str, words: str, tmp_path: Path
) -> None:
    content = NEW_YORKS_FILE.read_text(encoding="utf-8")
    assert before in content
    path = written(tmp_path / "new-york.toml", content.replace(before, after, 1))
    said = refusal(path)
    assert words in said
    assert said.startswith(f"The market file {path} cannot be used: ")
    assert "\n" not in said


@pytest.mark.parametrize("name", ["New York", "new_york", "-york", "york-", "new--york", "é", "a.b", ""])
def test_a_name_that_is_no_plain_file_name_is_refused(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"{name}.toml", NEW_YORKS_FILE.read_text(encoding="utf-8"))
    assert re.search("must be small letters and digits|of length >= 1", refusal(path))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "oslo.toml").write_bytes(b"\xff\xfe")
    assert "cannot be used" in refusal(tmp_path / "oslo.toml")
    (tmp_path / "paris.toml").mkdir()
    assert "cannot be read" in refusal(tmp_path / "paris.toml")


def test_all_markets_of_a_folder_are_read_by_name(tmp_path: Path) -> None:
    content = NEW_YORKS_FILE.read_text(encoding="utf-8")
    for name in ("oslo.toml", "lisbon.toml", ".hidden.toml", "readme.md"):
        written(tmp_path / name, content)
    written(tmp_path / "porto.toml", "title = 1")
    markets, [fault] = find_markets(tmp_path)
    assert list(markets) == ["lisbon", "oslo"]
    assert f"The market file {tmp_path}/porto.toml cannot be used" in str(fault)
    assert find_markets(tmp_path / "none") == ({}, [])


def test_new_york_is_found_without_a_file_and_any_other_market_is_not(tmp_path: Path) -> None:
    assert find_market(tmp_path, "new-york") == NEW_YORK
    with pytest.raises(BadMarket, match="There is no market file"):
        find_market(tmp_path, "oslo")
    written(tmp_path / "new-york.toml", "title = 1")
    with pytest.raises(BadMarket, match="cannot be used"):
        find_market(tmp_path, "new-york")


def test_any_names_of_neighbourhoods_are_codes_in_their_order_and_what_a_listing_may_say() -> None:
    market = msgspec.structs.replace(NEW_YORK, neighbourhoods=MANY)
    assert market.codes == {name: code for code, name in enumerate(MANY)}
    for name in MANY:
        body = msgspec.json.encode({**EXAMPLE, "neighbourhood": name})
        assert msgspec.json.decode(body, type=market.listing).neighbourhood == name
    with pytest.raises(msgspec.ValidationError, match="Brooklyn"):
        msgspec.json.decode(msgspec.json.encode(EXAMPLE), type=market.listing)


@given(st.lists(st.text(min_size=1).map(str.strip).filter(bool), min_size=1, max_size=20, unique=True))
def test_a_market_is_the_same_after_it_was_written_and_read(neighbourhoods: list[str]) -> None:
    market = msgspec.structs.replace(NEW_YORK, neighbourhoods=tuple(neighbourhoods))
    assert msgspec.json.decode(msgspec.json.encode(market), type=Market) == market


def test_amounts_are_told_in_the_markets_currency() -> None:
    lisbon = msgspec.structs.replace(NEW_YORK, currency="EUR")
    assert [NEW_YORK.money(amount) for amount in (10, 1234, 12.5)] == ["$10", "$1,234", "$12.50"]
    assert [lisbon.money(amount) for amount in (10, 1234.5)] == ["10 EUR", "1,234.50 EUR"]


def test_every_market_has_an_example_that_it_takes() -> None:
    lisbon = msgspec.structs.replace(NEW_YORK, name="lisbon", neighbourhoods=("Alfama", "Belém"))
    for market in (NEW_YORK, lisbon, msgspec.structs.replace(lisbon, box=None)):
        assert msgspec.convert(market.example(), market.listing).neighbourhood in market.neighbourhoods
    assert NEW_YORK.example() == EXAMPLE


def test_a_draft_in_memory_is_named_by_whoever_reads_it() -> None:
    assert market_in(NEW_YORKS_FILE.read_bytes(), "boston").name == "boston"
