"""The model that answers: one ONNX session, the same for the evaluation, the gate and the API."""

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

# Otherwise ONNX Runtime keeps an identifier of the machine in the home folder and reports its use to its makers.
# It looks once, when it is loaded, so this comes before.
os.putenv("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from model_registry import disk
from model_registry.listing import CATEGORIES, FEATURES, Listing, PriceCategory, encode
from model_registry.manifest import (
    FileDigest,
    Manifest,
    ManifestRefused,
    digest,
    read_manifest,
    signature_of,
    version_id,
)

MODEL_FILE = "model.onnx"
MANIFEST_FILE = "manifest.json"
MOST_MANIFEST = 16_000_000
"""The largest manifest that is read, in bytes; one has a few thousand."""
REPORT_FILE = "report.html"

TOLERANCE = 1e-5
"""How far a probability may be from the one recorded: float32 sums in another order stay well below it."""

_PROVIDERS = ["CPUExecutionProvider"]
_CAN_COMPACT = sys.platform == "linux" and Path("/proc/self/fd").exists()
"""Whether a file that is only in memory has a name, by which ONNX Runtime can write to it."""

_trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None) if _CAN_COMPACT else None
"""Gives memory that is free back to the system; the C library of GNU has it."""

_LOAD_ERRORS: tuple[type[Exception], ...] = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


class ModelRefused(Exception):
    """A model is not what its manifest or this code's contract says; the message names the difference."""


class Classifier:
    """An ONNX model from feature rows (see FEATURES) to the probabilities of the four categories."""

    def __init__(self, model: bytes, threads: int = 1, *, compact: bool = False) -> None:
        """Open a model: one input "features" (n, 11) float32, an output "probabilities" (n, 4) float32.

        ONNX Runtime would size its threads from the host, not from the container, hence one by default. A `compact` one
        takes twice as long to open and a fifth of the memory from then on, which pays where it is kept.
        Raises ModelRefused for bytes that are no such model.
        """
        open_session = _compact_session if compact and _CAN_COMPACT else _plain_session
        try:
            session = open_session(model, threads)
        except _LOAD_ERRORS as error:
            raise ModelRefused(f"ONNX Runtime {ort.__version__} cannot open the model: {error}") from error
        _check_ends(session)
        self._run = session.run
        # Given none, each call makes some: one to three of the microseconds that a single row takes.
        self._run_options = ort.RunOptions()

    def probabilities(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probabilities of Low, Mid, High, Lux for each feature row: (n, 11) float32 to (n, 4) float32.

        May be called from several threads at a time.
        """
        return cast("NDArray[np.float32]", self._run(["probabilities"], {"features": rows}, self._run_options)[0])


@dataclass(frozen=True)
class PublishedModel:
    """A version that was opened and found to be what its manifest says."""

    manifest: Manifest
    classifier: Classifier
    report: bytes
    """The page that was published with it."""

    def classify(self, listing: Listing) -> PriceCategory:
        """The most probable category of a listing of its market; of equally probable ones the cheaper."""
        row = encode(listing, self.manifest.market.codes)
        return CATEGORIES[int(self.classifier.probabilities(row)[0].argmax())]


def open_version(folder: Path, *, compact: bool = False) -> PublishedModel:
    """The model in a version's folder, after its hash, signature and golden rows were checked.

    Raises ModelRefused with the difference; nothing that fails a check is ever returned.
    """

    def read(name: str, published: FileDigest | None) -> bytes:
        return disk.read(folder / name, most_of(published))

    try:
        return verified(folder.name, read, compact=compact)
    except OSError as error:
        raise ModelRefused(f"version {folder.name} cannot be read: {error}") from error


def verified(version: str, read: Callable[[str, FileDigest | None], bytes], *, compact: bool = False) -> PublishedModel:
    """The model in a version's files, as `open_version` says; what `read` raises is let through.

    `read` is given a file's name and what was published under it (None of the manifest), and raises OSError, its number
    EFBIG, for a larger one.
    """
    try:
        manifest = read_manifest(read(MANIFEST_FILE, None))
        model, report = (
            _read(read, name, published)
            for name, published in ((MODEL_FILE, manifest.model), (REPORT_FILE, manifest.report))
        )
        _check_files(version, manifest, model, report)
        _check_signature(manifest)
        classifier = Classifier(model, compact=compact)
        _check_golden(classifier, manifest)
        _check_background(manifest)
    except (ModelRefused, ManifestRefused) as error:
        raise ModelRefused(f"version {version} is refused: {error}") from error
    return PublishedModel(manifest, classifier, report)


def most_of(published: FileDigest | None) -> int:
    """How many bytes a file may have of which that was published; None stands for a manifest."""
    return MOST_MANIFEST if published is None else published.bytes


def _read(read: Callable[[str, FileDigest | None], bytes], name: str, published: FileDigest) -> bytes:
    try:
        return read(name, published)
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        raise ModelRefused(_another_file(name)) from error


def _another_file(name: str) -> str:
    return f"{name} is not the file that was published: its SHA-256 or size differs"


def _options(threads: int, **entries: str) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for name, value in entries.items():
        options.add_session_config_entry(f"session.{name}", value)
    return options


def _plain_session(model: bytes, threads: int) -> ort.InferenceSession:
    return ort.InferenceSession(model, _options(threads), providers=_PROVIDERS)


def _compact_session(model: bytes, threads: int) -> ort.InferenceSession:
    """A session that keeps what answering takes, and no more: 9 MB of every 46 that a champion takes otherwise.

    One of ONNX bytes keeps the trees as they were written beside those it made of them. One of ONNX Runtime's own
    format lets go of them (https://onnxruntime.ai/docs/performance/model-optimizations/ort-format-models.html), and is
    the same graph, with the same answers to the last bit. That format is made for the ONNX Runtime that reads it,
    hence here and not where the model is published; it is written to a file, here one that has no place on any disk.
    """
    with os.fdopen(os.memfd_create(MODEL_FILE)) as file:
        path = f"/proc/self/fd/{file.fileno()}"
        saving, loading = _options(threads, save_model_format="ORT"), _options(threads, load_model_format="ORT")
        saving.optimized_model_filepath = path
        ort.InferenceSession(model, saving, providers=_PROVIDERS)
        session = ort.InferenceSession(path, loading, providers=_PROVIDERS)  # given the bytes, it would keep them
    # What both took while they were opened is kept by the C library for later, three times what stays.
    if _trim is not None:
        _trim(0)
    return session


def _check_ends(session: ort.InferenceSession) -> None:
    def ends(nodes: Iterable[Any]) -> dict[str, tuple[str, int]]:
        return {node.name: (node.type, node.shape[-1]) for node in nodes}

    inputs = ends(session.get_inputs())
    if inputs != {"features": ("tensor(float)", len(FEATURES))}:
        raise ModelRefused(f"the model's inputs are {inputs}, not {len(FEATURES)} float32 'features'")
    if ends(session.get_outputs()).get("probabilities") != ("tensor(float)", len(CATEGORIES)):
        raise ModelRefused(f"the model has no output 'probabilities' of {len(CATEGORIES)} float32")


def _check_files(version: str, manifest: Manifest, model: bytes, report: bytes) -> None:
    if digest(model) != manifest.model:
        raise ModelRefused(_another_file(MODEL_FILE))
    if digest(report) != manifest.report:
        raise ModelRefused(_another_file(REPORT_FILE))
    named = version_id(manifest.candidate, manifest.model.sha256)
    if not version == manifest.version == named:
        raise ModelRefused(f"the folder is named {version}, the manifest {manifest.version}, the model {named}")


def _check_signature(manifest: Manifest) -> None:
    wanted = signature_of(manifest.market)
    for part in wanted.__struct_fields__:
        published, served = getattr(manifest.signature, part), getattr(wanted, part)
        if published != served:
            raise ModelRefused(f"its {part} are {list(published)}, this code's are {list(served)}")


def _check_background(manifest: Manifest) -> None:
    for listing in manifest.background:
        if listing.neighbourhood not in manifest.market.codes:
            raise ModelRefused(
                f"its background listing {listing.id} is in {listing.neighbourhood}, which is none of its market's "
                "neighbourhoods"
            )


def _check_golden(classifier: Classifier, manifest: Manifest) -> None:
    if not manifest.golden:
        raise ModelRefused("its manifest has no golden rows to check the model with")
    codes = manifest.market.codes
    for row in manifest.golden:
        if row.listing.neighbourhood not in codes:
            raise ModelRefused(
                f"its golden row {row.listing.id} is in {row.listing.neighbourhood}, which is none of its market's "
                "neighbourhoods"
            )
        answer = classifier.probabilities(encode(row.listing, codes))[0]
        difference = float(np.abs(answer - np.array(row.probabilities)).max())
        if not difference <= TOLERANCE:
            raise ModelRefused(
                f"listing {row.listing.id} gets probabilities {answer.tolist()}, "
                f"recorded are {list(row.probabilities)}: more than {TOLERANCE} apart"
            )
