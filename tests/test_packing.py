"""A folder's files as one content: what is unpacked is what was packed, and nothing else is unpacked."""

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mle_assets import packing
from mle_assets.packing import pack, unpack

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\\0", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20
)
FILES = st.dictionaries(NAMES.filter(lambda name: name not in {".", ".."}), st.binary(max_size=200), max_size=5)


@settings(deadline=None, max_examples=60)
@given(files=FILES, deeper=FILES)
def test_what_is_unpacked_is_what_was_packed(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], deeper: dict[str, bytes]
) -> None:
    before, after = tmp_path_factory.mktemp("before"), tmp_path_factory.mktemp("after")
    for number, (name, content) in enumerate(files.items()):
        (before / f"{number}{name}").write_bytes(content)
    for number, (name, content) in enumerate(deeper.items()):
        (before / "deeper").mkdir(exist_ok=True)
        (before / "deeper" / f"{number}{name}").write_bytes(content)
    packed = pack(before)
    unpack(packed, after)
    assert contents(after) == contents(before)
    assert pack(after) == packed


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def archive(*names: str, method: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as made:
        for name in names:
            # A name is written as it is given only where it is set afterwards.
            file = zipfile.ZipInfo("x")
            file.filename, file.compress_type = name, method
            made.writestr(file, b"content " * 100)
    return content.getvalue()


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a//x", "./x", "a/", "a\\x", ""])
def test_a_name_that_leads_out_is_refused_before_anything_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"its archive (has a file .* which does not lie in it|is damaged)"):
        unpack(archive("fine", name), tmp_path / "in")
    assert contents(tmp_path) == {}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b")])
def test_two_files_in_one_anothers_place_are_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its archive has two files of the same name"):
        unpack(archive(*names), tmp_path)


def test_a_compressed_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has a file 'a' that is compressed"):
        unpack(archive("a", method=zipfile.ZIP_DEFLATED), tmp_path)


def test_one_that_is_too_large_is_refused_by_what_it_says_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MOST_BYTES", 1_000)
    with pytest.raises(ValueError, match="its archive has more than 1,000 bytes, the most that is unpacked"):
        unpack(archive("a", "b"), tmp_path)
    monkeypatch.setattr(packing, "MOST_FILES", 1)
    with pytest.raises(ValueError, match="its archive has 2 files, and at most 1 are unpacked"):
        unpack(archive("a", "b"), tmp_path)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_damaged_one_is_refused_or_unpacked_to_what_was_packed(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("in")
    packed = bytearray(archive("a", "b"))
    place = data.draw(st.integers(0, len(packed) - 1))
    if data.draw(st.booleans()):
        del packed[place:]
    else:
        packed[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        unpack(bytes(packed), folder)
    except ValueError:
        assert contents(folder) == {}
    else:
        assert set(contents(folder).values()) <= {b"content " * 100}
