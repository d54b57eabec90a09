"""A model is opened only when it is what its manifest says."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline

from mle_assets.models.onnx_export import average, export
from model_registry.classifier import Classifier, ModelRefused, open_version
from model_registry.listing import CATEGORIES, FEATURES, encode
from model_registry.manifest import Manifest, read_manifest, write_manifest
from model_registry.market import NEW_YORK
from model_registry.store import Registry
from tests.making import listing, model, publish


@pytest.fixture
def version(registry: Registry) -> Path:
    """The folder of a published version."""
    return registry.path(publish(registry, seed=0))


def rewrite(folder: Path, **changes: object) -> None:
    """Replace parts of a version's manifest by others, sealed as if they had been published."""
    file = folder / "manifest.json"
    file.write_bytes(write_manifest(msgspec.structs.replace(read_manifest(file.read_bytes()), **changes)))


def manifest_of(folder: Path) -> Manifest:
    return read_manifest((folder / "manifest.json").read_bytes())


def test_a_classifier_answers_with_the_most_probable_category() -> None:
    classifier = Classifier(model(0))
    probabilities = classifier.probabilities(encode(listing(), NEW_YORK.codes))
    assert (probabilities.shape, probabilities.dtype) == ((1, 4), np.float32)
    assert probabilities.sum() == pytest.approx(1, abs=1e-6)
    assert probabilities.shape == (1, len(CATEGORIES))


def test_a_classifier_answers_several_threads_at_a_time_as_it_answers_one() -> None:
    classifier = Classifier(model(0))
    rows = np.random.default_rng(0).integers(0, 5, (5_000, len(FEATURES))).astype(np.float32)
    alone = classifier.probabilities(rows)

    def answered(size: int) -> bool:
        parts = [classifier.probabilities(rows[start : start + size]) for start in range(0, len(rows), size)]
        return bool(np.array_equal(np.concatenate(parts), alone))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(answered, [1, 7, 64, 5_000] * 4))


@pytest.fixture(scope="module")
def large_model() -> bytes:
    """Boosting and a forest that learnt noise: some forty thousand nodes, as a champion has more of."""
    random = np.random.default_rng(0)
    X = random.integers(0, 9, (2_000, len(FEATURES))).astype(np.float32)
    y = random.integers(0, 4, len(X))
    both = HistGradientBoostingClassifier(max_iter=20, random_state=0), RandomForestClassifier(20, random_state=0)
    return average([export(make_pipeline(one.fit(X, y))) for one in both])


@pytest.mark.parametrize("compact", [False, True])
def test_a_classifier_answers_to_the_last_bit_as_onnx_runtime_does(compact: bool, large_model: bytes) -> None:
    rows = np.random.default_rng(1).normal(4, 4, (5_000, len(FEATURES))).astype(np.float32)
    rows[::7, 3] = np.nan
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(large_model, options, providers=["CPUExecutionProvider"])
    wanted = session.run(["probabilities"], {"features": rows})[0]
    assert np.array_equal(Classifier(large_model, compact=compact).probabilities(rows), wanted)


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is told by /proc")
def test_a_compact_classifier_takes_less_memory_than_twice_its_model_as_it_was_written(
    large_model: bytes, tmp_path: Path
) -> None:
    # A process of its own: what others left free in this one would be taken again.
    (tmp_path / "model.onnx").write_bytes(large_model)
    program = """if True:
        import sys
        from pathlib import Path
        from model_registry.classifier import Classifier

        def resident():
            return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096

        content = Path(sys.argv[1]).read_bytes()
        kept = [Classifier(content, compact=True)]
        before = resident()
        kept += [Classifier(content, compact=True) for _ in range(20)]
        print((resident() - before) / 20 / len(content))
    """
    shell = [sys.executable, "-c", program, str(tmp_path / "model.onnx")]
    assert float(subprocess.run(shell, check=True, capture_output=True, text=True).stdout) < 2


def test_a_published_version_is_opened(version: Path) -> None:
    published = open_version(version)
    assert published.manifest.version == version.name
    assert published.classify(listing()) in CATEGORIES


def test_bytes_that_are_no_model_are_refused() -> None:
    with pytest.raises(ModelRefused, match="cannot open the model"):
        Classifier(b"this is no model")


def tiny(inputs: int, outputs: int, name: str = "features") -> bytes:
    """A model with other ends: a product with zeros."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [inputs, outputs], np.zeros(inputs * outputs))
    graph = helper.make_graph(
        [helper.make_node("MatMul", [name, "w"], ["probabilities"])],
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, inputs])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, outputs])],
        [weights],
    )
    return onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.mark.parametrize(
    ("content", "difference"),
    [
        (tiny(5, 4), "not 11 float32 'features'"),
        (tiny(11, 4, "X"), "not 11 float32 'features'"),
        (tiny(11, 3), "no output 'probabilities' of 4 float32"),
    ],
)
def test_a_model_with_other_ends_is_refused(content: bytes, difference: str) -> None:
    with pytest.raises(ModelRefused, match=difference):
        Classifier(content)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"schema_version": 7}, "schema version 7, this code reads 1 to 6"),
        ({"golden": ()}, "no golden rows"),
        ({"version": "tree-000000000000"}, "the folder is named tree-"),
        ({"candidate": "bush"}, "the model bush-"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(changes: dict[str, object], difference: str, version: Path) -> None:
    rewrite(version, **changes)
    with pytest.raises(ModelRefused, match=f"version {version.name} is refused: .*{difference}"):
        open_version(version)


@pytest.mark.parametrize("part", ["features", "room_types", "neighbourhoods", "classes"])
def test_a_model_made_for_another_vocabulary_is_refused(part: str, version: Path) -> None:
    signature = manifest_of(version).signature
    turned = tuple(reversed(getattr(signature, part)))
    rewrite(version, signature=msgspec.structs.replace(signature, **{part: turned}))
    with pytest.raises(ModelRefused, match=f"its {part} are .*, this code's are "):
        open_version(version)


def test_a_model_that_answers_its_golden_rows_otherwise_is_refused(version: Path) -> None:
    first, *others = manifest_of(version).golden
    low, mid, high, lux = first.probabilities
    moved = msgspec.structs.replace(first, probabilities=(low + 2e-5, mid, high, lux))
    rewrite(version, golden=(moved, *others))
    with pytest.raises(ModelRefused, match=f"listing {first.listing.id} gets probabilities .* more than 1e-05 apart"):
        open_version(version)


@pytest.mark.parametrize("file", ["model.onnx", "manifest.json", "report.html"])
def test_a_version_that_lacks_a_file_is_refused(file: str, version: Path) -> None:
    (version / file).unlink()
    with pytest.raises(ModelRefused, match=f"version {version.name} cannot be read: .*{file}"):
        open_version(version)


@pytest.mark.parametrize("file", ["model.onnx", "manifest.json", "report.html"])
def test_a_changed_byte_is_refused_wherever_it_is(file: str, version: Path) -> None:
    content = (version / file).read_bytes()
    random = np.random.default_rng(0)
    for position in random.integers(0, len(content), 300):
        changed = bytearray(content)
        changed[position] ^= int(random.integers(1, 256))
        (version / file).write_bytes(changed)
        with pytest.raises(ModelRefused):
            open_version(version)
    (version / file).write_bytes(content)
    open_version(version)


def test_onnx_runtime_keeps_no_identifier_of_the_machine_and_reports_nothing(tmp_path: Path) -> None:
    # Where CI is set it would not anyway.
    asked_for_nothing = {
        name: value for name, value in os.environ.items() if name not in {"CI", "ORT_DISABLE_TELEMETRY"}
    }
    command = [sys.executable, "-c", "import model_registry.classifier"]
    subprocess.run(command, env={**asked_for_nothing, "HOME": str(tmp_path)}, check=True)
    assert list(tmp_path.rglob("*")) == []
