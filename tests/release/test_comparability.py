"""Listings of another kind are told from listings that differ by chance."""

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from mle_assets.release.comparability import Shift, learned_from, shifts, stability_index
from model_registry.id_filter import filter_of
from model_registry.listing import FEATURES
from model_registry.manifest import Manifest
from model_registry.market import NEW_YORK
from model_registry.profile import profile_of
from tests.making import MADE_UP, manifest, model

RANDOM = np.random.default_rng(0)


def listings(n: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Feature rows and category codes of n listings of one kind."""
    rows = RANDOM.normal(size=(n, len(FEATURES))).astype(np.float32)
    for name, codes in {"neighbourhood": 5, "room_type": 4, "tv": 2, "elevator": 2, "internet": 2}.items():
        rows[:, FEATURES.index(name)] = RANDOM.integers(0, codes, n)
    return rows, RANDOM.integers(0, 4, n)


def breaks(found: list[Shift]) -> list[str]:
    return [shift.feature for shift in found if shift.is_break]


def test_equal_shares_are_no_shift_at_all() -> None:
    assert stability_index((10, 20, 30), (10, 20, 30)) == 0
    assert stability_index((1_000, 2_000), (2_000, 4_000)) == pytest.approx(0, abs=1e-6)


def test_the_index_is_that_of_the_formula() -> None:
    # (0.3 - 0.1) ln 3 + (0.7 - 0.9) ln (0.7 / 0.9), with half a listing more in each bin.
    assert stability_index((10_000, 90_000), (30_000, 70_000)) == pytest.approx(0.26999, abs=1e-4)


@pytest.mark.parametrize("n", [50, 100, 200, 500, 5_000])
def test_listings_of_the_same_kind_are_hardly_ever_called_different(n: int) -> None:
    profile = profile_of(*listings(20_000), NEW_YORK)
    alarms = sum(bool(breaks(shifts(profile, *listings(n)))) for _ in range(200))
    # 1 % are allowed: with 200 tries more than 8 would come once in ten thousand times.
    assert alarms <= 8


def test_a_feature_of_another_kind_is_named_first() -> None:
    rows, codes = listings(5_000)
    profile = profile_of(rows, codes, NEW_YORK)
    moved = rows.copy()
    moved[:, FEATURES.index("latitude")] *= -1
    moved[:, FEATURES.index("latitude")] += 3
    found = shifts(profile, moved, codes)
    assert found[0].feature == "latitude"
    assert breaks(found) == ["latitude"]


def test_a_certain_but_small_difference_is_no_break() -> None:
    rows, codes = listings(50_000)
    profile = profile_of(rows, codes, NEW_YORK)
    moved = rows + np.float32(0.2) * np.array([name == "beds" for name in FEATURES], dtype=np.float32)
    found = shifts(profile, moved, codes)
    assert found[0].feature == "beds"
    assert 0.02 < found[0].index < found[0].limit == 0.25
    assert breaks(found) == []


def test_another_mix_of_categories_is_a_break() -> None:
    rows, codes = listings(5_000)
    profile = profile_of(rows, codes, NEW_YORK)
    assert breaks(shifts(profile, rows, np.where(codes < 3, 3, codes))) == ["price_category"]


IDS = np.arange(100, 200)


def made_of(test_listings: str, **changes: object) -> Manifest:
    changes = {"data_versions": {"test_listings": test_listings}, **changes}
    return msgspec.structs.replace(manifest(model(0)), **changes)


def test_of_another_snapshots_test_listings_those_are_known_that_the_champion_was_trained_on() -> None:
    champion = made_of("before", learned_from=filter_of(IDS[:40]))
    known = learned_from(champion, made_of("now"), IDS)
    assert known is not None
    assert known[:40].all()
    assert known[40:].sum() <= 5


def test_of_its_own_test_half_a_champion_has_learned_nothing() -> None:
    champion = made_of("now", learned_from=filter_of(IDS))
    assert not np.any(learned_from(champion, made_of("now"), IDS))


def test_the_ids_of_made_up_listings_are_nobodys() -> None:
    champion = made_of("before", learned_from=filter_of(IDS), snapshot=MADE_UP)
    assert not np.any(learned_from(champion, made_of("now", snapshot=MADE_UP), IDS))


def test_a_champion_of_before_does_not_say_what_it_has_learned_from() -> None:
    assert learned_from(made_of("before"), made_of("now"), IDS) is None
