"""After a run the pictures stand beside the numbers, and are few and small enough to be kept."""

import base64

import dagster as dg
import pytest

from mle_assets.models.candidates import NAMES
from tests.conftest import Pipeline, make_pipeline
from tests.pictures.drawn import is_small_png

OF_EVALUATION = ["confusion_matrix", "error_map", "importance_chart", "ranking_curves", "reliability_curves"]
NOT_DRAWN = {"majority_class", *(f"simple_classifier_{trees}" for trees in range(100, 500, 50))}


def pictures(metadata: dict[str, dg.MetadataValue]) -> dict[str, str]:
    """The Markdown of those that are pictures."""
    texts = {name: str(value.value) for name, value in metadata.items() if isinstance(value, dg.MarkdownMetadataValue)}
    return {name: text for name, text in texts.items() if text.startswith("![")}


def pictures_of(pipeline: Pipeline, asset: str) -> dict[str, str]:
    """Those of the latest materialization of an asset."""
    event = pipeline.instance.get_latest_materialization_event(dg.AssetKey.from_user_string(asset))
    assert event
    assert event.asset_materialization
    return pictures(dict(event.asset_materialization.metadata))


def png_in(markdown: str) -> bytes:
    return base64.b64decode(markdown.split("base64,")[1].removesuffix(")"))


@pytest.mark.parametrize(
    ("asset", "names"),
    [
        ("listings", ["funnel_chart", "map", "prices"]),
        ("evaluations/hist_gradient_boosting", OF_EVALUATION),
        ("evaluations/simple_classifier_500", ["confusion_matrix", "ranking_curves"]),
        ("evaluations/simple_classifier_450", []),
        ("leaderboard", ["standings_chart"]),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_an_asset_shows_its_pictures(trained: Pipeline, asset: str, names: list[str]) -> None:
    shown = pictures_of(trained, asset)
    assert sorted(shown) == names
    assert all(is_small_png(png_in(markdown)) for markdown in shown.values())


def test_a_training_leaves_less_than_two_megabytes_of_pictures(trained: Pipeline) -> None:
    evaluated = {name: pictures_of(trained, f"evaluations/{name}") for name in NAMES}
    assert {name for name, shown in evaluated.items() if not shown} == NOT_DRAWN
    others = [pictures_of(trained, "listings"), pictures_of(trained, "leaderboard")]
    assert sum(len(text) for shown in (*evaluated.values(), *others) for text in shown.values()) < 2_000_000


@pytest.mark.slow
def test_the_first_champion_is_compared_with_the_majority_class_and_shown_alone(ready: Pipeline) -> None:
    drawing = make_pipeline(ready.folder, ready.instance, pictures=True)
    [champion] = drawing.run("promotion").asset_materializations_for_node("champion")
    shown = pictures(dict(champion.metadata))
    assert set(shown) == {"comparison_chart", "champions_over_time"}
    assert "that of the majority class" in shown["comparison_chart"]
    assert "the last 1 of 1 champions" in shown["champions_over_time"]
    # The same leader again is compared with nobody.
    [champion] = drawing.run("promotion").asset_materializations_for_node("champion")
    assert set(pictures(dict(champion.metadata))) == {"champions_over_time"}


def test_no_pictures_are_drawn_where_none_are_wanted(ready: Pipeline) -> None:
    [champion] = ready.run("promotion").asset_materializations_for_node("champion")
    assert not pictures(dict(champion.metadata))
