"""Whether a challenger becomes champion: a pure decision with its numbers and its reason."""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mle_assets.models.scoring import standard_error
from model_registry.history import Decision

Losses = NDArray[np.float64]


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
        "challenger_log_loss": float(challenger.mean()),
        "baseline_log_loss": float(baseline.mean()),
        **({} if champion is None else {"champion_log_loss": float(champion.mean())}),
        "mean_difference": mean,
        "standard_error": error,
        "upper_limit": upper,
        "confidence": confidence,
        "margin": margin,
        "test_listings": float(len(challenger)),
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


def constant_losses(codes: NDArray[np.int64]) -> Losses:
    """The log losses of always answering with the shares that the categories have among these very listings.

    No constant answer does better on them, so beating it means to beat the majority class.
    """
    shares = np.bincount(codes) / len(codes)
    return -np.log(shares[codes])
