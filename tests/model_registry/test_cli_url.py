"""The `models` command over a URL: what it does in a folder, it does there."""

import json
from pathlib import Path

import pytest

from model_registry.cli.main import models
from model_registry.cli.refusals import EXIT_REFUSED
from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries
from model_registry.store import Registry
from tests.making import PROMOTE, publish
from tests.model_registry.commands import in_terminal, models_command, run
from tests.model_registry.stores import Files
from tests.object_store import ObjectStore


@pytest.fixture
def place(store: ObjectStore) -> str:
    return store.new_url()


def test_what_there_is_and_what_was_decided_is_shown(registry: Registry, versions: list[str]) -> None:
    listed = run(registry, "list")
    assert listed.exit_code == 0, listed.output
    assert f"{registry.place} holds 3 versions" in listed.output
    assert json.loads(run(registry, "history", "--json").output)[0]["version"] == versions[0]
    assert versions[0] in run(registry, "show", versions[0]).output
    assert run(registry, "card", versions[0]).output == "<html>report</html>"
    assert run(registry, "diff", versions[0], versions[1]).exit_code == 0
    assert versions[1] in run(registry, "markets").output
    assert "Nobody has looked yet" in run(registry, "live").output


def test_a_card_is_opened_in_a_browser_from_a_file_of_its_own(
    registry: Registry, versions: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = list[str]()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("click.launch", lambda address: opened.append(address) or 0)
    in_terminal(registry, 200, "card", versions[0])
    [file] = tmp_path.rglob("*.html")
    assert opened == [file.as_uri()]
    assert file.read_bytes() == b"<html>report</html>"


def test_what_changes_something_changes_it(registry: Registry, versions: list[str], tmp_path: Path) -> None:
    assert run(registry, "promote", versions[2], "--reason", "better").output == f"{versions[2]} is the champion.\n"
    assert run(registry, "rollback", "--reason", "worse").exit_code == 0
    assert "is the shadow since" in run(registry, "shadow", versions[2], "--reason", "a try").output
    assert run(registry, "shadow", "--none").output == "There is no shadow.\n"
    file = tmp_path / "version.tar"
    assert run(registry, "export", versions[2], str(file)).exit_code == 0
    assert f"removed {versions[2]}" in run(registry, "prune", "--keep", "0").output
    assert run(registry, "import", str(file)).output == f"{versions[2]} is in {registry.place}.\n"
    assert run(registry, "verify", "--all").output == "".join(
        f"whole    {name}\n" for name in (*sorted(versions), "champion.json", "history")
    )


def test_a_pointer_that_lags_is_told_and_repaired(registry: Registry, versions: list[str]) -> None:
    pointer = Files(registry).read("champion.json")
    registry.promote(versions[2], PROMOTE, run_id=None, actor="test")
    Files(registry).write("champion.json", pointer)
    told = run(registry, "verify", "--all")
    assert told.exit_code == EXIT_REFUSED
    assert "damaged  champion.json" in told.stdout
    assert f"the history leads to {versions[2]}: `models verify --repair` writes it anew" in told.stderr
    assert run(registry, "verify", "--repair").output == f"whole    {versions[2]}\n"
    assert run(registry, "verify", "--all").exit_code == 0


def test_what_is_not_there_is_told_and_not_made(registry: Registry, place: str) -> None:
    told = run(registry, "list")
    assert (told.exit_code, told.stdout) == (EXIT_REFUSED, "")
    assert f"there is no registry {place}/new-york: run the pipeline, which makes it, or name another place" in (
        told.stderr
    )
    publish(Registries(place).of("new-york"), 0)
    assert "only new-york beside it" in run(Registries(place).of("lisbon"), "list").stderr


def test_a_store_that_is_away_is_told_in_its_sentence(
    registry: Registry, versions: list[str], store: ObjectStore
) -> None:
    with store.failing(status=403):
        for arguments in (["list"], ["verify", "--all"], ["promote", versions[2], "--reason", "now"]):
            told = run(registry, *arguments)
            assert (told.exit_code, told.stdout) == (EXIT_REFUSED, "")
            assert told.stderr.startswith(f"Error: {registry.place}")
            assert "see to the " in told.stderr


@pytest.mark.usefixtures("store")
def test_a_bucket_that_is_not_there_is_told_in_a_sentence() -> None:
    told = models_command("--registry", "s3://none/prefix", "--market", "new-york", "list")
    assert told.exit_code == EXIT_REFUSED
    assert "s3://none/prefix" in told.stderr
    assert "Bucket" in told.stderr


def test_an_address_that_names_nothing_is_wrong_usage() -> None:
    told = models_command("--registry", "ftp://somewhere", "list")
    assert told.exit_code == 2
    assert "ftp://somewhere names no place that can be used" in told.stderr.replace("\n", " ")


def test_the_environment_names_a_url_as_well(place: str, versions: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_REGISTRY", place)
    assert versions[1] in models_command("list").output
    assert models.params[0].name == "place"
    assert Registries(place).of(DEFAULT_MARKET).place == f"{place}/{DEFAULT_MARKET}"
