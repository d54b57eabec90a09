"""What `models` says to a person beside the result: what to do next, and that something long is under way."""

import json
import re
from pathlib import Path

import click
import msgspec
import pytest

from model_registry.cli.guidance import short
from model_registry.store import Registry
from tests.making import PROMOTE, publish
from tests.model_registry.commands import run, watched

WORSE, BETTER = ({"test": {"log_loss": loss}} for loss in (0.9, 0.8))


def said(registry: Registry, *arguments: str, width: int = 400) -> str:
    """What is said beside the result, in one line; without the registry and market that every suggestion names here."""
    result = watched(registry, width, *arguments)
    assert result.exit_code == 0, result.output
    last = click.unstyle(result.stderr).replace("\r", "\n").split("\n")
    told = f" --registry {registry.folder.parent} --market {registry.folder.name}"
    return " ".join(line for line in last if line and " … " not in line).replace(told, "")


def digits(version: str) -> str:
    return version.rpartition("-")[2][:4]


def test_list_suggests_to_compare_the_champion_with_the_newest(registry: Registry) -> None:
    first = publish(registry, 0)
    assert said(registry, "list") == (
        f'Next: `models promote {digits(first)} --reason "..."` makes the newest the first champion.'
    )
    registry.promote(first, PROMOTE, run_id=None, actor="sensor")
    assert said(registry, "list") == f"Next: `models show {digits(first)}` tells what is known of the champion."
    second = publish(registry, 1)
    assert said(registry, "list") == (
        f"Next: `models diff {digits(first)} {digits(second)}` compares the champion with the newest."
    )


def test_list_says_where_none_is_the_champion(registry: Registry) -> None:
    publish(registry, 0)
    assert "None of them is the champion." in run(registry, "list").output


def test_show_suggests_the_card(registry: Registry, versions: list[str]) -> None:
    assert said(registry, "show", versions[0]) == (
        f"Next: `models card {digits(versions[0])}` opens its card, with pictures and what it is weak at."
    )


def test_diff_suggests_a_promotion_only_where_the_challenger_is_better_on_the_same_listings(
    registry: Registry,
) -> None:
    champion = publish(registry, 0, metrics=BETTER)
    registry.promote(champion, PROMOTE, run_id=None, actor="sensor")
    worse, other = publish(registry, 1, metrics=WORSE), publish(registry, 2, metrics=BETTER)
    assert said(registry, "diff", champion, worse) == ""
    assert said(registry, "diff", worse, other) == ""
    registry.promote(worse, PROMOTE, run_id=None, actor="person")
    assert said(registry, "diff", worse, champion) == (
        f'Next: `models promote {digits(champion)} --reason "..."` puts the one with the lower log loss in the '
        "champion's place, whatever the gate says."
    )
    elsewhere = publish(registry, 3, metrics=BETTER, data_versions={"test_listings": "other"})
    assert said(registry, "diff", worse, elsewhere) == ""


def test_history_suggests_to_compare_what_was_kept_out_or_to_go_back(registry: Registry, versions: list[str]) -> None:
    assert said(registry, "history") == (
        f"Next: `models diff {digits(versions[1])} {digits(versions[2])}` compares the one kept out with the champion."
    )
    registry.promote(versions[2], PROMOTE, run_id=None, actor="person")
    assert said(registry, "history") == f'Next: `models rollback --reason "..."` goes back to {versions[1]}.'


def test_promote_and_rollback_say_how_to_undo_them(registry: Registry, versions: list[str]) -> None:
    follows = "An API that serves this registry follows within two seconds"
    assert said(registry, "promote", versions[2], "--reason", "better") == (
        f'{follows}; `models promote {digits(versions[1])} --reason "..."` makes {versions[1]} the champion again.'
    )
    assert said(registry, "rollback", "--reason", "worse") == (
        f'{follows}; `models promote {digits(versions[2])} --reason "..."` makes {versions[2]} the champion again.'
    )
    assert said(registry, "promote", versions[1], "--reason", "again") == ""


def test_the_first_promotion_has_nothing_to_go_back_to(registry: Registry) -> None:
    assert said(registry, "promote", publish(registry, 0), "--reason", "the first") == (
        "An API that serves this registry follows within two seconds."
    )


@pytest.mark.usefixtures("versions")
def test_verify_says_what_was_checked_or_what_else_can_be(registry: Registry) -> None:
    assert said(registry, "verify") == ("Next: `models verify --all` checks all versions, the pointer and the history.")
    assert said(registry, "verify", "--all") == "Nothing is damaged: 3 versions, the pointer and the history."


def test_prune_says_why_more_stay_than_were_to_be_kept(registry: Registry, versions: list[str]) -> None:
    assert said(registry, "prune", "--keep", "0") == (
        "The champion and those it could be rolled back to stay, whatever --keep says."
    )
    assert registry.versions() == sorted(versions[:2])


def test_export_and_import_name_each_other_and_the_promotion(
    registry: Registry, versions: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "a file.tar"
    assert said(registry, "export", versions[0], str(file)) == (
        f"Next: `models --registry FOLDER import '{file}'` takes it into another registry."
    )
    assert said(registry, "import", str(file)) == (
        f'Next: `models promote {digits(versions[0])} --reason "..."` makes it the champion, whatever the gate says.'
    )


@pytest.mark.parametrize("command", ["list", "show {0}", "diff {0} {1}", "history", "verify", "verify --all"])
def test_a_program_is_told_nothing_beside_the_result(command: str, registry: Registry, versions: list[str]) -> None:
    arguments = command.format(*versions).split()
    assert run(registry, *arguments).stderr == ""
    assert said(registry, *arguments, "--json") == ""
    assert watched(registry, 80, *arguments, "--json").stdout == run(registry, *arguments, "--json").stdout
    msgspec.json.decode(run(registry, *arguments, "--json").stdout.encode())


def test_a_long_look_tells_how_far_it_is(registry: Registry, versions: list[str]) -> None:
    told = click.unstyle(watched(registry, 80, "verify", "--all").stderr)
    assert re.search(r"Verifying … ━+ 3/3 0:00:\d\d", told)
    assert json.loads(run(registry, "verify", "--all", "--json").stdout)[versions[0]] is None


def test_a_command_that_is_suggested_stays_on_one_line(registry: Registry, versions: list[str]) -> None:
    registry.promote(versions[2], PROMOTE, run_id=None, actor="person")
    lines = click.unstyle(watched(registry, 50, "history").stderr).splitlines()
    told = f"--registry {registry.folder.parent} --market {registry.folder.name}"
    assert lines[1].startswith(f'`models {told} rollback --reason "..."`')


@pytest.mark.parametrize(
    ("versions_there", "part"),
    [
        (["tree-abcdef012345"], "abcd"),
        (["tree-abcdef012345", "tree-abcdee012345"], "abcdef"),
        (["tree-abcdef012345", "forest-abcdef012345"], "tree-abcdef012345"),
        (["tree-abcdef012345", "abcd-000000000000"], "abcde"),
    ],
)
def test_a_version_is_named_by_its_first_digits_that_no_other_has(versions_there: list[str], part: str) -> None:
    assert short("tree-abcdef012345", versions_there) == part
