"""How good a version's answers were, from what turned out to be true of them: numbers in and out, no Dagster."""

from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from mle_assets.evaluation.intervals import Interval, mean_interval, wilson_interval
from mle_assets.evaluation.metrics import calibration_error
from mle_assets.evaluation.slices import SLICED_BY
from mle_assets.models.scoring import Probabilities, losses, standard_error
from mle_assets.release.answers import Answers

UNKNOWN = -1
"""In place of a category's code, where none is known."""
LEAST_LABELLED = 100
"""With fewer different listings whose truth is known, a loss of accuracy is not spoken of."""
POOR_CALIBRATION = 0.03
"""A model whose certainty was off by more than that on its test listings, beyond chance, is no judge of itself."""

Codes = NDArray[np.int64]
Verdict = Literal["as tested", "below its test", "not enough data"]


class Figures(msgspec.Struct, frozen=True):
    """How some answers did. `labelled` are those whose truth is known; without any there are no figures.

    They are of the different `listings` among the labelled, by the latest answer about each: one that is asked about
    again and again is answered the same, and would make chance look like certainty. (It is 0 in figures of before those
    were told apart.) `calibration_error` is the expected one of the largest probability, and
    `calibration_error_by_chance` what probabilities that are exactly right would show on as many. Intervals are of
    95 %.
    """

    answers: int
    labelled: int
    listings: int = 0
    right: int = 0
    accuracy: float | None = None
    accuracy_interval: Interval | None = None
    log_loss: float | None = None
    log_loss_interval: Interval | None = None
    calibration_error: float | None = None
    calibration_error_by_chance: float | None = None

    @property
    def coverage(self) -> float:
        """The share of the answers whose truth is known."""
        return self.labelled / self.answers if self.answers else 0.0


class LiveSlice(msgspec.Struct, frozen=True):
    """The answers for the listings that have one value in a column."""

    column: str
    value: str
    figures: Figures


class Estimate(msgspec.Struct, frozen=True):
    """What the accuracy would be if the model were as right as it was sure; no measurement.

    It is None where the model's certainty is not to be trusted. `reason` says what it stands on, or why there is none.
    """

    accuracy: float | None
    reason: str


class Rivalry(msgspec.Struct, frozen=True):
    """A shadow beside the version that answered, on the listings that both answered and whose truth is known.

    Of several answers about one listing the latest counts. `p_value` is that of McNemar's mid-p test, two-sided, that
    both are right equally often. `log_loss_difference` is the shadow's less the other's, paired, and None without
    listings. `asked` are all times that it was to be asked, and `missed` those of them that it did not answer, by
    reason.
    """

    shadow: str
    asked: int
    missed: dict[str, int]
    listings: int
    only_version_right: int
    only_shadow_right: int
    p_value: float
    log_loss_difference: float | None = None
    standard_error: float | None = None


class Live(msgspec.Struct, frozen=True):
    """All that is known of how a version's answers did, and whether it is worse than on its test listings."""

    version: str
    verdict: Verdict
    reason: str
    figures: Figures
    slices: tuple[LiveSlice, ...]
    estimate: Estimate
    rivalries: tuple[Rivalry, ...] = ()
    test_accuracy: float | None = None
    test_interval: Interval | None = None


@dataclass(frozen=True)
class Labels:
    """A text for each answer, as its place (n,) among the different ones: millions of texts would take a gigabyte."""

    names: tuple[str, ...]
    places: NDArray[np.int64]

    def are(self, name: str) -> NDArray[np.bool_]:
        """Which answers have that text: (n,)."""
        return self.places == (self.names.index(name) if name in self.names else -1)

    def counts(self, among: NDArray[np.bool_]) -> dict[str, int]:
        """How many of some answers have each text, without those that none of them has and the empty one."""
        found = np.bincount(self.places[among], minlength=len(self.names)).tolist()
        return {name: count for name, count in zip(self.names, found, strict=True) if count and name}


@dataclass(frozen=True)
class Shadowed:
    """What shadows said about the same answers: version, code or UNKNOWN, probabilities, and why not; "" for none."""

    versions: Labels
    codes: Codes
    probabilities: Probabilities
    missed: Labels


@dataclass(frozen=True)
class Served:
    """Answers of one version: codes (n,), probabilities (n, 4), true codes or UNKNOWN (n,), the columns of slices.

    They are in the order of their time, and `listings` (n,) are the same number where they are about the same listing.
    """

    codes: Codes
    probabilities: Probabilities
    truth: Codes
    listings: NDArray[np.int64]
    columns: dict[str, Labels]
    shadow: Shadowed


def assess(version: str, served: Served, reference: Answers | None, test: tuple[float, int] | None) -> Live:
    """How the answers of a version did; `test` is its accuracy on its test listings, and how many those were.

    Worse than on those it is where the whole interval of its accuracy lies below the whole interval of the test's.
    """
    figures = _figures(served, np.ones(len(served.codes), dtype=bool))
    interval = None if test is None else wilson_interval(round(test[0] * test[1]), test[1])
    verdict, reason = _compared(figures, None if test is None else test[0], interval)
    return Live(
        version=version,
        verdict=verdict,
        reason=reason,
        figures=figures,
        slices=tuple(_slices(served)),
        estimate=estimated(served.probabilities, reference),
        rivalries=tuple(_rivalries(served)),
        test_accuracy=None if test is None else test[0],
        test_interval=interval,
    )


def latest_of_each(listings: NDArray[np.int64], among: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The places of some answers (n,) that are the last about their listing among them, in order."""
    places = np.flatnonzero(among)[::-1]
    _, last = np.unique(listings[places], return_index=True)
    return np.sort(places[last])


def _figures(served: Served, among: NDArray[np.bool_]) -> Figures:
    known = among & (served.truth != UNKNOWN)
    answers, labelled = int(among.sum()), int(known.sum())
    if not labelled:
        return Figures(answers, 0)
    once = latest_of_each(served.listings, known)
    said, so = served.probabilities[once].astype(np.float64), served.truth[once]
    right, lost = served.codes[once] == so, losses(said, so)
    error, by_chance = calibration_error(said.max(axis=1).clip(0, 1), right)
    return Figures(
        answers=answers,
        labelled=labelled,
        listings=len(once),
        right=int(right.sum()),
        accuracy=float(right.mean()),
        accuracy_interval=wilson_interval(int(right.sum()), len(once)),
        log_loss=float(lost.mean()),
        log_loss_interval=mean_interval(lost),
        calibration_error=error,
        calibration_error_by_chance=by_chance,
    )


def _slices(served: Served) -> list[LiveSlice]:
    found: list[LiveSlice] = []
    for column in SLICED_BY:
        labels = served.columns[column]
        counts = labels.counts(np.ones(len(served.codes), dtype=bool))
        names = sorted(counts, key=lambda name: (-counts[name], name))
        found += [LiveSlice(column, name, _figures(served, labels.are(name))) for name in names]
    return found


def _compared(figures: Figures, test: float | None, interval: Interval | None) -> tuple[Verdict, str]:
    if figures.listings < LEAST_LABELLED or figures.accuracy is None or figures.accuracy_interval is None:
        return "not enough data", (
            f"The truth is known of {figures.labelled:,} of {figures.answers:,} answers, about {figures.listings:,} "
            f"different listings, and at least {LEAST_LABELLED:,} listings are needed."
        )
    low, high = figures.accuracy_interval
    told = f"{figures.accuracy:.1%} of {figures.listings:,} listings were answered right ({low:.1%} to {high:.1%})"
    if test is None or interval is None:
        return "not enough data", f"{told}; the version was published without an accuracy on test listings."
    tested = f"{test:.1%} on its test listings ({interval.low:.1%} to {interval.high:.1%})"
    if high < interval.low:
        return "below its test", f"{told}: fewer than {tested}, by more than chance."
    return "as tested", f"{told}: not surely fewer than {tested}."


def estimated(probabilities: Probabilities, reference: Answers | None) -> Estimate:
    """The accuracy that probabilities (n, 4) promise: the mean of the largest of each answer.

    Garg et al., Leveraging unlabeled data to predict out-of-distribution performance (2022), call it the average
    confidence. It is right as long as the probabilities are, which listings of another kind may change.
    """
    if not len(probabilities):
        return Estimate(None, "There are no answers to estimate from.")
    if reference is None:
        return Estimate(None, "Left out: the version was published before its calibration was kept with it.")
    beyond = reference.calibration_error - reference.calibration_error_by_chance
    if beyond > POOR_CALIBRATION:
        return Estimate(
            None,
            f"Left out: on its test listings the version's certainty was off by {reference.calibration_error:.3f}, of "
            f"which chance explains {reference.calibration_error_by_chance:.3f}, and {POOR_CALIBRATION:g} may remain.",
        )
    return Estimate(
        float(probabilities.max(axis=1).mean(dtype=np.float64)),
        f"An estimate, not a measurement: the mean of the largest probability of {len(probabilities):,} answers, right "
        "as long as the version is as sure as it is right.",
    )


def _rivalries(served: Served) -> list[Rivalry]:
    versions = served.shadow.versions
    return [_rivalry(name, served, versions.are(name)) for name in sorted(set(versions.names) - {""})]


def _rivalry(name: str, served: Served, asked: NDArray[np.bool_]) -> Rivalry:
    shadow = served.shadow
    both = latest_of_each(served.listings, asked & (shadow.codes != UNKNOWN) & (served.truth != UNKNOWN))
    truth = served.truth[both]
    ours, theirs = served.codes[both] == truth, shadow.codes[both] == truth
    apart = losses(shadow.probabilities[both], truth) - losses(served.probabilities[both], truth)
    only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return Rivalry(
        shadow=name,
        asked=int(asked.sum()),
        missed=shadow.missed.counts(asked),
        listings=len(truth),
        only_version_right=only_ours,
        only_shadow_right=only_theirs,
        p_value=mcnemar(only_ours, only_theirs),
        log_loss_difference=float(apart.mean()) if len(truth) else None,
        standard_error=standard_error(apart) if len(truth) > 1 else None,
    )


def mcnemar(only_one_right: int, only_other_right: int) -> float:
    """The mid-p value that two are right equally often, from how often only one of them is.

    Fagerland, Lydersen and Laake, The McNemar test for binary matched-pairs data: mid-p and asymptotic are better than
    exact conditional (2013).
    """
    apart, fewer = only_one_right + only_other_right, min(only_one_right, only_other_right)
    if not apart:
        return 1.0
    up_to = float(bdtr(fewer, apart, 0.5))
    below = float(bdtr(fewer - 1, apart, 0.5)) if fewer else 0.0
    return min(1.0, up_to + below)
