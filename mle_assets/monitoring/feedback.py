"""What was told of answers, put beside them: the latest, in time, and a price as the category that it is in."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mle_assets.listings.cleaning import categorise
from mle_assets.monitoring.live import UNKNOWN
from mle_assets.monitoring.tables import DAY, KEY
from model_registry.market import Market

SKEW_SECONDS = 5.0
"""By so much the clocks of services may differ: what one says it was told before another says it answered."""

Elsewhere = Callable[[float, float], Mapping[str, Iterable["pd.Series[str]"]]]
_KEY = list(KEY)


class Told(msgspec.Struct, frozen=True):
    """What became of all that was told since a moment: `told` is the sum of all others.

    `superseded` was told again later. `late` came so many days after its answer that it no longer counts, or is of an
    answer before that moment; `other_markets` came in time after an answer of another market, and an orphan has no such
    answer. `impossible` are prices of a placeholder
    and below, and `version_gone` those whose version, with the limits of its categories, is no longer known.
    """

    told: int = 0
    superseded: int = 0
    late: int = 0
    other_markets: int = 0
    orphans: int = 0
    impossible: int = 0
    version_gone: int = 0
    joined: int = 0


@dataclass(frozen=True)
class Joined:
    """For each answer its true category's code or UNKNOWN, and its true price where one was told: (n,) each."""

    truth: NDArray[np.int64]
    price: NDArray[np.float64]
    counts: Told


def join(
    answers: pd.DataFrame,
    feedback: pd.DataFrame,
    market_of: Callable[[str], Market | None],
    elsewhere: Elsewhere,
    late_days: float,
) -> Joined:
    """What was told of answers (time, request_id, index, version), in their order.

    Of answers with the same key the latest is meant that had been given when it was told (see SKEW_SECONDS); of what
    was told of one answer the latest wins, and of what was told at once the last. A price is put into a category with
    the limits of the market as it was when the version that answered was made, which `market_of` knows. `elsewhere`
    gives, for those that no answer is found of, request ids of "late" and "other_markets": of answers in between the
    moments that it is asked for, from which on and until when such an answer can have been given to be in time.
    """
    pairs = _pairs(answers, feedback).drop_duplicates(["key", "place"], keep="last")
    found = pairs["place"].notna().to_numpy()
    lost = _lost(pairs.loc[~found, ["request_id", "time"]], elsewhere, late_days)
    late = found & ((pairs["time"] - pairs["time_answered"]).to_numpy() > late_days * DAY)
    codes, impossible, gone = _categories(pairs, found & ~late, market_of)
    joined = found & ~late & ~impossible & ~gone
    places = pairs.loc[joined, "place"].to_numpy(dtype=np.int64)
    truth, price = np.full(len(answers), UNKNOWN, dtype=np.int64), np.full(len(answers), np.nan)
    truth[places], price[places] = codes[joined], pairs.loc[joined, "price"].to_numpy()
    counts = Told(
        told=len(feedback),
        superseded=len(feedback) - len(pairs),
        late=int(late.sum()) + lost["late"],
        other_markets=lost["other_markets"],
        orphans=int((~found).sum()) - sum(lost.values()),
        impossible=int(impossible.sum()),
        version_gone=int(gone.sum()),
        joined=len(places),
    )
    return Joined(truth, price, counts)


def _pairs(answers: pd.DataFrame, feedback: pd.DataFrame) -> pd.DataFrame:
    """All that was told, in the order of its time, beside the answer that is meant, as `place` and `time_answered`."""
    keys = pd.concat([answers[_KEY], feedback[_KEY]]).groupby(_KEY, sort=False).ngroup().to_numpy()
    given = answers[["time", "version"]].rename(columns={"time": "time_answered"})
    given = given.assign(place=np.arange(len(given)), key=keys[: len(answers)])
    told = feedback.assign(until=feedback["time"] + SKEW_SECONDS, key=keys[len(answers) :])
    return pd.merge_asof(
        told.sort_values("time", kind="stable"),
        given.sort_values("time_answered", kind="stable"),
        left_on="until",
        right_on="time_answered",
        by="key",
    )


def _lost(told: pd.DataFrame, elsewhere: Elsewhere, late_days: float) -> dict[str, int]:
    """How much of what was told (request_id, time) and no answer is found of is known elsewhere, and as what."""
    counts, ids = {"late": 0, "other_markets": 0}, told["request_id"]
    if len(ids):
        first, last = told["time"].min() - late_days * DAY, told["time"].max() + SKEW_SECONDS
        for what, columns in elsewhere(first, last).items():
            for column in columns:
                known = ids.isin(column)
                counts[what] += int(known.sum())
                ids = ids[~known]
                # Each column is a table of a market and day, which may be a request to a store.
                if ids.empty:
                    return counts
    return counts


def _categories(
    pairs: pd.DataFrame, wanted: NDArray[np.bool_], market_of: Callable[[str], Market | None]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """The code of each pair's category, whether its price is impossible, and whether its version is gone: (n,) each."""
    codes, prices = pairs["category"].to_numpy(dtype=np.int64).copy(), pairs["price"].to_numpy(dtype=np.float64)
    impossible, gone = np.zeros(len(pairs), dtype=bool), np.zeros(len(pairs), dtype=bool)
    versions = pairs["version"].astype(object).to_numpy()
    priced = wanted & (codes == UNKNOWN)
    for version in pd.unique(versions[priced]):
        of_version = priced & (versions == version)
        market = market_of(str(version))
        if market is None:
            gone |= of_version
            continue
        with np.errstate(invalid="ignore"):
            low = of_version & ~((prices > market.lowest_price) & (prices < np.inf))
        impossible |= low
        codes[of_version] = categorise(prices[of_version], market)
    return codes, impossible, gone
