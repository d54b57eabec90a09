"""«validation»: every candidate asked about training listings that it has not learned from, as far as it is worth it.

The folds are the same for all, so that candidates are compared on the same listings, loss by loss. After the first
fold, those that are far behind are left out of the others (racing: Maron and Moore, Hoeffding Races, 1994, here with
the standard error of the paired differences).
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import dagster as dg
import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from mle_assets.code_version import code_version
from mle_assets.cores import side_by_side
from mle_assets.failures import failing_on
from mle_assets.io_managers import content_version
from mle_assets.listings.features import category_codes, feature_matrix
from mle_assets.listings.split import TooFewListings
from mle_assets.models.candidates import AVERAGES, NAMES, Family, families, longest_first
from mle_assets.models.fitting import answers, fit
from mle_assets.models.scoring import Probabilities, losses, standard_error
from model_registry.listing import CATEGORIES
from model_registry.market import Market

FOLDS = 3
"""Two thirds of some 27,000 listings are enough to rank by; five folds would take about twice the time."""
SEED = 0
FAR_BEHIND = 6.0
"""Standard errors of the paired difference on one fold: one candidate in a billion is as far behind by chance."""

Note = Callable[[str], None]


class CrossValidation(msgspec.Struct, frozen=True):
    """Log loss on held-out folds of the training listings: its mean per listing and the standard error of that.

    Who was far behind on the first fold was asked about the listings of that one alone.
    """

    log_loss: float
    standard_error: float
    folds: int
    listings: int = 0
    """How many listings that is the mean of; 0 where it was not written down."""


class Difference(msgspec.Struct, frozen=True):
    """By how much one candidate's losses are above another's on the listings both were asked about."""

    log_loss: float
    standard_error: float
    listings: int

    @property
    def standard_errors(self) -> float:
        """The same in standard errors: 0 for no difference, endless for one that is the same for every listing."""
        if self.log_loss == 0:
            return 0.0
        return self.log_loss / self.standard_error if self.standard_error else math.copysign(math.inf, self.log_loss)


class Validation:
    """The losses of all candidates: a table with a row for each training listing, in order.

    The column `fold` says in which fold a listing was held out; the others are the candidates' losses in nats, with
    no value where a candidate was not asked.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        """Hold such a table."""
        self.table = table

    def of(self, name: str) -> CrossValidation:
        """A candidate's figures over all listings that it was asked about."""
        asked = self.table[name].notna().to_numpy()
        values = self.table[name].to_numpy()[asked]
        folds = self.table["fold"].to_numpy()[asked]
        return CrossValidation(float(values.mean()), standard_error(values), len(np.unique(folds)), len(values))

    def difference(self, name: str, other: str) -> Difference:
        """By how much a candidate is worse than another one."""
        apart = (self.table[name] - self.table[other]).dropna().to_numpy()
        return Difference(float(apart.mean()), standard_error(apart), len(apart))

    def best(self) -> str:
        """The lowest log loss of those that were asked about every listing."""
        whole = [name for name in self.names() if self.table[name].notna().all()]
        return min(whole, key=lambda name: (self.of(name).log_loss, name))

    def names(self) -> list[str]:
        """The candidates."""
        return [name for name in self.table.columns if name != "fold"]


def require_enough(y: NDArray[np.int64]) -> None:
    """Raise TooFewListings where a category has fewer listings than there are folds."""
    counts = np.bincount(y, minlength=len(CATEGORIES))
    if counts.min() < FOLDS:
        scarce = CATEGORIES[int(counts.argmin())]
        raise TooFewListings(
            f"{counts.min()} of the training listings are {scarce}, {FOLDS} are needed: use a larger snapshot, or "
            "choose other category_limits in the market's file."
        )


class _Held(NamedTuple):
    """What the members of a family answered about one fold's held-out listings."""

    family: Family
    fold: int
    answers: dict[str, Probabilities]
    seconds: float


def validate(X: NDArray[np.float32], y: NDArray[np.int64], note: Note = lambda _: None) -> Validation:
    """Every candidate's losses for feature rows (n, 11) and codes (n,); `note` is told of each fold and decision."""
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(X, y))
    fold_of = np.empty(len(y), np.int64)
    for fold, (_, held_out) in enumerate(folds):
        fold_of[held_out] = fold
    of_each = {name: np.full(len(y), np.nan) for name in NAMES}
    parts: dict[tuple[str, int], Probabilities] = {}

    def enter(name: str, fold: int, probabilities: Probabilities) -> None:
        held_out = folds[fold][1]
        of_each[name][held_out] = losses(probabilities, y[held_out])
        parts[name, fold] = probabilities
        for average in AVERAGES:
            if name in average.of and all((part, fold) in parts for part in average.of):
                enter(average.name, fold, np.mean([parts[part, fold] for part in average.of], axis=0))

    def ask(racing: Sequence[Family], numbers: Sequence[int]) -> None:
        def asked(family: Family, fold: int) -> Iterator[_Held]:
            start, (learned, held_out) = time.perf_counter(), folds[fold]
            fitted = fit(family, X[learned], y[learned])
            told = {member.name: answer for member, answer in answers(family, fitted, X[held_out])}
            yield _Held(family, fold, told, time.perf_counter() - start)

        for held in side_by_side(asked(family, fold) for fold in numbers for family in longest_first(racing)):
            for name, probabilities in held.answers.items():
                enter(name, held.fold, probabilities)
            name = held.family.members[-1].name
            loss = of_each[name][folds[held.fold][1]].mean()
            note(f"fold {held.fold + 1} of {FOLDS}: {name} has a log loss of {loss:.4f} ({held.seconds:.1f} s)")

    ask(list(families()), [0])
    first = Validation(pd.DataFrame({"fold": fold_of, **of_each})[fold_of == 0])
    ask(_still_racing(first, note), range(1, FOLDS))
    return Validation(pd.DataFrame({"fold": fold_of, **of_each}))


def _still_racing(first: Validation, note: Note) -> list[Family]:
    # A part of an average that may yet lead stays with it.
    best, racing = first.best(), list[Family]()
    for family in families():
        names = {member.name for member in family.members}
        names |= {average.name for average in AVERAGES if not names.isdisjoint(average.of)}
        nearest = min((first.difference(name, best) for name in names), key=lambda one: one.standard_errors)
        if nearest.standard_errors <= FAR_BEHIND:
            racing.append(family)
            continue
        note(
            f"{family.members[-1].name} is {nearest.log_loss:.4f} behind {best} on the first fold, "
            f"{nearest.standard_errors:.0f} standard errors: it is not asked on the others"
        )
    return racing


@dg.asset(io_manager_key="tables", group_name="models", code_version=code_version(__file__), kinds={"scikitlearn"})
def validation(
    context: dg.AssetExecutionContext, train_listings: pd.DataFrame, market: dg.ResourceParam[Market]
) -> dg.MaterializeResult[pd.DataFrame]:
    """The loss of each candidate for each training listing, by models that have not learned from it."""
    X, y = feature_matrix(train_listings, market), category_codes(train_listings)
    with failing_on(TooFewListings):
        require_enough(y)
    validated = validate(X, y, context.log.info)
    best = validated.best()
    return dg.MaterializeResult(
        value=validated.table,
        data_version=content_version(validated.table),
        metadata={
            "best": best,
            "best_log_loss": validated.of(best).log_loss,
            "candidates": _table(validated, best),
            "dagster/row_count": len(y),
        },
    )


def _table(validated: Validation, best: str) -> dg.TableMetadataValue:
    records: list[dg.TableRecord] = []
    for name in sorted(validated.names(), key=lambda name: validated.difference(name, best).log_loss):
        figures, behind = validated.of(name), validated.difference(name, best)
        records.append(
            dg.TableRecord(
                {
                    "candidate": name,
                    "log loss": round(figures.log_loss, 4),
                    "listings": figures.listings,
                    "behind": round(behind.log_loss, 4),
                    "± SE": round(behind.standard_error, 4),
                }
            )
        )
    return dg.MetadataValue.table(records)
