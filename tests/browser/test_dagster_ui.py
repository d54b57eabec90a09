"""Dagster's own UI over a pipeline's records: its pictures can be seen, its tables fit, its graph ends in the API."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from local.processes import free_port, running
from local.screenshots import environment
from local.up import Part
from tests.browser.conftest import Watched
from tests.waiting import until

FITS = """it => {
  while (it !== document.body && it.scrollWidth <= it.clientWidth) it = it.parentElement;
  return it === document.body;
}"""
"""Whether nothing that an element is in cuts it off, or has to be scrolled to show all of it."""


@pytest.fixture(scope="module")
def ui(promoted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the UI over the records of a run that promoted a model."""
    log, port = tmp_path_factory.mktemp("log") / "ui.log", free_port()
    settings = environment(promoted.parent / "dagster") | {
        "ASSET_FOLDER": str(promoted.parent / "assets"),
        "MODEL_REGISTRY": str(promoted),
        "SNAPSHOT_FOLDER": str(promoted.parent / "snapshots"),
    }
    command = ("dagster-webserver", "--read-only", "--port", str(port), "-m", "mle_assets.definitions")
    with running(*command, log=log, **settings) as process:
        until(Part("The UI", process, log, port, "/server_info").answers, seconds=120, every=0.2)
        # It asks for its parts one after the other, and a machine that tests may be busy.
        expect.set_options(timeout=30_000)
        yield f"http://127.0.0.1:{port}"
        expect.set_options(timeout=None)


@pytest.fixture
def watched(context: BrowserContext) -> Iterator[Watched]:
    """A page that has asked nothing of other machines when the test is over; what it complains of is Dagster's."""
    watched = Watched(context.new_page())
    yield watched
    assert watched.elsewhere() == []


def metadata(page: Page, name: str) -> Locator:
    """The line of an asset's metadata of that name."""
    return page.get_by_role("row").filter(has=page.get_by_text(name, exact=True)).last


@pytest.mark.parametrize(
    ("asset", "pictures"),
    [
        (
            "evaluations/hist_gradient_boosting",
            {
                "confusion_matrix": "Confusion matrix of",
                "ranking_curves": "ROC and precision-recall curves",
                "reliability_curves": "Reliability curves",
                "importance_chart": "Permutation importance",
                "error_map": "Map of the share of wrong answers",
            },
        ),
        ("leaderboard", {"standings_chart": "Validated log loss of"}),
        ("champion", {"comparison_chart": "The challenger's log loss", "champions_over_time": "Test figures of"}),
        (
            "listings",
            {"map": "Map of New York's listings", "prices": "Histogram of", "funnel_chart": "listings in the snapshot"},
        ),
    ],
    ids=["evaluation", "leaderboard", "champion", "listings"],
)
def test_every_picture_of_an_asset_can_be_seen_and_is_told(
    asset: str, pictures: dict[str, str], watched: Watched, ui: str
) -> None:
    page = watched.page
    page.goto(f"{ui}/assets/{asset}")
    for name, alt in pictures.items():
        metadata(page, name).get_by_text("[Show Markdown]").click()
        shown = page.get_by_role("dialog").get_by_role("img", name=re.compile(re.escape(alt)))
        expect(shown).to_be_visible()
        assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") >= 500
        # Neither made smaller, with letters that cannot be read, nor cut off.
        assert shown.evaluate("image => image.clientWidth === image.naturalWidth")
        assert shown.evaluate(FITS)
        page.get_by_role("button", name="Close").click()
        expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("asset", ["evaluations/hist_gradient_boosting", "leaderboard", "champion", "listings"])
def test_the_tables_of_an_asset_fit_a_page_of_1280_pixels(asset: str, watched: Watched, ui: str) -> None:
    page = watched.page
    page.goto(f"{ui}/assets/{asset}")
    expect(page.get_by_text("[Show Markdown]").first).to_be_visible()
    # How long the names of the machine's folders are is not ours to say.
    for path in ("path", "registry", "challenger_version"):
        for line in page.get_by_role("row").filter(has=page.get_by_text(path, exact=True)).all():
            line.evaluate("line => line.remove()")
    for table in page.get_by_role("table").all():
        assert table.evaluate(FITS), table.inner_text()[:100]


def test_the_catalogue_tells_the_columns_with_what_they_mean_and_may_be(watched: Watched, ui: str) -> None:
    page = watched.page
    page.goto(f"{ui}/assets/listings")
    for column, *told in (
        ("accommodates", "int64", "1 to 100", "How many guests it takes."),
        ("room_type", "string", "one of Shared", "What of the home is let."),
        ("price_category", "int64", "0 Low, 1 Mid, 2 High, 3 Lux"),
    ):
        line = page.get_by_role("row").filter(has=page.get_by_text(column, exact=True)).first
        for words in told:
            expect(line).to_contain_text(words)


def test_the_graph_goes_through_the_api_to_what_it_answered(watched: Watched, ui: str) -> None:
    page = watched.page
    page.goto(f"{ui}/asset-groups?expanded=global@global:release")
    nodes = page.locator("svg foreignObject")
    for name in ("listings", "models", "predecessor", "evaluation", "champion", "api", "monitoring"):
        expect(nodes.filter(has_text=re.compile(rf"^{name}")).first).to_be_visible()
    page.goto(f"{ui}/assets/api")
    expect(page.get_by_text("External Asset")).to_be_visible()
    expect(page.get_by_text("Upstream assets").locator("xpath=..")).to_contain_text("champion")
    expect(page.get_by_text("Downstream assets").locator("xpath=..")).to_contain_text("served_listings")
