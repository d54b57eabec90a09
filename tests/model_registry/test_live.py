"""How a version fares: written beside it, replaced whole, and shown by `models live`."""

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from model_registry.history import Decision
from model_registry.live import Live, LiveDamaged, Rival, quoting_the_shadow, read_live, write_live
from model_registry.registries import Registries
from model_registry.store import Registry, UnknownVersion
from tests.making import PROMOTE, publish
from tests.model_registry.commands import run
from tests.model_registry.stores import BOTH, Files

pytestmark = BOTH

AT = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)


@pytest.fixture
def registry(place: Path | str) -> Registry:
    """One with a champion."""
    registry = Registries(place).of("new-york")
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    return registry


def figures(version: str, **changes: object) -> Live:
    live = Live(
        version=version,
        market="new-york",
        at=AT,
        since=datetime(2026, 11, 20, tzinfo=UTC),
        until=AT,
        answers=5_000,
        labelled=1_250,
        listings=1_180,
        verdict="below its test",
        reason="61.0% of 1,180 listings were answered right: fewer than 70.1% when tested, by more than chance.",
        drift="drift",
        drift_reason="accommodates is not what it was.",
        drifted=("accommodates",),
        accuracy=0.61,
        accuracy_interval=(0.58, 0.64),
        test_accuracy=0.701,
        estimate=0.66,
    )
    return msgspec.structs.replace(live, **changes)


def test_the_latest_figures_are_read_back_and_those_of_no_other_version(registry: Registry) -> None:
    version = registry.versions()[0]
    assert read_live(registry, version) is None
    write_live(registry, figures(version))
    write_live(registry, figures(version, answers=6_000))
    assert read_live(registry, version) == figures(version, answers=6_000)
    assert [name for name in Files(registry).all() if name.startswith("live")] == [f"live/{version}.json"]
    with pytest.raises(UnknownVersion):
        write_live(registry, figures("tree-000000000000"))
    assert registry.problems() == {}


def test_figures_of_a_newer_version_that_say_more_are_read_for_what_is_known(registry: Registry) -> None:
    version = registry.versions()[0]
    write_live(registry, figures(version))
    files, name = Files(registry), f"live/{version}.json"
    files.write(name, files.read(name).replace(b"{", b'{"mood": "good",', 1))
    assert read_live(registry, version) == figures(version)


def test_what_is_damaged_is_told_and_not_shown(registry: Registry) -> None:
    version = registry.versions()[0]
    write_live(registry, figures(version))
    Files(registry).write(f"live/{version}.json", b"{")
    with pytest.raises(LiveDamaged, match="remove it, the next monitoring run writes it anew"):
        read_live(registry, version)
    told = run(registry, "live")
    assert told.exit_code == 1
    assert "is damaged" in told.stderr


def test_models_live_shows_the_champions(registry: Registry) -> None:
    [version] = registry.versions()
    assert run(registry, "live").stdout == (f"Nobody has looked yet how {version} fares: launch the job monitoring.\n")
    rival = msgspec.structs.replace(RIVAL, version="tree-1")
    write_live(registry, figures(version, rivals=(rival,)))
    told = run(registry, "live", version[:9]).stdout
    assert [re.sub("  +", "  ", line.strip()) for line in told.splitlines()] == [
        f"{version} of new-york, as of 2026-11-26 12:30",
        "",
        "answers  5,000, 2026-11-20 00:00 to 2026-11-26 12:30",
        "truth known of  1,250 (25.0%), about 1,180 different listings",
        "accuracy  0.6100 (0.5800 to 0.6400)",
        "accuracy when tested  0.7010",
        "estimated accuracy  0.6600, if it is as right as it is sure",
        "verdict  below its test",
        "drift  drift: accommodates",
        "shadow tree-1  asked 500 times, 20 missed; of 120 with known truth it alone was right 14 times, the "
        "version alone 6 (p = 0.0784)",
        "",
        "61.0% of 1,180 listings were answered right: fewer than 70.1% when tested, by more than chance.",
        "",
        "accommodates is not what it was.",
    ]
    as_json = msgspec.json.decode(run(registry, "live", "--json").stdout, type=Live)
    assert as_json == figures(version, rivals=(rival,))


RIVAL = Rival(
    version="",
    asked=500,
    missed=20,
    listings=120,
    only_shadow_right=14,
    only_version_right=6,
    p_value=0.0784,
)


def test_who_promotes_a_shadow_has_its_figures_in_the_history(registry: Registry) -> None:
    [first] = registry.versions()
    second = publish(registry, 1)
    write_live(registry, figures(first, rivals=(msgspec.structs.replace(RIVAL, version=second),)))
    assert run(registry, "promote", second, "--reason", "better in the shadow").exit_code == 0
    decision = registry.history()[-1].decision
    assert decision.reason == (
        f"better in the shadow. As the shadow of {first} it was asked about 500 listings and missed 20; of 120 whose "
        "truth is known it alone was right 14 times, the champion alone 6."
    )
    assert decision.numbers == {
        "shadow_asked": 500,
        "shadow_missed": 20,
        "shadow_listings": 120,
        "shadow_alone_right": 14,
        "champion_alone_right": 6,
        "shadow_p_value": 0.0784,
    }


def test_of_a_version_that_was_no_shadow_nothing_is_quoted_nor_where_it_cannot_be_read(registry: Registry) -> None:
    [first] = registry.versions()
    decision = Decision(promote=True, reason="why", numbers={"log_loss": 0.7})
    assert quoting_the_shadow(decision, registry, "tree-1") == decision
    write_live(registry, figures(first, rivals=(RIVAL,)))
    assert quoting_the_shadow(decision, registry, "tree-1") == decision
    Files(registry).write(f"live/{first}.json", b"{")
    assert quoting_the_shadow(decision, registry, "tree-1") == decision


def test_models_live_without_a_champion_says_so(place: Path | str) -> None:
    registry = Registries(f"{place}-2" if isinstance(place, str) else place / "2").of("new-york")
    publish(registry, 0)
    told = run(registry, "live")
    assert told.exit_code == 1
    assert "no model has been promoted" in told.stderr
