"""A version travels as one file, and nothing else does."""

import io
import tarfile
from pathlib import Path

import pytest

from model_registry.archive import BadArchive, export_version, import_version
from model_registry.classifier import ModelRefused
from model_registry.registries import Registries
from model_registry.store import Registry
from tests.making import publish
from tests.model_registry.stores import BOTH, Files

pytestmark = BOTH


@pytest.fixture
def archive(registry: Registry, tmp_path: Path) -> Path:
    file = tmp_path / "version.tar"
    export_version(registry, publish(registry, 0), file)
    return file


@pytest.fixture
def elsewhere(place: Path | str) -> Registry:
    return Registries(place.with_name("elsewhere") if isinstance(place, Path) else f"{place}-elsewhere").of("new-york")


def packed(file: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(file, "w") as archive:
        for entry, content in entries:
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file


def contents(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        return {entry.name: opened.extractfile(entry).read() for entry in opened}  # type: ignore[union-attr]


def test_a_version_is_the_same_in_another_registry(archive: Path, registry: Registry, elsewhere: Registry) -> None:
    version = import_version(elsewhere, archive)
    assert [version] == registry.versions() == elsewhere.versions()
    assert Files(registry).all() == Files(elsewhere).all()
    assert elsewhere.problems() == {}
    assert import_version(elsewhere, archive) == version


def test_the_same_version_is_exported_to_the_same_bytes(archive: Path, registry: Registry, tmp_path: Path) -> None:
    again = tmp_path / "again.tar"
    export_version(registry, registry.versions()[0], again)
    assert again.read_bytes() == archive.read_bytes()


def test_an_archive_that_is_there_is_not_written_over(archive: Path, registry: Registry) -> None:
    before = archive.read_bytes()
    with pytest.raises(FileExistsError):
        export_version(registry, registry.versions()[0], archive)
    assert archive.read_bytes() == before
    assert [file.name for file in archive.parent.iterdir() if file.name.startswith(".")] == []


def test_a_damaged_version_is_not_exported(registry: Registry, tmp_path: Path) -> None:
    version = publish(registry, 0)
    Files(registry).write(f"versions/{version}/model.onnx", b"damaged")
    with pytest.raises(ModelRefused):
        export_version(registry, version, tmp_path / "version.tar")
    assert not (tmp_path / "version.tar").exists()


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "a/../../outside", "tree-0/../../x", "tree-0/sub/x"])
def test_an_archive_with_a_path_outside_itself_is_refused(path: str, archive: Path, elsewhere: Registry) -> None:
    files = [(tarfile.TarInfo(name), content) for name, content in contents(archive).items()]
    bad = packed(archive.with_name("bad.tar"), *files, (tarfile.TarInfo(path), b"x"))
    with pytest.raises(BadArchive, match="is refused: it holds"):
        import_version(elsewhere, bad)
    assert elsewhere.versions() == []
    assert Files(elsewhere).all() == {}
    assert list(archive.parent.rglob("outside*")) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_an_archive_with_anything_but_plain_files_is_refused(kind: bytes, archive: Path, elsewhere: Registry) -> None:
    special = tarfile.TarInfo("tree-0/model.onnx")
    special.type, special.linkname = kind, "/etc/passwd"
    with pytest.raises(BadArchive, match="is not a plain file"):
        import_version(elsewhere, packed(archive.with_name("bad.tar"), (special, b"")))
    assert elsewhere.versions() == []


@pytest.mark.parametrize("name", ["..", "."])
def test_a_version_that_is_named_like_a_folder_above_is_refused(name: str, archive: Path, elsewhere: Registry) -> None:
    files = [(tarfile.TarInfo(f"{name}/{path.split('/')[1]}"), c) for path, c in contents(archive).items()]
    with pytest.raises(BadArchive, match="is no version"):
        import_version(elsewhere, packed(archive.with_name("bad.tar"), *files))
    assert elsewhere.versions() == []


def test_an_archive_whose_model_was_changed_is_refused_and_nothing_stays(archive: Path, elsewhere: Registry) -> None:
    files = contents(archive)
    model = next(name for name in files if name.endswith("model.onnx"))
    files[model] = files[model][:-1] + bytes([files[model][-1] ^ 1])
    bad = packed(archive.with_name("bad.tar"), *((tarfile.TarInfo(name), c) for name, c in files.items()))
    with pytest.raises(ModelRefused, match="model.onnx is not the file that was published"):
        import_version(elsewhere, bad)
    assert elsewhere.versions() == []
    assert Files(elsewhere).all() == {}


@pytest.mark.parametrize("length", [0, 100, 600, 2000])
def test_an_archive_that_breaks_off_is_refused(length: int, archive: Path, elsewhere: Registry) -> None:
    archive.write_bytes(archive.read_bytes()[:length])
    with pytest.raises(BadArchive):
        import_version(elsewhere, archive)
    assert elsewhere.versions() == []
