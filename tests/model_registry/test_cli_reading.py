"""`models list`, `show`, `diff` and `history`, in a terminal of any width and for a program."""

import json
import re
import shutil

import msgspec
import pytest

from model_registry.cli.comparison import better_side
from model_registry.cli.manifest_view import summarize
from model_registry.manifest import Manifest, Rows
from model_registry.store import Registry
from tests.making import MADE_UP, PROMOTE, publish
from tests.model_registry.commands import in_terminal, run


@pytest.mark.parametrize("width", [60, 80, 105, 200])
def test_list_marks_the_champion_and_fits_into_the_terminal(
    width: int, registry: Registry, versions: list[str]
) -> None:
    output = in_terminal(registry, width, "list")
    [line] = [line for line in output.splitlines() if line.startswith("→ ") and "tree-" in line]
    assert versions[1] in line.split()
    assert "0.7200" in line
    assert max(len(line) for line in output.splitlines()[: 2 + len(versions)]) <= width
    assert all(version in output.split() for version in versions)


@pytest.mark.parametrize(
    ("candidate", "width", "columns"),
    [
        ("tree", 60, ["version", "listings", "snapshot", "log loss"]),
        ("tree", 80, ["version", "listings", "snapshot", "accuracy", "ROC AUC", "log loss"]),
        ("hist_gradient_boosting", 60, ["version", "listings", "snapshot"]),
        ("hist_gradient_boosting", 80, ["version", "listings", "snapshot", "accuracy", "log loss"]),
        ("a" * 40, 60, ["version", "listings"]),
        ("a" * 40, 80, ["version", "listings", "snapshot"]),
        ("a" * 40, 105, ["version", "listings", "snapshot", "accuracy", "log loss"]),
    ],
)
def test_list_gives_up_columns_and_never_breaks_an_id(
    candidate: str, width: int, columns: list[str], registry: Registry
) -> None:
    version = publish(registry, 0, candidate, snapshot=MADE_UP)
    header, _, line, *_ = in_terminal(registry, width, "list").splitlines()
    assert re.split(r"  +", header.strip()) == columns
    assert version in line.split()
    assert "made up" in line


def test_list_goes_whole_into_a_pipe(registry: Registry) -> None:
    version = publish(registry, 0, "a" * 40, snapshot=MADE_UP)
    header, _, line, *_ = run(registry, "list").output.splitlines()
    assert re.split(r"  +", header.strip())[-4:] == ["log loss", "created", "trained on", "candidate"]
    assert [version, "made up", "2021-12-04", "0.7000"] == re.split(r"  +", line.strip())[:4]


def test_list_tells_real_listings_from_made_up_ones(registry: Registry, versions: list[str]) -> None:
    made_up = publish(registry, 3, snapshot=MADE_UP)
    lines = {line.split()[0]: line for line in run(registry, "list").output.replace("→", " ").splitlines()}
    assert "made up" in lines[made_up]
    assert "real" in lines[versions[0]]


def test_list_of_an_empty_registry_says_what_to_do(registry: Registry) -> None:
    registry.folder.mkdir(parents=True)
    assert "run the pipeline" in run(registry, "list").output
    assert json.loads(run(registry, "list", "--json").output) == []


def test_list_shows_a_damaged_version_beside_the_others(registry: Registry, versions: list[str]) -> None:
    (registry.path(versions[2]) / "manifest.json").write_text("{}")
    output = run(registry, "list").output
    assert f"{versions[2]}: the manifest is damaged" in output
    assert versions[0] in output
    assert json.loads(run(registry, "list", "--json").output)[-1]["version"] == versions[2]


def test_list_as_json_is_for_programs(registry: Registry, versions: list[str]) -> None:
    listed = json.loads(run(registry, "list", "--json").output)
    assert [entry["version"] for entry in listed if entry["champion"]] == [versions[1]]
    assert listed[0]["accuracy"] == 0.7
    assert len(listed) == 3


def test_show_tells_what_a_person_asks_and_takes_a_part_of_the_id(registry: Registry, versions: list[str]) -> None:
    digits = versions[1].split("-")[1]
    output = in_terminal(registry, 80, "show", digits)
    assert output.splitlines()[0] == f"{versions[1]}  (the champion)"
    titles = [line for line in output.splitlines()[1:] if line and not line.startswith(" ")]
    assert titles[:5] == ["model", "metrics, test", "metrics, cross validation", "data", "parameters"]
    assert re.search(r"roc_auc +0.8800", output)
    assert re.search(r"dropped: price missing +10", output)
    assert not re.search(r"sha256|run-1|checksum", output)
    assert max(len(line) for line in output.splitlines()) <= 80


def test_show_all_adds_hashes_runs_and_code(registry: Registry, versions: list[str]) -> None:
    output = in_terminal(registry, 80, "show", versions[0], "--all")
    assert registry.manifest(versions[0]).model.sha256 in output
    assert "run.run_id: run-1" in output
    assert "golden: 2 rows" in output


def test_show_as_json_is_the_whole_manifest(registry: Registry, versions: list[str]) -> None:
    shown = run(registry, "show", versions[0], "--json").output.encode()
    assert msgspec.json.decode(shown, type=Manifest) == registry.manifest(versions[0])


def test_what_this_code_does_not_know_of_a_manifest_is_one_short_line_each() -> None:
    lines: dict[str, str] = {}
    profile = {
        "rows": 27_051,
        "latitude": {"edges": [0.5] * 11, "shares": [0.1] * 10},
        "neighbourhood": {"Bronx": 0.04, "Queens": 0.31},
        "notes": ["a"] * 500,
    }
    summarize(lines, "profile", profile)
    assert lines == {
        "profile.rows": "27051",
        "profile.latitude": "11 edges, 10 shares",
        "profile.neighbourhood": "Bronx 0.04, Queens 0.31",
        "profile.notes": "500 entries",
    }


def test_diff_as_json_holds_all_that_differs_and_only_that(registry: Registry, versions: list[str]) -> None:
    differing = json.loads(run(registry, "diff", versions[0], versions[1], "--json").output)
    assert {"version", "model.sha256"} <= set(differing)
    assert "snapshot.sha256" not in differing
    assert differing["version"] == versions[:2]
    assert "do not differ" in run(registry, "diff", versions[0], versions[0]).output


def test_diff_groups_what_differs_and_names_the_better_side(registry: Registry) -> None:
    worse = {"test": {"accuracy": 0.6, "roc_auc": 0.88, "log_loss": 0.9}}
    better = {"test": {"accuracy": 0.7, "roc_auc": 0.88, "log_loss": 0.7}}
    a = publish(registry, 0, "a" * 40, metrics=better, snapshot=MADE_UP, parameters={"max_depth": 3})
    real = msgspec.structs.replace(MADE_UP, synthetic=False, source="https://example.org/" + "listings/" * 12)
    rows = Rows(raw=100, kept=80, train=66, test=14, dropped={"bedrooms missing": 20})
    b = publish(registry, 1, "b" * 40, metrics=worse, parameters={"max_depth": 4}, snapshot=real, rows=rows)
    output = in_terminal(registry, 80, "diff", "aaa", "bbb")
    assert re.search(r"A +B +better", output)
    assert output.splitlines()[:2] == [f"A  {a}  (made up)", f"B  {b}"]
    assert re.search(r"accuracy +0.7000 +0.6000 +A", output)
    assert re.search(r"log_loss +0.7000 +0.9000 +A", output)
    assert re.search(r"roc_auc +0.8800 +0.8800 *$", output, flags=re.MULTILINE)
    assert re.search(r"listings +made up \(synthetic\) +real", output)
    assert re.search(r"max_depth +3 +4", output)
    assert "sha256" not in output
    assert max(len(line) for line in output.splitlines()) <= 80


def test_diff_all_shows_the_hashes_too_and_breaks_none(registry: Registry, versions: list[str]) -> None:
    hidden = in_terminal(registry, 80, "diff", versions[0], versions[1])
    assert "differences in hashes, runs, code and libraries: --all." in hidden
    shown = in_terminal(registry, 80, "diff", versions[0], versions[1], "--all")
    assert all(registry.manifest(version).model.sha256 in shown for version in versions[:2])


def test_diff_warns_where_the_figures_are_of_other_test_listings(registry: Registry, versions: list[str]) -> None:
    other = publish(registry, 3, data_versions={"test_listings": "other"}, metrics={"test": {"accuracy": 0.9}})
    assert "Their test listings differ" in run(registry, "diff", versions[0], other).output
    assert "Their test listings differ" not in run(registry, "diff", versions[0], versions[1]).output


@pytest.mark.parametrize(
    ("metric", "a", "b", "better"),
    [
        ("accuracy", 0.7, 0.6, "A"),
        ("macro_f1", 0.6, 0.7, "B"),
        ("log_loss", 0.7, 0.6, "B"),
        ("log_loss", 0.70001, 0.70002, None),
        ("standard_error", 0.1, 0.2, None),
        ("accuracy", 0.7, None, None),
    ],
)
def test_the_better_side_of_a_metric(metric: str, a: float, b: float | None, better: str | None) -> None:
    assert better_side(metric, a, b) == better


def test_history_tells_who_did_what_and_why(registry: Registry, versions: list[str]) -> None:
    output = run(registry, "history").output
    assert "promotion" in output
    assert "refusal" in output
    assert f"{versions[1]} in place of {versions[0]}" in output
    assert "by sensor, run run-2" in output
    assert "Not better." in output
    assert [event["sequence"] for event in json.loads(run(registry, "history", "--json").output)] == [1, 2, 3]


def test_history_says_what_was_made_up_and_breaks_no_id(registry: Registry) -> None:
    made_up = publish(registry, 0, "a" * 40, snapshot=MADE_UP)
    real = publish(registry, 1, "b" * 40)
    registry.promote(made_up, PROMOTE, run_id=None, actor="sensor")
    registry.promote(real, PROMOTE, run_id=None, actor="sensor")
    output = in_terminal(registry, 80, "history")
    assert f"{made_up} (made up)" in output
    assert real in output.split()
    assert max(len(line) for line in output.splitlines()) <= 80
    assert [event["synthetic"] for event in json.loads(run(registry, "history", "--json").output)] == [True, False]


def test_history_does_not_know_of_a_version_that_is_gone_or_damaged(registry: Registry) -> None:
    gone, damaged = (publish(registry, seed, snapshot=MADE_UP) for seed in range(2))
    for version in (gone, damaged):
        registry.promote(version, PROMOTE, run_id=None, actor="sensor")
    shutil.rmtree(registry.path(gone))
    (registry.path(damaged) / "manifest.json").unlink()
    assert "made up" not in run(registry, "history").output
    assert [event["synthetic"] for event in json.loads(run(registry, "history", "--json").output)] == [None, None]


def test_card_prints_the_page_where_the_output_goes_elsewhere(registry: Registry, versions: list[str]) -> None:
    assert run(registry, "card", versions[0]).output == "<html>report</html>"


@pytest.mark.parametrize(("code", "said"), [(0, "Opened"), (1, "No browser could be started: open")])
def test_card_opens_it_from_a_terminal_and_says_where_it_lies(
    code: int, said: str, registry: Registry, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def launch(address: str) -> int:
        opened.append(address)
        return code

    monkeypatch.setattr("click.launch", launch)
    output = in_terminal(registry, 80, "card", versions[0])
    assert output.startswith(said)
    file = registry.path(versions[0]) / "report.html"
    assert opened == [file.resolve().as_uri()]
    assert str(file.resolve()) in output


def test_card_of_a_version_that_is_not_there_says_so(registry: Registry, versions: list[str]) -> None:
    result = run(registry, "card", f"no-{versions[0]}")
    assert result.exit_code == 1
    assert "holds no version" in result.output
