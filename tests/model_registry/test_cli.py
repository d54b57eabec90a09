"""The `models` command, as a person and as a program use it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from model_registry.cli.main import models
from model_registry.cli.refusals import EXIT_BUSY, EXIT_REFUSED
from model_registry.disk import lock
from model_registry.store import Registry
from tests.making import KEEP, PROMOTE, publish


def run(registry: Registry, *arguments: str) -> Result:
    return CliRunner().invoke(models, ["--registry", str(registry.folder), *arguments], env={"COLUMNS": "80"})


@pytest.fixture
def versions(registry: Registry) -> list[str]:
    """Three versions: the first was champion, the second is, the third was refused."""
    published = [publish(registry, seed) for seed in range(3)]
    for version in published[:2]:
        registry.promote(version, PROMOTE, run_id="run-1", actor="sensor")
    registry.refuse(published[2], KEEP, run_id="run-2", actor="sensor")
    return published


def test_list_marks_the_champion_and_fits_into_80_columns(registry: Registry, versions: list[str]) -> None:
    output = run(registry, "list").output
    [line] = [line for line in output.splitlines() if line.lstrip().startswith("→ ") and "tree-" in line]
    assert versions[1] in line
    assert "0.7000" in line
    assert "0.8800" in line
    assert max(len(line) for line in output.splitlines()) <= 80
    assert all(version in output for version in versions)


def test_list_of_an_empty_registry_says_what_to_do(registry: Registry) -> None:
    assert "run the pipeline" in run(registry, "list").output
    assert json.loads(run(registry, "list", "--json").output) == []


def test_list_shows_a_damaged_version_beside_the_others(registry: Registry, versions: list[str]) -> None:
    (registry.path(versions[2]) / "manifest.json").write_text("{}")
    output = run(registry, "list").output
    assert "damaged" in output
    assert versions[0] in output
    assert json.loads(run(registry, "list", "--json").output)[-1]["version"] == versions[2]


def test_list_as_json_is_for_programs(registry: Registry, versions: list[str]) -> None:
    listed = json.loads(run(registry, "list", "--json").output)
    assert [entry["version"] for entry in listed if entry["champion"]] == [versions[1]]
    assert listed[0]["accuracy"] == 0.7
    assert len(listed) == 3


def test_show_tells_all_and_takes_a_part_of_the_id(registry: Registry, versions: list[str]) -> None:
    digits = versions[0].split("-")[1]
    output = run(registry, "show", digits).output
    assert "metrics.test.roc_auc" in output
    assert "listings.csv.gz" in output
    assert json.loads(run(registry, "show", digits, "--json").output)["version"] == versions[0]


def test_diff_shows_what_differs_and_only_that(registry: Registry, versions: list[str]) -> None:
    differing = json.loads(run(registry, "diff", versions[0], versions[1], "--json").output)
    assert {"version", "model.sha256"} <= set(differing)
    assert "snapshot.sha256" not in differing
    assert differing["version"] == versions[:2]
    assert "do not differ" in run(registry, "diff", versions[0], versions[0]).output


def test_history_tells_who_did_what_and_why(registry: Registry, versions: list[str]) -> None:
    output = run(registry, "history").output
    assert "promotion" in output
    assert "refusal" in output
    assert f"{versions[1]} in place of {versions[0]}" in output
    assert "by sensor, run run-2" in output
    assert "Not better." in output
    assert [event["sequence"] for event in json.loads(run(registry, "history", "--json").output)] == [1, 2, 3]


def test_promote_and_rollback_change_the_champion_and_say_so(registry: Registry, versions: list[str]) -> None:
    promoted = run(registry, "promote", versions[2], "--reason", "we know better")
    assert promoted.output == f"{versions[2]} is the champion.\n"
    back = run(registry, "rollback", "--reason", "we did not")
    assert back.output == f"{versions[1]} is the champion again, in place of {versions[2]}.\n"
    further = run(registry, "rollback", "--to", versions[0], "--reason", "further")
    assert further.exit_code == 0
    assert [event.decision.reason for event in registry.history()[-3:]] == ["we know better", "we did not", "further"]
    nothing = run(registry, "rollback", "--reason", "even further")
    assert nothing.exit_code == EXIT_REFUSED
    assert nothing.stderr == "Error: There is no champion before the present one: see `models history`.\n"


def test_promoting_the_champion_says_that_nothing_changed(registry: Registry, versions: list[str]) -> None:
    assert "nothing was changed" in run(registry, "promote", versions[1], "--reason", "again").output
    assert len(registry.history()) == 3


def test_verify_finds_what_is_damaged(registry: Registry, versions: list[str]) -> None:
    assert run(registry, "verify").output == f"whole    {versions[1]}\n"
    assert run(registry, "verify", "--all").exit_code == 0
    (registry.path(versions[0]) / "model.onnx").write_bytes(b"damaged")
    damaged = run(registry, "verify", "--all")
    assert damaged.exit_code == EXIT_REFUSED
    assert f"damaged  {versions[0]}" in damaged.stdout
    assert "its SHA-256 or size differs" in damaged.stderr
    assert run(registry, "verify", versions[1]).exit_code == 0
    assert json.loads(run(registry, "verify", "--all", "--json").output)[versions[1]] is None


def test_prune_keeps_what_could_be_needed(registry: Registry, versions: list[str]) -> None:
    assert f"removed {versions[2]}" in run(registry, "prune", "--keep", "0").output
    assert registry.versions() == sorted(versions[:2])


def test_export_and_import_carry_a_version(registry: Registry, versions: list[str], tmp_path: Path) -> None:
    file = tmp_path / "version.tar"
    assert run(registry, "export", versions[0], str(file)).exit_code == 0
    again = run(registry, "export", versions[0], str(file))
    assert again.exit_code == EXIT_REFUSED
    assert "is there already: choose another name" in again.stderr
    other = Registry(tmp_path / "other")
    assert versions[0] in run(other, "import", str(file)).output
    assert other.versions() == [versions[0]]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "nothing"], EXIT_REFUSED, "holds no version 'nothing': see `models list`"),
        (["show", "tree"], EXIT_REFUSED, "may be any of tree-"),
        (["promote", "tree"], 2, "Missing option '--reason'"),
        (["prune"], 2, "Missing option '--keep'"),
        (["prune", "--keep", "-1"], 2, "-1 is not in the range"),
        (["verify", "tree", "--all"], 2, "Give a version or --all, not both"),
        (["import", "nothing.tar"], 2, "does not exist"),
    ],
)
def test_a_mistake_is_told_in_a_sentence_and_an_exit_code(
    arguments: list[str], code: int, words: str, registry: Registry, versions: list[str]
) -> None:
    result = run(registry, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr
    assert len(registry.history()) == len(versions)


def test_another_writer_has_an_exit_code_of_its_own(
    registry: Registry, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_registry.store.PATIENCE", 0.1)
    with (registry.folder / ".lock").open("w") as held:
        lock(held.fileno(), 1, registry.folder)
        busy = run(registry, "promote", versions[2], "--reason", "now")
    assert busy.exit_code == EXIT_BUSY
    assert "another process has been writing" in busy.stderr


@pytest.mark.parametrize("command", ["", *models.commands])
def test_every_help_fits_into_80_columns(command: str, registry: Registry) -> None:
    result = run(registry, *([command] if command else []), "--help")
    assert result.exit_code == 0
    assert max(len(line) for line in result.output.splitlines()) <= 80
    assert "..." not in result.output.replace("[ARGS]...", "")
