"""The `models` command: what changes something, and every mistake in a sentence."""

import json
import os
import re
from pathlib import Path

import pytest

from model_registry.cli.main import models
from model_registry.cli.refusals import EXIT_BUSY, EXIT_REFUSED
from model_registry.disk import lock
from model_registry.registries import Registries
from model_registry.store import Registry
from tests.making import PROMOTE
from tests.model_registry.commands import run


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
    assert "Restore a damaged version from a back-up, or remove its folder and take it from an arch" in damaged.stderr
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
    nowhere = run(registry, "export", versions[0], str(tmp_path / "none" / "version.tar"))
    assert nowhere.exit_code == EXIT_REFUSED
    assert f"there is no folder {tmp_path / 'none'} to write version.tar into: make it, or name" in nowhere.stderr
    other = Registries(tmp_path / "other").of("new-york")
    assert versions[0] in run(other, "import", str(file)).output
    assert other.versions() == [versions[0]]


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_a_file_that_is_no_archive_is_refused_in_one_line(content: bytes, registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "version.tar"
    file.write_bytes(content)
    refused = run(registry, "import", str(file))
    assert (refused.exit_code, refused.stdout) == (EXIT_REFUSED, "")
    assert refused.stderr == (f"Error: {file} is no archive of a version, or not whole: `models export` makes one\n")


def test_where_nothing_was_published_verify_does_not_call_whole_what_is_not_there(registry: Registry) -> None:
    registry.folder.mkdir(parents=True)
    assert run(registry, "verify", "--all").output == "none yet champion.json\nnone yet history.jsonl\n"
    nothing = run(registry, "rollback", "--reason", "worse")
    assert nothing.stderr == "Error: There is no champion yet: see `models list` for what could be promoted.\n"


def test_a_pointer_that_the_history_does_not_lead_to_is_told_and_the_cure_it_names_works(
    registry: Registry, versions: list[str]
) -> None:
    pointer = registry.folder / "champion.json"
    registry.promote(versions[0], PROMOTE, run_id=None, actor="person")
    old = pointer.read_bytes()
    registry.promote(versions[1], PROMOTE, run_id=None, actor="person")
    pointer.write_bytes(old)
    refused = run(registry, "verify", "--all")
    assert refused.exit_code == EXIT_REFUSED
    assert f"champion.json names {versions[0]}, and the history leads to {versions[1]}: restore" in refused.stderr
    for version in (versions[2], versions[1]):
        assert run(registry, "promote", version, "--reason", "the pointer was an old one").exit_code == 0
    assert run(registry, "verify", "--all").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "nothing"], EXIT_REFUSED, "holds no version 'nothing': see `models list`"),
        (["show", "tree"], EXIT_REFUSED, "may be any of tree-"),
        (["promote", "tree"], 2, "Missing option '--reason'"),
        (["prune"], 2, "Missing option '--keep'"),
        (["prune", "--keep", "-1"], 2, "-1 is not in the range"),
        (["prune", "--keep", "x"], 2, "'x' is not a valid whole number"),
        (["promote", "tree", "--reason", " "], 2, "it is empty: say why, for whoever reads the history"),
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


@pytest.mark.parametrize("command", ["list", "history", "verify --all", "show x", "diff x y", "promote x --reason y"])
def test_a_registry_that_is_not_there_is_told_and_not_made(command: str, registry: Registry) -> None:
    result = run(registry, *command.split())
    assert (result.exit_code, result.stdout) == (EXIT_REFUSED, "")
    assert f"there is no registry {registry.folder}: run the pipeline" in result.stderr
    assert not registry.folder.exists()


def test_a_damaged_pointer_is_told_and_the_cure_it_names_works(registry: Registry, versions: list[str]) -> None:
    pointer = registry.folder / "champion.json"
    pointer.write_text('{"version": ')
    refused = run(registry, "list")
    assert (refused.exit_code, refused.stdout) == (EXIT_REFUSED, "")
    assert "champion.json is damaged" in refused.stderr
    assert "remove it, see with `models history` which version was the champion" in refused.stderr
    pointer.unlink()
    assert versions[1] in run(registry, "history").output
    assert run(registry, "promote", versions[1], "--reason", "the pointer was damaged").exit_code == 0
    assert run(registry, "verify", "--all").exit_code == 0


def test_a_manifest_of_a_newer_schema_is_told_by_the_versions_name(registry: Registry, versions: list[str]) -> None:
    file = registry.path(versions[0]) / "manifest.json"
    file.write_bytes(re.sub(rb'"schema_version": \d+', b'"schema_version": 99', file.read_bytes()))
    for arguments in (["show", versions[0]], ["diff", versions[1], versions[0]]):
        refused = run(registry, *arguments)
        assert (refused.exit_code, refused.stdout) == (EXIT_REFUSED, "")
        assert f"{versions[0]}: the manifest has schema version 99" in refused.stderr
        assert "upgrade the code" in refused.stderr


def test_a_manifest_that_is_gone_is_told_with_its_cure(registry: Registry, versions: list[str]) -> None:
    (registry.path(versions[0]) / "manifest.json").unlink()
    assert "restore the version from a back-up or an exported archive" in run(registry, "show", versions[0]).stderr


def test_a_folder_that_cannot_be_used_is_told_in_a_sentence(registry: Registry) -> None:
    registry.folder.mkdir(parents=True)
    (registry.folder / "versions").write_text("a file")
    refused = run(registry, "list")
    assert (refused.exit_code, refused.stdout) == (EXIT_REFUSED, "")
    assert f"{registry.folder / 'versions'} cannot be used (Not a directory): look at the folder" in refused.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_told_in_a_sentence(registry: Registry, versions: list[str]) -> None:
    registry.folder.chmod(0)
    refused = run(registry, "list")
    registry.folder.chmod(0o700)
    assert (refused.exit_code, refused.stdout) == (EXIT_REFUSED, "")
    assert "cannot be used (Permission denied): run this as a user" in refused.stderr
    assert versions[0] not in refused.stderr


def test_another_writer_has_an_exit_code_of_its_own(
    registry: Registry, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_registry.registries.PATIENCE", 0.1)
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
