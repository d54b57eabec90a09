"""Whether a challenger becomes champion: a pure decision with its numbers and its reason."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mle_assets.models.scoring import standard_error
from mle_assets.release.comparability import Shift
from model_registry.history import Decision
from model_registry.manifest import Snapshot

Losses = NDArray[np.float64]

LEAST_UNSEEN = 30
"""Fewer test listings that the champion has not learned from say nothing about which model is better."""


@dataclass(frozen=True)
class Contender:
    """A model in the comparison: its market and version, the data it was made from, its losses on the test listings.

    The losses are log losses in nats of the same listings in the same order for every contender: (n,) float64.
    """

    market: str
    version: str
    snapshot: Snapshot
    losses: Losses


@dataclass(frozen=True)
class Comparison:
    """The champion as it stands on the challenger's listings.

    `published_loss` is its mean log loss on its own test listings when it was published. `shifts` tell how far its
    training listings are from the challenger's, the farthest first; None where its manifest has no profile.
    `learned` marks the test listings that it learned from, (n,): another snapshot is split in another way, and most of
    its listings are those of the one before. None where its manifest does not say.
    """

    champion: Contender
    published_loss: float | None
    shifts: Sequence[Shift] | None
    learned: NDArray[np.bool_] | None


def judge(
    challenger: Contender,
    comparison: Comparison | None,
    baseline: Losses,
    *,
    confidence: float = 0.95,
    margin: float = 0.0,
) -> Decision:
    """Promote the challenger if it is better than the champion on listings that neither of them has learned from.

    Without a champion, or where the champion is made up (trained on synthetic listings) and the challenger is not,
    the majority class is the rival; `baseline` holds its losses. Where the comparison would say nothing, the champion
    stays and the reason says what a person can do: a made-up challenger against a real champion, listings older than
    the champion's or of another kind, listings that it knows nearly all of, or that contradict what it learned.
    """
    if comparison is None:
        made_up = " It was trained on made-up listings." if challenger.snapshot.synthetic else ""
        return _with(decide(challenger.losses, None, baseline, confidence=confidence, margin=margin), made_up)
    champion = comparison.champion
    if champion.snapshot.synthetic and not challenger.snapshot.synthetic:
        made_up = f" The champion {champion.version} was trained on made-up listings, so that it was no rival."
        return _with(decide(challenger.losses, None, baseline, confidence=confidence, margin=margin), made_up)
    numbers = {f"shift_{shift.feature}": shift.index for shift in comparison.shifts or ()}
    unseen = None if comparison.learned is None else ~comparison.learned
    if unseen is not None and unseen.sum() >= LEAST_UNSEEN:
        challenger, champion = (replace(one, losses=one.losses[unseen]) for one in (challenger, champion))
        comparison, baseline = replace(comparison, champion=champion), baseline[unseen]
    problem = _not_comparable(challenger, comparison, baseline)
    if problem:
        return kept_out(
            challenger.market,
            challenger.version,
            problem,
            _means(challenger.losses, champion.losses, baseline) | numbers,
        )
    note = " Both were trained on made-up listings." if challenger.snapshot.synthetic else ""
    if comparison.shifts is None:
        note += " The champion's manifest has no profile of its listings, so they were not compared with these."
    if unseen is None:
        note += " The champion's manifest does not say which listings it learned from: those among these flatter it."
    elif left_out := int((~unseen).sum()):
        note += f" {left_out:,} more were left out, as the champion has learned from them."
    return _with(
        decide(challenger.losses, champion.losses, baseline, confidence=confidence, margin=margin), note, numbers
    )


def decide(
    challenger: Losses,
    champion: Losses | None,
    baseline: Losses,
    *,
    confidence: float = 0.95,
    margin: float = 0.0,
) -> Decision:
    """Promote the challenger if it is better than the champion, or than the majority class where there is none.

    All are log losses of the same test listings in the same order: (n,) float64, in nats. Better means that
    the one-sided upper confidence limit of the mean paired difference lies below -margin (normal
    approximation; n is in the thousands).
    """
    rival = "the majority class" if champion is None else "the champion"
    differences = challenger - (baseline if champion is None else champion)
    mean, error = float(differences.mean()), standard_error(differences)
    upper = mean + NormalDist().inv_cdf(confidence) * error
    promote = upper < -margin
    numbers = {
        **_means(challenger, champion, baseline),
        "mean_difference": mean,
        "standard_error": error,
        "upper_limit": upper,
        "confidence": confidence,
        "margin": margin,
    }
    verdict = (
        f"The challenger's log loss on the {len(challenger):,} test listings is {abs(mean):.4f} "
        f"{'below' if mean < 0 else 'above'} that of {rival}"
    )
    surely = (
        f"by more than {margin:g} with {confidence:.0%} confidence" if margin else f"with {confidence:.0%} confidence"
    )
    reason = f"{verdict}, below it {surely}: promoted." if promote else f"{verdict}, not below it {surely}: kept out."
    return Decision(promote=promote, reason=reason, numbers=numbers)


def kept_out(market: str, version: str, problem: str, numbers: dict[str, float] | None = None) -> Decision:
    """What is decided where a challenger cannot be compared: the champion stays, and the reason says what to do."""
    command = f"models --market {market} promote {version} --reason ..."
    cure = f"Where that is as it should be, a person promotes it with `{command}`."
    return Decision(promote=False, reason=f"{problem}: kept out. {cure}", numbers=numbers or {})


def constant_losses(codes: NDArray[np.int64]) -> Losses:
    """The log losses of always answering with the shares that the categories have among these very listings.

    No constant answer does better on them, so beating it means to beat the majority class.
    """
    shares = np.bincount(codes) / len(codes)
    return -np.log(shares[codes])


def _not_comparable(challenger: Contender, comparison: Comparison, baseline: Losses) -> str | None:
    champion = comparison.champion
    old, new = champion.snapshot, challenger.snapshot
    if new.synthetic and not old.synthetic:
        return f"The challenger was trained on made-up listings, the champion {champion.version} on real ones"
    if old.date and new.date and new.date < old.date:
        return f"The challenger's snapshot of {new.date} is older than the champion's of {old.date}"
    breaks = [shift for shift in comparison.shifts or () if shift.is_break]
    if breaks:
        figures = ", ".join(f"{shift.feature} {shift.index:.2f} (at most {shift.limit:.2f})" for shift in breaks)
        return f"The listings are of another kind than the champion's, by the stability index of {figures}"
    if comparison.learned is not None and (unseen := int((~comparison.learned).sum())) < LEAST_UNSEEN:
        return (
            f"The champion {champion.version} has learned from all but {unseen:,} of the {len(comparison.learned):,} "
            f"test listings, and at least {LEAST_UNSEEN} others are needed to compare with it"
        )
    now, constant = float(champion.losses.mean()), float(baseline.mean())
    published = comparison.published_loss
    if published is not None and published < constant < now:
        return (
            f"The listings contradict what the champion learned: its log loss on them is {now:.4f}, above the majority "
            f"class's {constant:.4f}; it was {published:.4f} on its own"
        )
    return None


def _means(challenger: Losses, champion: Losses | None, baseline: Losses) -> dict[str, float]:
    return {
        "challenger_log_loss": float(challenger.mean()),
        "baseline_log_loss": float(baseline.mean()),
        **({} if champion is None else {"champion_log_loss": float(champion.mean())}),
        "test_listings": float(len(challenger)),
    }


def _with(decision: Decision, note: str, numbers: dict[str, float] | None = None) -> Decision:
    return Decision(decision.promote, decision.reason + note, {**decision.numbers, **(numbers or {})})
