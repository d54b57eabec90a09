"""The model card: what it says is what the evaluation, the listings and the manifest say."""

import base64
import re
import shutil
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from mle_assets.evaluation.evaluation import Evaluation
from mle_assets.evaluation.leaderboard import Leaderboard
from mle_assets.release.card import Card, make_card, render_card
from model_registry.manifest import Manifest
from tests.conftest import instance_in, make_pipeline


class Outline(HTMLParser):
    """The headings of a page, and what it asks for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.headings, self.asked, self.tags = list[int](), list[str](), set[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.asked += [value or "" for name, value in attrs if name in ("src", "href")]


@pytest.fixture(scope="module")
def parts(
    trained_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Manifest, Evaluation, Leaderboard, pd.DataFrame, pd.DataFrame]:
    """What a promotion makes a card of."""
    folder = tmp_path_factory.mktemp("promoted")
    shutil.copytree(trained_folder, folder, dirs_exist_ok=True)
    with instance_in(folder / "dagster") as instance:
        pipeline = make_pipeline(folder, instance)
        assert pipeline.run("promotion").success
        champion = pipeline.registry.champion()
    assert champion
    manifest = pipeline.registry.manifest(champion.version)
    return (
        manifest,
        Evaluation.read(pipeline.assets / "evaluations" / manifest.candidate),
        Leaderboard.read(pipeline.assets / "leaderboard"),
        pd.read_parquet(pipeline.assets / "train_listings.parquet"),
        pd.read_parquet(pipeline.assets / "test_listings.parquet"),
    )


@pytest.fixture(scope="module")
def card(parts: tuple[Manifest, Evaluation, Leaderboard, pd.DataFrame, pd.DataFrame]) -> Card:
    return make_card(*parts, date(2026, 1, 31))


def text_of(card: Card) -> str:
    """A card as it is read: without its pictures and tags."""
    page = re.sub(r"<(style|head)>.*?</\1>", "", render_card(card).decode(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_its_figures_are_those_of_the_evaluation_and_lie_in_their_intervals(card: Card) -> None:
    headline = card.metrics.headline()
    assert [one.value for one in card.figures] == list(headline.values())
    for one in card.figures:
        assert one.interval.low < one.value < one.interval.high
        assert f"{one.name} {one.value:.3f} {one.interval.low:.3f} to {one.interval.high:.3f} {one.baseline:.3f}" in (
            text_of(card)
        )


def test_the_baseline_answers_with_the_shares_of_the_categories(card: Card, parts: tuple[object, ...]) -> None:
    test = parts[-1]
    assert isinstance(test, pd.DataFrame)
    baseline = {one.name: one.baseline for one in card.figures}
    assert baseline["ROC AUC"] == 0.5
    assert baseline["Balanced accuracy"] == 0.25
    assert baseline["Accuracy"] == pytest.approx(test["price_category"].value_counts(normalize=True).max(), abs=0.05)


def test_its_slices_add_up_to_all_test_listings(card: Card) -> None:
    for column in ("neighbourhood", "room_type"):
        of_column = [one for one in card.slices if one.column == column]
        assert sum(one.listings for one in of_column) == card.manifest.rows.test
        right = sum(one.right for one in of_column) / card.manifest.rows.test
        assert right == pytest.approx(card.metrics.accuracy)
    assert f"{card.slices[0].value} {card.slices[0].listings:,}" in text_of(card)


def test_it_is_one_file_that_asks_for_nothing_else_and_runs_nothing(card: Card) -> None:
    page = Outline(render_card(card).decode())
    assert not page.tags & {"script", "a", "iframe", "object", "form"}
    assert page.asked.pop(0) == "data:,"  # no icon, and no question for one
    assert page.asked
    assert all(address.startswith("data:image/png;base64,") for address in page.asked)
    assert all(base64.b64decode(address.split(",")[1]).startswith(b"\x89PNG") for address in page.asked)


def test_its_headings_are_an_outline_and_every_picture_says_what_it_shows(card: Card) -> None:
    page = Outline(render_card(card).decode())
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(below - above <= 1 for above, below in zip(page.headings, page.headings[1:], strict=False))
    assert set(card.pictures) == {
        "confusion_matrix",
        "ranking_curves",
        "reliability_curves",
        "importance_chart",
        "error_map",
        "standings_chart",
    }
    assert len(re.findall(r'<img [^>]*alt="[^"]{30,}"', render_card(card).decode())) == len(card.pictures)


def test_it_says_where_the_model_comes_from(card: Card) -> None:
    text, manifest = text_of(card), card.manifest
    for known in (
        manifest.version,
        manifest.snapshot.sha256,
        manifest.run.run_id,
        manifest.run.training_run_id,
        manifest.model.sha256,
        card.leaderboard.reason,
        *manifest.data_versions.values(),
        f"{manifest.rows.raw:,} listings",
        "Card of 2026-01-31",
    ):
        assert known in text, known


def test_made_up_listings_are_said_to_be(card: Card) -> None:
    assert "The listings were made up" in text_of(card)
    snapshot = msgspec.structs.replace(card.manifest.snapshot, synthetic=False, source="/srv/data/listings.csv.gz")
    real = msgspec.structs.replace(card.manifest, snapshot=snapshot)
    text = text_of(Card(**{**card.__dict__, "manifest": real}))
    assert "made up" not in text
    assert "CC BY 4.0" in text
    assert "listings.csv.gz" in text
    assert "/srv" not in text


def test_texts_of_a_market_are_text_and_no_markup(card: Card) -> None:
    market = msgspec.structs.replace(card.manifest.market, title="<b>York</b>")
    page = render_card(Card(**{**card.__dict__, "manifest": msgspec.structs.replace(card.manifest, market=market)}))
    assert b"<b>York" not in page
    assert b"&lt;b&gt;York&lt;/b&gt;" in page
