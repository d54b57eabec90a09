"""What one call of the model costs: how much of it is fixed, and how much is trees that have left the caches.

    python benchmarks/model_call.py [model.onnx ...]

Beside a registry's champion (MODEL_REGISTRY, as in benchmarks/serving.py) stands a model without trees, which shows
what a call costs whatever is asked, and any other models that are named. Each is called with as many rows as may
arrive together:

    again    with the same rows over and over: its trees are in the cache, and the processor guesses every turn
    others   with other rows each time: the trees are still in the cache, the turns are new
    1 MB …   with other rows, after so much other memory was touched: the trees have left the nearer caches
    Python   with other rows, after about as much Python as a request takes: what a server meets

Prints the median in microseconds, and its ratio to the champion's in the same column. The models take turns, so that
a machine that grows slower is slower for all of them; nothing is asserted.
"""

import gc
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from mle_assets.listings.cleaning import clean
from mle_assets.listings.features import feature_matrix
from mle_assets.listings.snapshot import read_snapshot
from mle_assets.listings.synthetic import write_snapshot
from model_registry.classifier import MODEL_FILE, Classifier
from model_registry.listing import CATEGORIES, EXAMPLE, FEATURES, Listing
from model_registry.market import DEFAULT_MARKET, NEW_YORK
from model_registry.registries import Registries

SIZES = (1, 2, 4, 8, 16, 64)
ROUNDS, CALLS = 9, 60
LISTINGS = 5_000

Rows = NDArray[np.float32]


def listings() -> Rows:
    """Feature rows of listings that are made up."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "listings.csv"
        write_snapshot(path, LISTINGS)
        return feature_matrix(clean(read_snapshot(str(path)).listings, "synthetic", NEW_YORK).listings, NEW_YORK)


def without_trees() -> bytes:
    """A model with the same ends that does next to nothing."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "zeros"], ["probabilities"])],
        "without_trees",
        [helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, [None, len(FEATURES)])],
        [helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, [None, len(CATEGORIES)])],
        [onnx.numpy_helper.from_array(np.zeros((len(FEATURES), len(CATEGORIES)), np.float32), "zeros")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def touch(megabytes: int) -> Callable[[], None]:
    """Something that reads and writes so much memory, one byte of every cache line."""
    memory = np.zeros(megabytes << 20, np.uint8)

    def touched() -> None:
        memory[::64] += 1

    return touched


def work() -> None:
    """About what a server does in Python between two calls."""
    body = json.dumps(EXAMPLE).encode()
    for _ in range(3):
        listing = msgspec.json.decode(body, type=Listing)
        msgspec.json.encode(listing)
        text = json.dumps(json.loads(body))
        headers = {name.lower(): text[:at] for at, name in enumerate(("Host", "Content-Type", "Content-Length"))}
        re.sub(r"[^a-z]", "", f"{text} {sorted(headers)}")


BETWEEN: dict[str, Callable[[], None] | None] = {
    "again": None,
    "others": None,
    **{f"{megabytes} MB": touch(megabytes) for megabytes in (1, 8, 64)},
    "Python": work,
}


def microseconds(classifier: Classifier, batches: list[Rows], between: Callable[[], None] | None) -> float:
    """The median duration of a call, each with the next batch."""
    durations: list[int] = []
    for batch in batches:
        if between is not None:
            between()
        start = time.perf_counter_ns()
        classifier.probabilities(batch)
        durations.append(time.perf_counter_ns() - start)
    return float(np.median(durations)) / 1e3


def batches_of(rows: Rows, size: int, column: str, random: np.random.Generator) -> list[Rows]:
    """CALLS batches of so many rows drawn from the listings, all of them the same one for the column «again»."""
    drawn = [rows[random.integers(0, len(rows), size)] for _ in range(CALLS)]
    return [drawn[0]] * CALLS if column == "again" else drawn


def main() -> None:
    """Measure the champion of the registry, and what else is named."""
    registry = Registries(os.environ.get("MODEL_REGISTRY") or "var/registry").of(DEFAULT_MARKET)
    champion = registry.champion()
    if champion is None:
        sys.exit(f"No model has been promoted in {registry.place} yet: make demo")
    files = {"champion": registry.path(champion.version) / MODEL_FILE, **{name: Path(name) for name in sys.argv[1:]}}
    models = {name: Classifier(path.read_bytes()) for name, path in files.items()}
    models["without trees"] = Classifier(without_trees())
    rows, random = listings(), np.random.default_rng(0)
    print(f"champion {champion.version}; µs a call, and as a share of the champion's")
    print(f"{'rows':>4} {'model':<24}" + "".join(f"{column:>15}" for column in BETWEEN))
    gc.disable()
    for size in SIZES:
        medians: dict[str, list[float]] = {name: [] for name in models}
        for column, between in BETWEEN.items():
            seen: dict[str, list[float]] = {name: [] for name in models}
            for _ in range(ROUNDS):
                batches = batches_of(rows, size, column, random)
                for name, classifier in models.items():
                    seen[name].append(microseconds(classifier, batches, between))
            for name, of_model in seen.items():
                medians[name].append(float(np.median(of_model)))
        for name, of_column in medians.items():
            cells = zip(of_column, medians["champion"], strict=True)
            print(
                f"{size:>4} {name[-24:]:<24}" + "".join(f"{own:>9.1f} {own / its:>5.2f}" for own, its in cells),
                flush=True,
            )


if __name__ == "__main__":
    main()
