"""Whatever stands in a registry's files, reading them is a refusal in words and nothing else."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_registry.classifier import ModelRefused
from model_registry.history import HistoryDamaged, read_champion, read_events
from model_registry.manifest import ManifestRefused, read_manifest, write_manifest
from model_registry.store import Registry
from tests.making import PROMOTE, manifest, model, publish

LEVELS = 100_000
NESTED = {
    "arrays": b"[" * LEVELS + b"]" * LEVELS,
    "objects": b'{"a":' * LEVELS + b"1" + b"}" * LEVELS,
    "unfinished": b'[{"a":' * LEVELS,
}
Document = dict[str, Any]


@pytest.fixture(scope="module")
def written() -> bytes:
    """A manifest as it is published."""
    return write_manifest(manifest(model(0)))


@pytest.fixture
def pointed(registry: Registry) -> Registry:
    """A registry with a champion."""
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    return registry


@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED)
def test_a_manifest_with_a_hundred_thousand_levels_is_refused(nested: bytes, written: bytes) -> None:
    for content in (
        nested,
        b'{"schema_version": 1, "new": ' + nested + b"}",
        written.replace(b'"tree"', nested, 1),
        written.replace(b'"parameters": {', b'"parameters": {"deep": ' + nested + b",", 1),
    ):
        with pytest.raises(ManifestRefused, match="the manifest is damaged"):
            read_manifest(content)


@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED)
def test_a_version_with_such_a_manifest_is_refused(nested: bytes, pointed: Registry) -> None:
    [version] = pointed.versions()
    (pointed.path(version) / "manifest.json").write_bytes(b'{"new": ' + nested)
    with pytest.raises(ModelRefused, match=r"is refused: the manifest is damaged"):
        pointed.open(version)


@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED)
def test_a_pointer_or_a_history_with_a_hundred_thousand_levels_is_damaged(nested: bytes, pointed: Registry) -> None:
    pointer = (pointed.folder / "champion.json").read_bytes()
    for content in (nested, b'{"new": ' + nested, pointer.replace(b'"Better."', nested)):
        with pytest.raises(HistoryDamaged, match="champion.json is damaged"):
            read_champion(content)
    history = (pointed.folder / "history.jsonl").read_bytes()
    for content in (nested, b'{"new": ' + nested, history.replace(b'"Better."', nested)):
        with pytest.raises(HistoryDamaged, match="history.jsonl is damaged"):
            read_events(history + content + b"\n", None)


@pytest.mark.parametrize("number", [2**64, -(2**64), 10**400])
def test_a_manifest_with_a_number_that_could_not_be_written_is_refused(number: int, written: bytes) -> None:
    content = written.replace(b'"max_depth": 3', b'"max_depth": ' + str(number).encode())
    assert content != written
    with pytest.raises(ManifestRefused):
        read_manifest(content)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(2**63, 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def changed(draw: st.DrawFn, document: Document) -> bytes:
    """The document with one value, somewhere in it, replaced, removed or added."""
    copy = json.loads(json.dumps(document))
    place = copy
    while True:
        key = draw(st.sampled_from(sorted(place)) if isinstance(place, dict) else st.sampled_from(range(len(place))))
        inner = place[key]
        if isinstance(inner, dict | list) and inner and draw(st.booleans()):
            place = inner
            continue
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "remove":
                del place[key]
            case "add" if isinstance(place, dict):
                place[draw(st.text(max_size=5))] = draw(values)
            case _:
                place[key] = draw(values)
        return json.dumps(copy, indent=2).encode()


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_no_change_to_a_manifest_is_more_than_a_refusal(written: bytes, data: st.DataObject) -> None:
    content = data.draw(changed(json.loads(written)))
    with suppress(ManifestRefused):
        assert write_manifest(read_manifest(content)) == content


EVENT = {
    "sequence": 1,
    "action": "promotion",
    "at": "2026-01-01T00:00:00Z",
    "version": "tree-123456789012",
    "previous": None,
    "decision": {"promote": True, "reason": "Better.", "numbers": {"mean_difference": -0.1}},
    "run_id": None,
    "actor": "test",
}


@settings(deadline=None, max_examples=300)
@given(content=changed(EVENT))
def test_no_change_to_a_line_of_the_history_is_more_than_a_damage(content: bytes) -> None:
    with suppress(HistoryDamaged):
        read_events(content.replace(b"\n", b"") + b"\n", None)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no endless file on this system")
def test_a_file_without_end_is_refused_before_it_fills_the_memory(pointed: Registry) -> None:
    [version] = pointed.versions()
    for name in ("model.onnx", "report.html", "manifest.json"):
        kept = (pointed.path(version) / name).read_bytes()
        (pointed.path(version) / name).unlink()
        (pointed.path(version) / name).symlink_to("/dev/zero")
        with pytest.raises(ModelRefused, match="is not the file that was published|it is larger than"):
            pointed.open(version)
        (pointed.path(version) / name).unlink()
        (pointed.path(version) / name).write_bytes(kept)
    pointer = pointed.folder / "champion.json"
    pointer.unlink()
    pointer.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="it is larger than 1,000,000 bytes"):
        pointed.champion()
