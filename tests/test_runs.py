"""Whole runs on a real instance: what fails says so in a sentence and leaves everything as it was."""

import gzip
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from mle_assets.models.candidates import NAMES
from tests.conftest import Pipeline
from tests.making import PROMOTE, publish


def sentence(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step says."""
    assert not result.success
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data, failure.error
    return failure.user_failure_data.description or ""


def bad_snapshots(snapshot: Path, folder: Path) -> dict[str, tuple[Path, str]]:
    """Each way to be bad: the file, and a part of the sentence it gets."""
    table = pd.read_csv(snapshot, dtype=str)
    zipped = gzip.compress(snapshot.read_bytes())
    folder.mkdir()
    lines = snapshot.read_bytes().splitlines(keepends=True)
    files = {
        "missing": (b"", ""),
        "no-price": (table.drop(columns="price").to_csv(index=False).encode(), "has no column price"),
        "empty": (b"", "is empty (0 bytes)"),
        "truncated": (zipped[: len(zipped) // 2], "is a gzip file that breaks off"),
        "page": (b"<html><body>Not found</body></html>", "is an HTML or XML page"),
        "no-boroughs": (
            table.drop(columns=["neighbourhood_group_cleansed", "neighbourhood_cleansed", "price"])
            .to_csv(index=False)
            .encode(),
            "has no column price, neighbourhood_cleansed among its",
        ),
        "stray-quote": (
            b"".join([*lines[:9], lines[9].replace(b'"Made-up listing"', b'"Made-up listing'), *lines[10:]]),
            "is not a whole CSV table (the row in line",
        ),
        "cut-in-a-row": (b"".join(lines)[:-60], "is not a whole CSV table (it breaks off in line 2,001"),
        "semicolons": (table.to_csv(index=False, sep=";").encode(), "has semicolons between its columns"),
        "json": (table.to_json(orient="records").encode(), "is JSON, not a table"),
        "gzip-of-gzip": (gzip.compress(zipped), "is a gzip file with a gzip file inside"),
        "another-city": (
            table.assign(neighbourhood_group_cleansed=None).to_csv(index=False).encode(),
            "neighbourhood missing in",
        ),
        "no-prices": (table.assign(price=None).to_csv(index=False).encode(), "price missing in 100% of them"),
    }
    for name, (content, _) in files.items():
        if name != "missing":
            (folder / name).write_bytes(content)
    return {name: (folder / name, words or "is not there") for name, (_, words) in files.items()}


UNREADABLE = ["missing", "empty", "truncated", "page", "json", "gzip-of-gzip", "stray-quote", "cut-in-a-row"]
NOT_OURS = ["no-price", "no-boroughs", "semicolons", "another-city", "no-prices"]


FAST = {"missing", "cut-in-a-row", "no-price", "another-city"}
"""Each is a whole run: the others are run by `make test-slow`, and their sentences are in tests/listings as well."""


@pytest.mark.parametrize(
    "kind",
    [kind if kind in FAST else pytest.param(kind, marks=pytest.mark.slow) for kind in (*UNREADABLE, *NOT_OURS)],
)
def test_a_bad_snapshot_fails_the_run_in_one_sentence_and_touches_nothing(
    kind: str, pipeline: Pipeline, synthetic_snapshot: Path, tmp_path: Path
) -> None:
    champion = publish(pipeline.registry, seed=0)
    pipeline.registry.promote(champion, PROMOTE, run_id=None, actor="test")
    before = (pipeline.registry.champion(), pipeline.registry.history())
    path, words = bad_snapshots(synthetic_snapshot, tmp_path / "bad")[kind]
    said = sentence(pipeline.run("train_and_promote", snapshot=str(path)))
    assert said.startswith(f"The snapshot {path} ")
    assert words in said
    assert said.count("\n") == 0
    assert (pipeline.registry.champion(), pipeline.registry.history()) == before
    kept = {file.name for file in pipeline.assets.rglob("*")} if pipeline.assets.exists() else set[str]()
    assert kept <= {"raw_listings.parquet"}


@pytest.mark.parametrize("chosen", ["synthetic", "", None])
def test_a_runs_config_may_name_the_synthetic_snapshot_or_leave_the_default(
    chosen: str | None, pipeline: Pipeline
) -> None:
    result = pipeline.definitions.resolve_job_def("training").execute_in_process(
        run_config={"ops": {"raw_listings": {"config": {"snapshot": chosen}}}},
        instance=pipeline.instance,
        partition_key="new-york",
        asset_selection=[dg.AssetKey("raw_listings")],
    )
    [event] = result.get_asset_materialization_events()
    assert event.materialization.metadata["dagster/row_count"].value == 4_000
    assert event.materialization.metadata["synthetic"].value is True


def test_a_check_that_fails_stops_what_is_downstream(
    pipeline: Pipeline, synthetic_snapshot: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(synthetic_snapshot, dtype=str)
    table.loc[table.index % 10 != 0, "price"] = None
    table.to_csv(tmp_path / "thin.csv", index=False)
    result = pipeline.run("training", snapshot=str(tmp_path / "thin.csv"))
    assert not result.success
    [failed] = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert failed.check_name == "enough_listings_are_kept"
    assert failed.metadata["share_kept"].value < failed.metadata["least"].value
    assert "blocking asset check failed" not in sentence(result)
    assert not (pipeline.assets / "train_listings.parquet").exists()


@pytest.mark.slow
def test_all_over_again_gives_the_same_champion(pipeline: Pipeline, ready: Pipeline) -> None:
    assert pipeline.run("train_and_promote").success
    assert ready.run("promotion").success
    anew, before = pipeline.registry.champion(), ready.registry.champion()
    assert anew
    assert before
    assert anew.version == before.version


def test_one_candidate_can_be_materialized_alone(trained: Pipeline) -> None:
    result = trained.run("training", asset_selection=[dg.AssetKey(["models", "simple_classifier_100"])])
    assert result.success
    [materialized] = result.get_asset_materialization_events()
    assert materialized.asset_key == dg.AssetKey(["models", "simple_classifier_100"])


def test_every_step_shows_its_figures(trained: Pipeline) -> None:
    def metadata(*path: str) -> dict[str, Any]:
        event = trained.instance.get_latest_materialization_event(dg.AssetKey(path))
        assert event
        assert event.asset_materialization
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}

    assert metadata("raw_listings")["synthetic"] is True
    assert metadata("raw_listings")["kind"] == "synthetic: made up, not real listings"
    funnel = {record.data["reason"]: record.data["listings"] for record in metadata("listings")["funnel"].records}
    assert funnel["in the snapshot"] == 4_000
    assert funnel["kept"] == 4_000 - sum(n for reason, n in funnel.items() if reason not in ("in the snapshot", "kept"))
    assert funnel["bedrooms missing"] > 300
    for name in NAMES:
        figures = metadata("evaluations", name)
        assert {
            "accuracy",
            "balanced_accuracy",
            "macro_f1",
            "roc_auc",
            "log_loss",
            "latency_us",
            "model_bytes",
            "categories",
            "confusion",
        } <= set(figures)
    assert metadata("leaderboard")["leader"] in NAMES


def test_the_data_version_of_the_raw_listings_is_the_snapshots_sha256(trained: Pipeline) -> None:
    event = trained.instance.get_latest_materialization_event(dg.AssetKey("raw_listings"))
    assert event
    assert event.asset_materialization
    tags = event.asset_materialization.tags or {}
    assert tags["dagster/data_version"] == event.asset_materialization.metadata["sha256"].value


@pytest.mark.slow
def test_the_same_snapshot_again_makes_the_same_versions_of_everything(pipeline: Pipeline) -> None:
    selection = [dg.AssetKey(k) for k in ("raw_listings", "listings", "train_listings", "test_listings")]

    def versions() -> list[str]:
        assert pipeline.run("training", asset_selection=selection).success
        events = [pipeline.instance.get_latest_materialization_event(key) for key in selection]
        return [(e.asset_materialization.tags or {})["dagster/data_version"] for e in events if e]  # pyright: ignore

    first = versions()
    assert versions() == first
    assert len(set(first)) == 4
