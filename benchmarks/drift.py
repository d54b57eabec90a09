"""How often windows are called drifted, of the same listings and of shifted ones: `python -m benchmarks.drift`.

A third of a snapshot's listings is learned from, a third tested on, and windows are drawn from the last third, which
neither the profile nor the model has seen. A shift moves one feature of all listings by half its standard deviation:
numbers as they are or, where they are counts, to whole steps by chance so that their mean is right; flags and codes by
so much of the share of their commonest value. The model answers anew for what was shifted. Snapshots are the synthetic
one and those named, by path: `python -m benchmarks.drift listings.csv.gz`.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from mle_assets.listings.cleaning import clean
from mle_assets.listings.features import category_codes, feature_matrix
from mle_assets.listings.snapshot import read_snapshot
from mle_assets.listings.synthetic import write_snapshot
from mle_assets.monitoring.drift import LEAST, Drift, Window, judge
from mle_assets.release.answers import Answers, answers_of
from model_registry.listing import FEATURES
from model_registry.market import NEW_YORK
from model_registry.profile import Profile, profile_of

SIZES = (50, 100, 200, 500, 1_000, 2_000, 5_000, 20_000)
WINDOWS, SHIFTED_WINDOWS = 1_000, 200
SYNTHETIC_LISTINGS = 60_000
_STEPS = {"accommodates": 1.0, "bathrooms": 0.5, "bedrooms": 1.0, "beds": 1.0}
_CODES = ("neighbourhood", "room_type", "tv", "elevator", "internet")

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Population:
    """What a version knows, and the listings that windows are drawn from with what it answers for them."""

    profile: Profile
    reference: Answers
    rows: Rows
    answer: Callable[[Rows], NDArray[np.float64]]


def population(snapshot: Path, random: np.random.Generator) -> Population:
    """A snapshot's thirds: profile and model of the first, answers of the second, windows of the last."""
    listings = clean(read_snapshot(str(snapshot)).listings, snapshot.name, NEW_YORK).listings
    rows, codes = feature_matrix(listings, NEW_YORK), category_codes(listings)
    learned, tested, asked = np.array_split(random.permutation(len(rows)), 3)
    model = HistGradientBoostingClassifier(random_state=0).fit(rows[learned], codes[learned])
    return Population(
        profile=profile_of(rows[learned], codes[learned], NEW_YORK),
        reference=answers_of(model.predict_proba(rows[tested]), codes[tested]),
        rows=rows[asked],
        answer=model.predict_proba,
    )


def shifted(rows: Rows, name: str, random: np.random.Generator) -> Rows:
    """The listings with one feature moved by half its standard deviation."""
    moved, column = rows.copy(), FEATURES.index(name)
    values = rows[:, column]
    if name in _CODES:
        names, counts = np.unique(values, return_counts=True)
        commonest, share = names[counts.argmax()], counts.max() / len(values)
        leaving = (values == commonest) & (random.random(len(values)) < 0.5 * np.sqrt((1 - share) / share))
        others = names[names != commonest]
        moved[leaving, column] = random.choice(others, int(leaving.sum()))
        return moved
    by = 0.5 * float(values.std())
    step = _STEPS.get(name)
    moved[:, column] += by if step is None else step * np.floor(by / step + random.random(len(values)))
    return moved


def drawn(
    known: Population, rows: Rows, size: int, windows: int, least: int, random: np.random.Generator
) -> Iterator[Drift]:
    """What is said of windows of that many listings, drawn with replacement."""
    probabilities = known.answer(rows)
    for _ in range(windows):
        chosen = random.integers(0, len(rows), size)
        window = Window(rows[chosen], probabilities[chosen], size)
        yield judge(known.profile, known.reference, window, least)


def report(title: str, known: Population, random: np.random.Generator) -> None:
    """Print the table of a population."""
    varying = [name for name in FEATURES if len(np.unique(known.rows[:, FEATURES.index(name)])) > 1]
    moved = {name: shifted(known.rows, name, random) for name in varying}
    print(f"\n{title}: {len(known.rows):,} listings to draw from; {WINDOWS:,} windows without drift,")
    print(
        f"{SHIFTED_WINDOWS} with each of {len(varying)} features shifted. A verdict is given from {LEAST} listings.\n"
    )
    print("| n | false alarms | were a verdict given | found, mean | found, least | which |")
    print("|---|---|---|---|---|---|")
    for size in SIZES:
        alarms = sum(one.verdict == "drift" for one in drawn(known, known.rows, size, WINDOWS, 1, random)) / WINDOWS
        found = {
            name: sum(
                any(shift.name == name and shift.is_drift for shift in one.shifts)
                for one in drawn(known, rows, size, SHIFTED_WINDOWS, 1, random)
            )
            / SHIFTED_WINDOWS
            for name, rows in moved.items()
        }
        hardest = min(found, key=lambda name: found[name])
        mean = sum(found.values()) / len(found)
        given = f"{alarms:.1%}" if size >= LEAST else "none"
        print(f"| {size:,} | {given} | {alarms:.1%} | {mean:.1%} | {found[hardest]:.1%} | {hardest} |", flush=True)


def main() -> None:
    """Print the tables."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        made_up = Path(folder, "listings.csv")
        write_snapshot(made_up, SYNTHETIC_LISTINGS)
        report("Synthetic listings", population(made_up, random), random)
    for name in sys.argv[1:]:
        report(Path(name).name, population(Path(name), random), random)


if __name__ == "__main__":
    main()
