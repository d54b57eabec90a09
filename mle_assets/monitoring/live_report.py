"""How right the versions were that gave some answers, day by day: what «live_performance» holds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mle_assets.monitoring.feedback import Joined, Told
from mle_assets.monitoring.live import UNKNOWN, Estimate, Figures, Live, Served, Verdict, assess, latest_of_each
from mle_assets.monitoring.tables import DAY
from mle_assets.monitoring.window import served_in
from mle_assets.places import replace_file
from mle_assets.release.answers import answers_in
from model_registry.manifest import Manifest


class OfDay(msgspec.Struct, frozen=True):
    """A version's answers of a day (as in 2026-01-31, UTC), and of how many the truth is known.

    Of the different `listings` among those `right` were answered right by the latest answer of the day; 0 listings in a
    report of before they were told apart.
    """

    day: str
    version: str
    answers: int
    labelled: int
    right: int
    listings: int = 0


class LiveReport(msgspec.Struct, frozen=True):
    """How right each version was that answered between two moments (seconds since 1970), by its id and by day.

    `champion` is the version in production, and None where there is none; `told` says what became of the feedback, and
    `priced` of how many answers the price is known.
    """

    since: float
    until: float
    champion: str | None
    versions: dict[str, Live]
    days: tuple[OfDay, ...]
    told: Told
    priced: int

    @property
    def current(self) -> Live:
        """Of the version in production."""
        nobody = "Nobody has asked the version in production about a listing in these days."
        none = Live(self.champion or "none", "not enough data", nobody, Figures(0, 0), (), Estimate(None, nobody))
        return self.versions.get(self.champion or "", none)

    @property
    def verdict(self) -> Verdict:
        """Of the version in production."""
        return self.current.verdict

    def write(self, folder: Path) -> None:
        """Write live.json."""
        replace_file(folder / "live.json", msgspec.json.format(msgspec.json.encode(self)))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read live.json."""
        return msgspec.json.decode((folder / "live.json").read_bytes(), type=cls)


def live_report(
    answers: pd.DataFrame,
    joined: Joined,
    champion: str | None,
    manifest: Callable[[str], Manifest | str],
    since: float,
    until: float,
) -> LiveReport:
    """How right the versions were that gave some answers, with what is known to be true of each."""
    versions, days = dict[str, Live](), list[OfDay]()
    for version, places in answers.groupby("version").indices.items():
        given, truth, known = answers.iloc[places], joined.truth[places], manifest(str(version))
        reference, test = None, None
        if not isinstance(known, str):
            accuracy = known.metrics.get("test", {}).get("accuracy")
            reference, test = answers_in(known), None if accuracy is None else (accuracy, known.rows.test)
        served = served_in(given, truth)
        versions[str(version)] = assess(str(version), served, reference, test)
        days += _by_day(str(version), given["time"].to_numpy(), served)
    priced = int((~np.isnan(joined.price)).sum())
    return LiveReport(since, until, champion, versions, tuple(sorted(days, key=_order)), joined.counts, priced)


def _order(one: OfDay) -> tuple[str, str]:
    return one.day, one.version


def _by_day(version: str, times: NDArray[np.float64], served: Served) -> Iterator[OfDay]:
    days = np.floor(times / DAY).astype(np.int64)
    right = served.codes == served.truth
    for day in np.unique(days).tolist():
        here = days == day
        known = here & (served.truth != UNKNOWN)
        once = latest_of_each(served.listings, known)
        name = f"{np.datetime64(day, 'D')}"
        yield OfDay(name, version, int(here.sum()), int(known.sum()), int(right[once].sum()), len(once))
