"""The page for people, used as they do: with a mouse, with the keyboard, on a phone, with a key, with an old model."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from model_registry.listing import EXAMPLE, encode_all
from model_registry.market import NEW_YORK
from model_registry.places import places_of
from model_registry.profile import profile_of
from model_registry.registries import Registries
from model_registry.store import Registry
from tests.api.server import Server, serving
from tests.browser.conftest import Watched
from tests.making import LISBON, MADE_UP, PROMOTE, listing, model_of_guests, publish, publish_model
from tests.waiting import until

_RANDOM = np.random.default_rng(0)
LISTINGS = [
    listing(
        accommodates=1 + n % 6,
        neighbourhood=NEW_YORK.neighbourhoods[n % 5],
        latitude=40.55 + 0.07 * (n % 5) + 0.02 * a,
        longitude=-74.1 + 0.07 * (n % 5) + 0.02 * b,
    )
    for n, (a, b) in enumerate(_RANDOM.random((500, 2)).tolist())
]
ROWS = encode_all(LISTINGS, NEW_YORK.codes)
KNOWN = {
    "profile": profile_of(ROWS, np.arange(500) % 4, NEW_YORK),
    "places": places_of(ROWS, NEW_YORK),
    "background": tuple(LISTINGS[:20]),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """New York's model answers by the number of guests; Lisbon's was published before there were maps and reasons."""
    registries = Registries(tmp_path_factory.mktemp("registry"))
    for market, changes in ((NEW_YORK, KNOWN), (LISBON, {"schema_version": 3})):
        registry = registries.of(market.name)
        version = publish_model(registry, model_of_guests(), market=market, **changes)
        registry.promote(version, PROMOTE, run_id=None, actor="test")
    with serving(registries.place, tmp_path_factory.mktemp("log") / "api.log") as running:
        # A start waits for the default market alone.
        until(lambda: len(running.client.get("/markets").json()) == 2)
        yield running


def opened(watched: Watched, server: Server, place: str = "") -> Page:
    """The page, its answer there."""
    watched.page.goto(f"http://127.0.0.1:{server.port}/{place}")
    expect(watched.page.locator("#category")).not_to_be_empty()
    return watched.page


def click_lower_left(page: Page) -> None:
    """Put the point where only listings of the Bronx are."""
    area = page.locator("#map").bounding_box()
    assert area
    page.locator("#map").click(position={"x": 5, "y": area["height"] - 5})


def test_the_first_answer_is_that_of_the_api(watched: Watched, server: Server) -> None:
    page = opened(watched, server)
    answer = server.client.post("/classify?probabilities=true&explain=true", json=EXAMPLE).json()
    expect(page.locator("#category")).to_have_text(answer["price_category"])
    shares = page.locator("#probabilities .value")
    for position, share in enumerate(answer["probabilities"].values()):
        expect(shares.nth(position)).to_have_text(
            {0.0: "0 %", 1.0: "100 %"}.get(share, f"{share:.0%}".replace("%", " %"))
        )
    reasons = page.locator("#reasons li")
    # Latitude and longitude are one point.
    expect(reasons).to_have_count(len(answer["explanation"]["contributions"]) - 1)
    expect(reasons.first).to_contain_text("Guests: 5")


def test_a_slider_that_is_moved_changes_the_category_the_bars_the_reasons_and_what_would_change_it(
    watched: Watched, server: Server
) -> None:
    page = opened(watched, server)
    for guests, category, price, other in (
        ("2", "Low", "up to US$90", "With one more guest"),
        ("3", "Mid", "more than US$90 and up to US$180", "With one guest less"),
        ("7", "Lux", "more than US$400", "With one guest less"),
    ):
        page.get_by_role("slider", name="Guests").fill(guests)
        expect(page.locator("#category")).to_have_text(category)
        expect(page.locator("#price")).to_contain_text(price)
        expect(page.locator("#probabilities .answered .name")).to_have_text(category)
        expect(page.locator("#reasons li").first).to_contain_text(f"Guests: {guests}")
        expect(page.locator("#changes")).to_contain_text(other, ignore_case=True)
        assert page.get_by_role("spinbutton", name="Guests").input_value() == guests


def test_a_number_that_is_none_is_said_to_be_and_the_answer_stays(watched: Watched, server: Server) -> None:
    page = opened(watched, server)
    page.get_by_role("spinbutton", name="Guests").fill("")
    expect(page.get_by_role("alert")).to_contain_text("A number is missing")
    page.get_by_role("spinbutton", name="Guests").fill("1")
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#category")).to_have_text("Low")


def test_the_keyboard_is_enough(watched: Watched, server: Server) -> None:
    page = opened(watched, server)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the answer")).to_be_focused()
    seen = list[str]()
    while "Guests" not in seen[-1:]:
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent")
        seen.append(str(name))
        assert len(seen) < 20, seen
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("slider", name="Guests")).to_have_value("1")
    expect(page.locator("#category")).to_have_text("Low")
    page.get_by_role("switch", name="TV").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("switch", name="TV")).not_to_be_checked()
    page.get_by_role("radio", name="Entire home/apt").focus()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("radio", name="Private room")).to_be_checked()


def test_a_point_on_the_map_is_a_place_and_its_neighbourhood(watched: Watched, server: Server) -> None:
    page = opened(watched, server)
    click_lower_left(page)
    expect(page.get_by_role("combobox", name="Neighbourhood")).to_have_value("Bronx")
    latitude = float(page.get_by_role("spinbutton", name="Latitude").input_value())
    assert abs(latitude - KNOWN["places"].south) < 0.01  # pyright: ignore


def test_a_neighbourhood_that_is_chosen_moves_the_point_into_it(watched: Watched, server: Server) -> None:
    page = opened(watched, server)
    page.get_by_role("combobox", name="Neighbourhood").select_option("Manhattan")
    latitude = float(page.get_by_role("spinbutton", name="Latitude").input_value())
    longitude = float(page.get_by_role("spinbutton", name="Longitude").input_value())
    assert 40.83 <= latitude <= 40.85
    assert -73.82 <= longitude <= -73.80


def test_on_a_phone_nothing_lies_beside_the_screen_and_the_answer_stays_in_sight(
    watched: Watched, server: Server
) -> None:
    watched.page.set_viewport_size({"width": 390, "height": 844})
    page = opened(watched, server)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("switch", name="TV").scroll_into_view_if_needed()
    page.get_by_role("slider", name="Guests").fill("1")
    expect(page.locator("#bar")).to_contain_text("Low 100 %")
    expect(page.locator("#bar")).to_be_in_viewport()
    page.locator("#bar").click()
    expect(page.locator("#category")).to_be_in_viewport()


def test_another_market_has_its_own_form_and_a_model_of_before_says_what_it_lacks(
    watched: Watched, server: Server
) -> None:
    page = opened(watched, server)
    page.get_by_role("combobox", name="Market").select_option("Lisbon")
    expect(page.get_by_role("combobox", name="Neighbourhood")).to_contain_text("L'Alfama")
    expect(page.locator("#no-map")).to_contain_text("published without a map")
    expect(page.locator("#why")).to_contain_text("was published without the listings that explanations compare with")
    expect(page.locator("#price")).to_contain_text("€")
    assert page.url.endswith("#lisbon")
    page.reload()
    expect(page.get_by_role("combobox", name="Market")).to_have_value("lisbon")
    expect(page.locator("#map")).to_be_hidden()
    page.get_by_role("combobox", name="Market").select_option("New York")
    expect(page.get_by_role("combobox", name="Neighbourhood")).to_have_value("Brooklyn")
    click_lower_left(page)
    expect(page.get_by_role("combobox", name="Neighbourhood")).to_have_value("Bronx")


def test_the_first_view_is_small(watched: Watched, server: Server) -> None:
    opened(watched, server)
    watched.page.wait_for_load_state("networkidle")
    assert sum(len(response.body()) for response in watched.responses) < 150_000


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registries(tmp_path / "registry").of(NEW_YORK.name)


def test_a_key_is_asked_for_and_kept_for_the_session_only(watched: Watched, registry: Registry, tmp_path: Path) -> None:
    watched.may_be_refused = True
    registry.promote(publish_model(registry, model_of_guests(), **KNOWN), PROMOTE, run_id=None, actor="test")
    with serving(registry.folder.parent, tmp_path / "api.log", API_KEYS="right") as server:
        page = watched.page
        page.goto(f"http://127.0.0.1:{server.port}/")
        for key in ("wrong", "right"):
            expect(page.get_by_label("This service asks for a key")).to_be_focused()
            page.keyboard.type(key)
            page.keyboard.press("Enter")
            page.wait_for_load_state("networkidle")
        expect(page.locator("#category")).not_to_be_empty()
        page.reload()
        expect(page.locator("#category")).not_to_be_empty()
        assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 1]
        with page.context.expect_page() as opened_card:
            page.get_by_role("link", name="About this model").click()
        expect(opened_card.value.locator("body")).to_contain_text("report")


def test_without_a_model_it_says_why_and_begins_once_there_is_one(
    watched: Watched, registry: Registry, tmp_path: Path
) -> None:
    watched.may_be_refused = True
    registry.folder.mkdir(parents=True)
    with serving(registry.folder.parent, tmp_path / "api.log") as server:
        watched.page.goto(f"http://127.0.0.1:{server.port}/")
        expect(watched.page.get_by_role("alert")).to_contain_text("No model has been promoted")
        made_up = {**KNOWN, "snapshot": MADE_UP}
        registry.promote(publish_model(registry, model_of_guests(), **made_up), PROMOTE, run_id=None, actor="test")
        expect(watched.page.locator("#category")).not_to_be_empty(timeout=10_000)
        expect(watched.page.locator("#made-up")).to_be_visible()
        expect(watched.page.locator("#source")).to_contain_text("which learned from made-up listings")


def test_a_champion_that_is_promoted_meanwhile_is_named_and_the_form_stays(
    watched: Watched, registry: Registry, tmp_path: Path
) -> None:
    registry.promote(publish_model(registry, model_of_guests(), **KNOWN), PROMOTE, run_id=None, actor="test")
    with serving(registry.folder.parent, tmp_path / "api.log") as server:
        page = opened(watched, server)
        page.get_by_role("switch", name="TV").uncheck()
        version = publish(registry, 3, snapshot=MADE_UP)
        registry.promote(version, PROMOTE, run_id=None, actor="test")
        until(lambda: server.client.get("/model").json()["version"] == version)
        page.get_by_role("slider", name="Guests").fill("2")
        expect(page.locator("#source")).to_contain_text(version)
        expect(page.locator("#made-up")).to_be_visible()
        expect(page.locator("#no-map")).to_be_visible()
        expect(page.get_by_role("switch", name="TV")).not_to_be_checked()


def test_a_service_that_is_gone_is_asked_again(watched: Watched, registry: Registry, tmp_path: Path) -> None:
    watched.may_be_refused = True
    registry.promote(publish_model(registry, model_of_guests(), **KNOWN), PROMOTE, run_id=None, actor="test")
    with serving(registry.folder.parent, tmp_path / "api.log") as server:
        page = opened(watched, server)
        watched.page.route("**/classify*", lambda route: route.abort())
        page.get_by_role("slider", name="Guests").fill("1")
        expect(page.get_by_role("alert")).to_contain_text("does not answer")
        watched.page.unroute("**/classify*")
        expect(page.locator("#category")).to_have_text("Low", timeout=10_000)
        expect(page.get_by_role("alert")).to_be_hidden()


def test_text_of_a_market_is_text_and_no_markup(watched: Watched, registry: Registry, tmp_path: Path) -> None:
    market = msgspec.structs.replace(
        NEW_YORK, title="<b>York</b>", neighbourhoods=("<img src=x onerror=alert(1)>", *NEW_YORK.neighbourhoods[1:])
    )
    registry.promote(publish_model(registry, model_of_guests(), market=market), PROMOTE, run_id=None, actor="test")
    with serving(registry.folder.parent, tmp_path / "api.log") as server:
        page = opened(watched, server)
        expect(page.get_by_role("combobox", name="Neighbourhood")).to_contain_text("<img src=x onerror=alert(1)>")
        assert page.locator("img").count() == 0


def test_the_reasons_add_up_to_the_probability(watched: Watched, server: Server) -> None:
    page = opened(watched, server)
    expect(page.locator("#why")).to_contain_text("High is")
    told = server.client.post("/classify?probabilities=true&explain=true", json=EXAMPLE).json()["explanation"]
    shown = [int(text.replace("−", "-")) for text in page.locator("#reasons .value").all_text_contents()]
    assert abs(100 * told["base_value"] + sum(shown) - 100) <= len(shown) / 2
