"""Whether the listings asked about are still like those that the answering version learned from: numbers in and out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from mle_assets.models.scoring import Probabilities
from mle_assets.release.answers import Answers
from mle_assets.release.comparability import index_by_chance, stability_index
from model_registry.listing import CATEGORIES, FEATURES
from model_registry.profile import Profile, count

LEAST = 200
"""Of fewer listings a shift by half a standard deviation is missed more often than one time in ten."""
FLOOR = 0.05
"""The smallest stability index that matters: half of what credit scoring lets pass as no significant shift.

Siddiqi (Credit Risk Scorecards, 2006) lets pass 0.1, which half a standard deviation of a rare flag does not reach.
"""
FALSE_ALARMS = 0.005
"""How often a window without drift may be called drifted, over all that is compared.

Half of the one in a hundred that is aimed at: the distribution by chance is known about, not exactly.
"""
RAREST = 5.0
"""Bins in which fewer listings are expected are put together: the index of many nearly empty ones is not chi-squared.

Cochran, Some methods for strengthening the common chi-squared tests (1954).
"""

ANSWERED, PROBABILITY = "answered category", "mean probability"
"""What is compared beside the features: with the version's answers for its test listings, not with the true categories.

A model answers rare categories less often than they are, and one with balanced classes more often, without any drift.
"""

Verdict = Literal["no drift", "drift", "not enough data"]


class Shift(msgspec.Struct, frozen=True):
    """How far one distribution is from what it was: `index` is its stability index, and `limit` the most that is none.

    `limit` is FLOOR, or what chance alone exceeds too rarely where that is higher (`by_chance`). `before` and `now` are
    shares: of the bins between `edges`, or of the categories where there are no edges.
    """

    name: str
    index: float
    by_chance: float
    before: tuple[float, ...]
    now: tuple[float, ...]
    edges: tuple[float, ...] = ()

    @property
    def limit(self) -> float:
        """The index has to be above it to be drift."""
        return max(FLOOR, self.by_chance)

    @property
    def is_drift(self) -> bool:
        """Whether it is both large enough to matter and too large for chance."""
        return self.index > self.limit


class Drift(msgspec.Struct, frozen=True):
    """What is to be said of some listings that a version answered; `shifts` begins with the farthest.

    `listings` counts different ones, `answers` all. `unjudged` are the features that had one value only, or so to speak
    one, when the version learned: a profile does not say which one.
    """

    verdict: Verdict
    reason: str
    listings: int
    answers: int
    shifts: tuple[Shift, ...] = ()
    unjudged: tuple[str, ...] = ()

    def shift(self, name: str) -> Shift:
        """The shift of that name."""
        return next(one for one in self.shifts if one.name == name)


@dataclass(frozen=True)
class Window:
    """Different listings that a version answered: feature rows (n, 11), probabilities (n, 4), and of how many answers.

    A listing that is asked about again and again would otherwise make one feature row as certain as a thousand.
    """

    rows: NDArray[np.float32]
    probabilities: Probabilities
    answers: int


def judge(profile: Profile, reference: Answers | None, window: Window, least: int = LEAST) -> Drift:
    """Whether a window drifted from a version's profile, and from its answers for its test listings where it has them.

    The effect is the population stability index over the profile's own bins. It is drift where it is above FLOOR, above
    what chance exceeds between samples of these sizes (see `mle_assets.release.comparability.shifts` for the source),
    and the window has `least` listings or more. FALSE_ALARMS is shared out among the distributions (Bonferroni).
    """
    listings = len(window.rows)
    if listings < least:
        few = f"{listings:,} different listings were answered, and at least {least:,} are needed."
        return Drift("not enough data", few, listings, window.answers)
    judged = [name for name in FEATURES if len(profile.distributions[name].counts) > 1]
    how_often = FALSE_ALARMS / (len(judged) + (0 if reference is None else 2))
    shifts = [_of_feature(profile, name, window.rows[:, FEATURES.index(name)], how_often) for name in judged]
    if reference is not None:
        predicted = np.bincount(window.probabilities.argmax(axis=1), minlength=len(CATEGORIES)) / listings
        means = window.probabilities.mean(axis=0, dtype=np.float64)
        shifts += [
            _of_shares(ANSWERED, reference.answered, predicted.tolist(), reference.listings, listings, how_often),
            # A mean of probabilities varies less than a share of as many listings: chance exceeds it yet more rarely.
            _of_shares(PROBABILITY, reference.probability, means.tolist(), reference.listings, listings, how_often),
        ]
    shifts.sort(key=lambda shift: -shift.index)
    found = [shift for shift in shifts if shift.is_drift]
    return Drift(
        verdict="drift" if found else "no drift",
        reason=_reason(shifts, found, listings),
        listings=listings,
        answers=window.answers,
        shifts=tuple(shifts),
        unjudged=tuple(name for name in FEATURES if name not in judged),
    )


def _of_feature(profile: Profile, name: str, values: NDArray[np.float32], how_often: float) -> Shift:
    known = profile.distributions[name]
    now = count(values, known.edges)
    index, bins = _index(known.counts, now)
    return Shift(
        name=name,
        index=index,
        by_chance=index_by_chance(profile.listings, len(values), bins, how_often),
        before=_shares(known.counts),
        now=_shares(now),
        edges=known.edges,
    )


def _of_shares(
    name: str, before: Sequence[float], now: Sequence[float], of_before: int, of_now: int, how_often: float
) -> Shift:
    index, bins = _index([share * of_before for share in before], [share * of_now for share in now])
    return Shift(name, index, index_by_chance(of_before, of_now, bins, how_often), tuple(before), tuple(now))


def _index(before: Sequence[float], now: Sequence[float]) -> tuple[float, int]:
    """The stability index and the number of bins it is over, rare ones together."""
    expected = np.array(before) / sum(before) * sum(now)
    rare = expected < RAREST
    if rare.sum() > 1:
        before, now = ([*np.array(counts)[~rare], np.array(counts)[rare].sum()] for counts in (before, now))
    return stability_index(before, now), len(before)


def _shares(counts: Sequence[int]) -> tuple[float, ...]:
    return tuple((np.array(counts) / sum(counts)).tolist())


def _reason(shifts: Sequence[Shift], found: Sequence[Shift], listings: int) -> str:
    if found:
        told = ", ".join(f"{shift.name} ({shift.index:.2f})" for shift in found)
        return (
            f"Of {len(shifts)} distributions of {listings:,} listings {len(found)} "
            f"{'is' if len(found) == 1 else 'are'} not as when the version learned: {told}; a stability index above "
            f"{found[-1].limit:.2f} is drift."
        )
    if not shifts:
        return "The version learned from listings that are all alike, with which nothing can be compared."
    return (
        f"None of {len(shifts)} distributions of {listings:,} listings is far from what it was: the farthest, "
        f"{shifts[0].name}, has a stability index of {shifts[0].index:.3f}, and up to {shifts[0].limit:.2f} is none."
    )
