"""Listings that are no longer those a version learned from are told from those that differ by chance."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mle_assets.monitoring.drift import ANSWERED, FALSE_ALARMS, FLOOR, LEAST, PROBABILITY, Drift, Shift, Window, judge
from mle_assets.release.answers import Answers
from mle_assets.release.comparability import index_by_chance
from model_registry.listing import FEATURES
from model_registry.market import NEW_YORK
from model_registry.profile import Distribution, Profile, profile_of

REFERENCE = Answers(
    listings=5_000,
    answered=(0.45, 0.35, 0.18, 0.02),
    probability=(0.4, 0.35, 0.2, 0.05),
    calibration_error=0.01,
    calibration_error_by_chance=0.01,
)


def listings(n: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Feature rows of n listings as like New York's as a few lines make them, without any internet."""
    rows = np.empty((n, len(FEATURES)), dtype=np.float32)
    for name, column in {
        "neighbourhood": random.choice(5, n, p=(0.03, 0.15, 0.01, 0.41, 0.4)),
        "room_type": random.choice(4, n, p=(0.015, 0.475, 0.505, 0.005)),
        "accommodates": 1 + random.poisson(1.8, n),
        "bathrooms": random.choice((1.0, 1.5, 2.0, 3.0), n, p=(0.83, 0.06, 0.09, 0.02)),
        "bedrooms": random.choice((0, 1, 2, 3), n, p=(0.07, 0.7, 0.16, 0.07)),
        "beds": 1 + random.poisson(0.6, n),
        "latitude": random.normal(40.73, 0.055, n),
        "longitude": random.normal(-73.95, 0.055, n),
        "tv": random.random(n) < 0.72,
        "elevator": random.random(n) < 0.23,
        "internet": np.zeros(n),
    }.items():
        rows[:, FEATURES.index(name)] = column
    return rows


def probabilities(n: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Probabilities whose largest are the reference's answers, and whose means are about its means."""
    answered = random.choice(4, n, p=REFERENCE.answered)
    others = (np.array(REFERENCE.probability) - 0.6 * np.array(REFERENCE.answered)) / 0.4
    return 0.6 * np.eye(4)[answered] + 0.4 * others


def profile(random: np.random.Generator) -> Profile:
    return profile_of(listings(20_000, random), random.integers(0, 4, 20_000), NEW_YORK)


def judged(known: Profile, rows: NDArray[np.float32], random: np.random.Generator) -> Drift:
    return judge(known, REFERENCE, Window(rows, probabilities(len(rows), random), len(rows)))


def names(drift: Drift) -> list[str]:
    return [shift.name for shift in drift.shifts if shift.is_drift]


@pytest.mark.parametrize("n", [200, 500, 2_000])
def test_windows_without_drift_are_hardly_ever_called_drifted(n: int) -> None:
    # `benchmarks/drift.py` does this with a thousand windows of real listings.
    random = np.random.default_rng(n)
    known = profile(random)
    alarms = sum(judged(known, listings(n, random), random).verdict == "drift" for _ in range(200))
    # 1 % are allowed: of 200 windows more than 6 would be called so one time in two hundred.
    assert alarms <= 6


@pytest.mark.parametrize(
    ("feature", "by"),
    [("latitude", 0.0275), ("longitude", -0.0275), ("accommodates", 0.67), ("beds", 0.39), ("bedrooms", 0.35)],
)
def test_half_a_standard_deviation_is_found_at_two_thousand_listings(feature: str, by: float) -> None:
    random = np.random.default_rng(7)
    known, column = profile(random), FEATURES.index(feature)
    for _ in range(100):
        rows = listings(2_000, random)
        steps = by if feature.endswith("itude") else np.floor(by + random.random(len(rows)))
        rows[:, column] += steps
        assert names(judged(known, rows, random)) == [feature]


@pytest.mark.parametrize(("flag", "share"), [("tv", 0.72 - 0.225), ("elevator", 0.23 + 0.21), ("internet", 0.09)])
def test_half_a_standard_deviation_of_a_flag_is_found(flag: str, share: float) -> None:
    random = np.random.default_rng(8)
    learned = listings(20_000, random)
    # A flag that one listing in fifty has.
    learned[:, FEATURES.index("internet")] = random.random(20_000) < 0.02
    known = profile_of(learned, random.integers(0, 4, 20_000), NEW_YORK)
    for _ in range(100):
        rows = listings(2_000, random)
        rows[:, FEATURES.index("internet")] = random.random(2_000) < 0.02
        rows[:, FEATURES.index(flag)] = random.random(len(rows)) < share
        assert names(judged(known, rows, random)) == [flag]


def test_a_shift_says_its_shares_its_index_and_its_limit() -> None:
    # One feature of two values; the others had one value only.
    distributions = {name: Distribution((), (1_000,)) for name in FEATURES}
    known = Profile(1_000, {**distributions, "tv": Distribution((0.0,), (250, 750))})
    rows = np.zeros((400, len(FEATURES)), dtype=np.float32)
    rows[:200, FEATURES.index("tv")] = 1
    drift = judge(known, None, Window(rows, np.full((400, 4), 0.25), 1_234))
    # Half a listing more in each bin: (0.5 - 0.2505) ln (0.5 / 0.2505) + (0.5 - 0.7495) ln (0.5 / 0.7495).
    index = (0.5 - 250.5 / 1001) * math.log(0.5 * 1001 / 250.5) + (0.5 - 750.5 / 1001) * math.log(0.5 * 1001 / 750.5)
    by_chance = index_by_chance(1_000, 400, 2, FALSE_ALARMS)
    assert drift == Drift(
        verdict="drift",
        reason="Of 1 distributions of 400 listings 1 is not as when the version learned: tv (0.27); a stability index "
        "above 0.05 is drift.",
        listings=400,
        answers=1_234,
        shifts=(Shift("tv", pytest.approx(index), by_chance, (0.25, 0.75), (0.5, 0.5), (0.0,)),),  # pyright: ignore
        unjudged=tuple(name for name in FEATURES if name != "tv"),
    )
    assert by_chance == pytest.approx(7.879 * (1 / 1_000 + 1 / 400), rel=1e-3)


def test_below_the_least_number_of_listings_nothing_is_said() -> None:
    random = np.random.default_rng(0)
    few = judge(profile(random), REFERENCE, Window(listings(LEAST - 1, random) + 50, np.full((199, 4), 0.25), 5_000))
    assert (few.verdict, few.listings, few.answers, few.shifts) == ("not enough data", 199, 5_000, ())
    assert few.reason == "199 different listings were answered, and at least 200 are needed."


def test_no_listing_at_all_is_not_enough() -> None:
    random = np.random.default_rng(0)
    empty = Window(np.empty((0, len(FEATURES)), dtype=np.float32), np.empty((0, 4)), 0)
    assert judge(profile(random), REFERENCE, empty).verdict == "not enough data"


def test_a_certain_but_small_difference_is_no_drift() -> None:
    random = np.random.default_rng(1)
    known, rows = profile(random), listings(50_000, random)
    rows[:, FEATURES.index("latitude")] += 0.15 * 0.055
    drift = judged(known, rows, random)
    assert drift.verdict == "no drift"
    assert drift.shifts[0].name == "latitude"
    assert drift.shifts[0].by_chance < drift.shifts[0].index < FLOOR
    assert drift.reason.startswith(
        "None of 12 distributions of 50,000 listings is far from what it was: the farthest, "
    )


def test_other_answers_for_the_same_kind_of_listings_are_drift() -> None:
    random = np.random.default_rng(2)
    known, rows = profile(random), listings(2_000, random)
    lux = np.tile((0.1, 0.1, 0.2, 0.6), (2_000, 1))
    assert sorted(names(judge(known, REFERENCE, Window(rows, lux, 2_000)))) == [ANSWERED, PROBABILITY]


def test_a_version_without_recorded_answers_is_judged_by_its_features_alone() -> None:
    random = np.random.default_rng(3)
    drift = judge(profile(random), None, Window(listings(500, random), np.full((500, 4), 0.25), 500))
    assert {shift.name for shift in drift.shifts} == set(FEATURES) - {"internet"}
    assert drift.unjudged == ("internet",)


def test_rare_values_are_judged_together() -> None:
    # Of 40 neighbourhoods 30 have a thousandth each: by themselves they would hold no listing of 500, or one.
    many = Distribution(tuple(float(code) for code in range(39)), (970,) * 10 + (10,) * 30)
    one = Distribution((), (10_000,))
    known = Profile(10_000, {name: many if name == "neighbourhood" else one for name in FEATURES})
    random = np.random.default_rng(4)
    rows = np.zeros((500, len(FEATURES)), dtype=np.float32)
    rows[:, 0] = random.choice(40, 500, p=np.array(many.counts) / 10_000)
    [shift] = judge(known, None, Window(rows, np.full((500, 4), 0.25), 500)).shifts
    assert shift.by_chance == index_by_chance(10_000, 500, 11, FALSE_ALARMS)
    assert (len(shift.before), len(shift.now)) == (40, 40)
    rows[:60, 0] = 39
    assert judge(known, None, Window(rows, np.full((500, 4), 0.25), 500)).verdict == "drift"


@settings(deadline=None, max_examples=50)
@given(st.integers(200, 400), st.integers(0, 2**32 - 1), st.floats(-3, 3))
def test_whatever_is_asked_shares_add_up_and_the_verdict_is_that_of_the_shifts(n: int, seed: int, by: float) -> None:
    random = np.random.default_rng(seed)
    known, rows = profile_of(listings(300, random), np.zeros(300, np.int64), NEW_YORK), listings(n, random)
    drift = judged(known, rows + np.float32(by), random)
    assert (drift.verdict == "drift") == any(shift.index > shift.limit for shift in drift.shifts)
    assert [shift.index for shift in drift.shifts] == sorted((s.index for s in drift.shifts), reverse=True)
    for shift in drift.shifts:
        assert shift.index >= 0
        assert sum(shift.before) == pytest.approx(1)
        assert sum(shift.now) == pytest.approx(1)
        assert len(shift.before) == len(shift.now)
