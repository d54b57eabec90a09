"""`models shadow`, and where the other commands tell of the shadow."""

import json
import re

import pytest

from model_registry.cli.refusals import EXIT_REFUSED
from model_registry.store import Registry
from tests.model_registry.commands import in_terminal, run


def set_shadow(registry: Registry, version: str) -> None:
    assert run(registry, "shadow", version, "--reason", "better in May").exit_code == 0


def test_it_is_set_told_and_cleared(registry: Registry, versions: list[str]) -> None:
    assert run(registry, "shadow").output == "There is no shadow.\n"
    done = run(registry, "shadow", versions[2].split("-")[1], "--reason", "better in May")
    told = rf"{versions[2]} is the shadow since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC, by .+: better in May\n"
    assert re.fullmatch(told, done.output)
    assert run(registry, "shadow").output == done.output
    assert run(registry, "shadow", "--none").output == "There is no shadow.\n"
    assert run(registry, "shadow").output == "There is no shadow.\n"
    assert len(registry.history()) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["VERSION"], 2, "A version and its --reason belong together"),
        (["--reason", "why"], 2, "A version and its --reason belong together"),
        (["VERSION", "--none"], 2, "Give a version or --none, not both; --none takes no reason"),
        (["--none", "--reason", "why"], 2, "--none takes no reason"),
        (["nothing", "--reason", "why"], EXIT_REFUSED, "holds no version 'nothing': see `models list`"),
        (["CHAMPION", "--reason", "why"], EXIT_REFUSED, "is the champion: its shadow has to be another version."),
    ],
)
def test_a_mistake_is_told_in_a_sentence_and_changes_nothing(
    arguments: list[str], code: int, words: str, registry: Registry, versions: list[str]
) -> None:
    named = {"VERSION": versions[0], "CHAMPION": versions[1]}
    set_shadow(registry, versions[2])
    before = registry.shadow()
    result = run(registry, "shadow", *(named.get(argument, argument) for argument in arguments))
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr
    assert registry.shadow() == before


def test_promoting_it_says_so_and_leaves_no_shadow(registry: Registry, versions: list[str]) -> None:
    set_shadow(registry, versions[2])
    assert run(registry, "promote", versions[2], "--reason", "it was better").exit_code == 0
    assert run(registry, "shadow").output == "There is no shadow.\n"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_list_marks_it_and_says_what_the_mark_means(width: int, registry: Registry, versions: list[str]) -> None:
    assert "shadow" not in in_terminal(registry, width, "list")
    set_shadow(registry, versions[2])
    output = in_terminal(registry, width, "list")
    [line] = [line for line in output.splitlines() if line.startswith("⇢ ")]
    assert versions[2] in line.split()
    assert "→ is the champion, ⇢ its shadow." in output
    assert max(len(line) for line in output.splitlines()[: 2 + len(versions)]) <= width
    listed = json.loads(run(registry, "list", "--json").output)
    assert [entry["version"] for entry in listed if entry["shadow"]] == [versions[2]]
    assert [entry["version"] for entry in listed if entry["champion"]] == [versions[1]]


def test_show_and_diff_say_which_is_the_shadow(registry: Registry, versions: list[str]) -> None:
    set_shadow(registry, versions[2])
    assert run(registry, "show", versions[2]).output.splitlines()[0] == f"{versions[2]}  (the shadow)"
    assert run(registry, "diff", versions[1], versions[2]).output.splitlines()[:2] == [
        f"A  {versions[1]}  (the champion)",
        f"B  {versions[2]}  (the shadow)",
    ]


def test_markets_show_it_where_there_is_one(registry: Registry, versions: list[str]) -> None:
    assert "shadow" not in run(registry, "markets").output
    assert json.loads(run(registry, "markets", "--json").output)[0]["shadow"] is None
    set_shadow(registry, versions[2])
    header, _, line, *_ = run(registry, "markets").output.splitlines()
    assert header.split() == ["market", "champion", "since", "versions", "shadow"]
    assert line.split()[-2:] == ["3", versions[2]]
    assert json.loads(run(registry, "markets", "--json").output)[0]["shadow"] == versions[2]


def test_a_damaged_pointer_is_told_beside_the_champion_and_the_cure_it_names_works(
    registry: Registry, versions: list[str]
) -> None:
    (registry.folder / "shadow.json").write_text("{")
    for command in (["list"], ["shadow"], ["show", versions[0]]):
        refused = run(registry, *command)
        assert (refused.exit_code, refused.stdout) == (EXIT_REFUSED, "")
        assert "shadow.json is damaged" in refused.stderr
        assert "remove it with `models shadow --none`" in refused.stderr
    told = run(registry, "markets").output
    assert versions[1] in told
    assert "new-york: shadow.json is damaged" in told
    assert run(registry, "shadow", "--none").output == "There is no shadow.\n"
    assert run(registry, "list").exit_code == 0


def test_verify_all_looks_at_the_pointer_where_there_is_one(registry: Registry, versions: list[str]) -> None:
    assert "shadow.json" not in run(registry, "verify", "--all").output
    set_shadow(registry, versions[2])
    assert "whole    shadow.json" in run(registry, "verify", "--all").output.splitlines()
    (registry.folder / "shadow.json").write_text("{")
    damaged = run(registry, "verify", "--all")
    assert damaged.exit_code == EXIT_REFUSED
    assert "damaged  shadow.json" in damaged.stdout.splitlines()
    assert "remove it with `models shadow --none`" in damaged.stderr
