"""A published version, and listings asked about, for the tests of what becomes of served answers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mle_assets.release.answers import Answers
from model_registry.listing import FEATURES, RoomType
from model_registry.manifest import Rows
from model_registry.market import NEW_YORK
from model_registry.profile import profile_of
from model_registry.store import MarketRegistry
from prediction_log.record import Prediction
from tests.making import PROMOTE, publish
from tests.monitoring.log import OF_CATEGORY, answered

ANSWERS = Answers(1_000, (0.25, 0.25, 0.25, 0.25), (0.25, 0.25, 0.25, 0.25), 0.01, 0.02)


def feature_rows(n: int, random: np.random.Generator, east: float = 0.0) -> NDArray[np.float32]:
    """Listings of one kind, or moved to the east."""
    rows = np.zeros((n, len(FEATURES)), dtype=np.float32)
    for name, column in {
        "neighbourhood": random.choice(5, n, p=(0.03, 0.15, 0.01, 0.41, 0.4)),
        "room_type": random.choice(4, n, p=(0.015, 0.475, 0.505, 0.005)),
        "accommodates": 1 + random.poisson(1.8, n),
        "beds": 1 + random.poisson(0.6, n),
        "bathrooms": random.choice((1.0, 1.5, 2.0), n, p=(0.8, 0.1, 0.1)),
        "latitude": random.normal(40.73, 0.055, n),
        "longitude": random.normal(-73.95 + east, 0.055, n),
        "tv": random.random(n) < 0.72,
    }.items():
        rows[:, FEATURES.index(name)] = column
    return rows


def publish_champion(registry: MarketRegistry, seed: int = 0, accuracy: float = 0.7, **changes: Any) -> str:
    """A version in production that learned from listings of that kind."""
    random = np.random.default_rng(0)
    version = publish(
        registry,
        seed,
        profile=profile_of(feature_rows(5_000, random), random.integers(0, 4, 5_000), NEW_YORK),
        metrics={"test": {"accuracy": accuracy, "roc_auc": 0.88, "log_loss": 0.72}, "answers": ANSWERS.metrics()},
        rows=Rows(raw=7_000, kept=6_000, train=5_000, test=1_000, dropped={}),
        **changes,
    )
    registry.promote(version, PROMOTE, run_id=None, actor="test")
    return version


def asked(version: str, n: int, now: float, *, east: float = 0.0, seed: int = 1) -> list[Prediction]:
    """Answers about n listings of that kind, or moved to the east, over the last hour; each category as often."""
    random = np.random.default_rng(seed)
    names = list(OF_CATEGORY)
    return [
        answered(
            f"request-{seed}-{number}",
            now - 3_600 + number * 3_000 / n,
            category=names[number % 4],
            version=version,
            id=number,
            neighbourhood=NEW_YORK.neighbourhoods[int(row[0])],
            room_type=str(tuple(RoomType)[int(row[1])]),
            **{name: int(row[FEATURES.index(name)]) for name in ("accommodates", "bedrooms", "beds")},
            **{name: float(row[FEATURES.index(name)]) for name in ("bathrooms", "latitude", "longitude")},
            **{name: bool(row[FEATURES.index(name)]) for name in ("tv", "elevator", "internet")},
        )
        for number, row in enumerate(feature_rows(n, random, east))
    ]
