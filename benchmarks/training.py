"""Training: the whole job against the predecessor's way, and each claim about speed and size, in one run.

    make bench SNAPSHOT=listings.csv.gz

Prints seconds and ratios; nothing is asserted. The predecessor's way is what the replaced system did after its own
reading and cleaning: fit nine forests one after the other, predict the test listings, keep a pickle of each.
"""

import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sklearn.base import clone

from mle_assets.listings.cleaning import clean
from mle_assets.listings.features import category_codes, feature_matrix
from mle_assets.listings.snapshot import read_snapshot
from mle_assets.listings.split import split
from mle_assets.listings.synthetic import write_snapshot
from mle_assets.models.candidates import families
from mle_assets.models.onnx_export import export
from mle_assets.models.training import fit

MILLION = 1_000_000


@contextmanager
def timed(what: str) -> Iterator[list[float]]:
    """Print how long a block takes; the list that it gives holds the seconds afterwards."""
    seconds: list[float] = []
    start = time.perf_counter()
    yield seconds
    seconds.append(time.perf_counter() - start)
    print(f"{what:<70}{seconds[0]:>8.2f} s", flush=True)


def main() -> None:
    """Measure everything on one snapshot."""
    with tempfile.TemporaryDirectory() as folder:
        snapshot = os.environ.get("SNAPSHOT") or str(Path(folder) / "synthetic.csv")
        if not os.environ.get("SNAPSHOT"):
            write_snapshot(Path(snapshot), 31_841)
        forests(snapshot, Path(folder))
        whole_job(snapshot, Path(folder))
        million(Path(folder))


def forests(snapshot: str, folder: Path) -> None:
    """The nine forests: the predecessor's way, ours, and the export beside the fit."""
    train, test = split(clean(read_snapshot(snapshot).listings, snapshot).listings)
    X, y, X_test = feature_matrix(train), category_codes(train), feature_matrix(test)
    family = next(family for family in families() if family.name == "simple_classifier")
    with timed("nine forests, the predecessor's way: each fitted, asked, pickled") as before:
        for member in family.members:
            fitted = clone(member.pipeline()).fit(X, y)
            fitted.predict_proba(X_test)
            (folder / f"{member.name}.pickle").write_bytes(pickle.dumps(fitted))
    pickled = sum(file.stat().st_size for file in folder.glob("*.pickle"))
    with timed("nine forests, ours: one fit") as fitting:
        ours = fit(family, X, y)
    with timed("nine forests, ours: export to ONNX") as exporting:
        exported = {name: export(pipeline) for name, pipeline in ours.items()}
    largest = family.members[-1].name
    with timed("the largest forest: fit alone") as fit_alone:
        alone = clone(family.members[-1].pipeline()).fit(X, y)
    with timed("the largest forest: export alone") as export_alone:
        export(alone)
    print(f"  {largest}: export / fit = {export_alone[0] / fit_alone[0]:.2f}")
    print(f"  predecessor / ours (fit and export) = {before[0] / (fitting[0] + exporting[0]):.2f}")
    print(f"  on disk: {pickled / 1e6:.0f} MB pickled, {sum(map(len, exported.values())) / 1e6:.0f} MB as ONNX")


def whole_job(snapshot: str, folder: Path) -> None:
    """`dagster job execute -j training`, as a person would run it."""
    home = folder / "home"
    home.mkdir()
    assets = folder / "assets"
    environment = {**os.environ, "DAGSTER_HOME": str(home), "SNAPSHOT": snapshot, "ASSET_FOLDER": str(assets)}
    command = ["dagster", "job", "execute", "-m", "mle_assets.definitions", "-j", "training"]
    with timed("dagster job execute -j training, all candidates, start to end"):
        subprocess.run(command, env=environment, check=True, capture_output=True)
    models = sum(file.stat().st_size for file in (assets / "models").rglob("*.onnx"))
    print(f"  models on disk: {models / 1e6:.0f} MB")


def million(folder: Path) -> None:
    """A million listings through reading and cleaning, in a process of its own so that its memory can be told."""
    with timed(f"write {MILLION:,} synthetic listings"):
        write_snapshot(folder / "million.csv", MILLION)
    subprocess.run([sys.executable, __file__, str(folder / "million.csv")], check=True)


def clean_one(path: str) -> None:
    """Read and clean one snapshot; print the rate and the peak memory."""
    with timed(f"  read {path}"):
        raw = read_snapshot(path).listings
    with timed("  clean it") as cleaning:
        clean(raw, path)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"  {len(raw) / cleaning[0]:,.0f} rows a second; peak memory {peak:.2f} GB")


if __name__ == "__main__":
    clean_one(sys.argv[1]) if len(sys.argv) > 1 else main()
