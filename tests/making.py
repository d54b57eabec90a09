"""Real objects for the tests: small models, published versions, listings."""

from datetime import UTC, date, datetime

import msgspec
import numpy as np
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from mle_assets.models.onnx_export import export
from model_registry.classifier import Classifier
from model_registry.history import Decision
from model_registry.listing import EXAMPLE, FEATURES, Listing, RoomType, encode
from model_registry.manifest import SCHEMA_VERSION, GoldenRow, Manifest, Rows, Run, Snapshot, digest, signature_of
from model_registry.market import NEW_YORK, Market
from model_registry.profile import profile_of
from model_registry.store import Registry

PROMOTE = Decision(promote=True, reason="Better.", numbers={"mean_difference": -0.1})
KEEP = Decision(promote=False, reason="Not better.", numbers={"mean_difference": 0.1})


LISTINGS = st.builds(
    Listing,
    id=st.integers(0, 2**63 - 1),
    accommodates=st.integers(1, 100),
    room_type=st.sampled_from(RoomType),
    beds=st.integers(0, 100),
    bedrooms=st.integers(0, 100),
    bathrooms=st.integers(0, 200).map(lambda halves: halves / 2),
    neighbourhood=st.sampled_from(NEW_YORK.neighbourhoods),
    tv=st.booleans(),
    elevator=st.booleans(),
    internet=st.booleans(),
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
)
"""Any listing that a client may send."""


def listing(**changes: object) -> Listing:
    """The README's listing, changed."""
    return msgspec.convert({**EXAMPLE, **changes}, Listing)


def model(seed: int) -> bytes:
    """A small ONNX model; another seed, another model with other answers."""
    random = np.random.default_rng(seed)
    X = random.random((200, len(FEATURES)), dtype=np.float32) * 10
    y = np.concatenate([np.arange(4), random.integers(0, 4, 196)])
    return export(make_pipeline(DecisionTreeClassifier(max_depth=3, random_state=seed).fit(X, y)))


def model_of_guests() -> bytes:
    """A model that answers by the number of guests alone: up to 2 Low, up to 4 Mid, up to 6 High, more Lux."""
    X = np.zeros((100, len(FEATURES)), dtype=np.float32)
    X[:, FEATURES.index("accommodates")] = np.arange(1, 101)
    y = np.minimum(np.arange(100) // 2, 3)
    return export(make_pipeline(DecisionTreeClassifier().fit(X, y)))


LISBON = msgspec.structs.replace(
    NEW_YORK,
    name="lisbon",
    title="Lisbon",
    currency="EUR",
    neighbourhoods=("L'Alfama", "Belém, Ajuda", 'Cais "do" Sodré', "Queens"),
    category_limits=(60.0, 120.0, 1250.5),
    box=None,
)
"""Another market, which has one name in common with New York."""


def manifest(content: bytes, candidate: str = "tree", market: Market = NEW_YORK) -> Manifest:
    """A manifest that fits the model, with golden rows of its own answers."""
    classifier = Classifier(content)
    golden = tuple(
        GoldenRow(row, tuple(float(p) for p in classifier.probabilities(encode(row, market.codes))[0]))  # pyright: ignore
        for row in (
            listing(neighbourhood=market.neighbourhoods[3]),
            listing(id=2, accommodates=2, room_type=RoomType.PRIVATE, neighbourhood="Queens", tv=False),
        )
    )
    return Manifest(
        schema_version=SCHEMA_VERSION,
        version="",
        candidate=candidate,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        model=digest(content),
        report=digest(b""),
        signature=signature_of(market),
        metrics={"test": {"accuracy": 0.7, "roc_auc": 0.88, "log_loss": 0.72}, "cross_validation": {"log_loss": 0.74}},
        parameters={"estimator": "DecisionTreeClassifier", "max_depth": 3},
        snapshot=Snapshot(source="listings.csv.gz", sha256="ab" * 32, date=None, synthetic=False),
        rows=Rows(raw=100, kept=90, train=76, test=14, dropped={"price missing": 10}),
        data_versions={"raw_listings": "ab" * 32},
        run=Run(run_id="run-1", training_run_id="run-0", git_commit=None, code_versions={}, libraries={}),
        golden=golden,
        profile=profile_of(np.zeros((4, len(FEATURES)), dtype=np.float32), np.arange(4), market),
        market=market,
    )


MADE_UP = Snapshot(source="synthetic", sha256="cd" * 32, date=date(2021, 12, 4), synthetic=True)


BEATABLE: dict[str, object] = {
    "snapshot": MADE_UP,
    "profile": None,
    "metrics": {"test": {"accuracy": 0.2, "roc_auc": 0.5, "log_loss": 9.0}},
}
"""Changes to a manifest with which nothing keeps a made-up challenger from being compared with the version: it has no
profile that could differ, and never was better than the majority class."""


def publish(
    registry: Registry, seed: int, candidate: str = "tree", market: Market = NEW_YORK, **changes: object
) -> str:
    """A small model published in a registry, its manifest changed."""
    return publish_model(registry, model(seed), candidate, market, **changes)


def publish_model(
    registry: Registry, content: bytes, candidate: str = "tree", market: Market = NEW_YORK, **changes: object
) -> str:
    """A model published in a registry, its manifest changed."""
    draft = msgspec.structs.replace(manifest(content, candidate, market), **changes)
    return registry.publish(draft, content, b"<html>report</html>")
