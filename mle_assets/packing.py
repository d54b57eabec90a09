"""A folder's files as one content, and back: a zip that is not compressed, for models and pictures hardly get smaller.

The same files make the same bytes, whenever they were written.
"""

import io
import zipfile
from pathlib import Path, PurePosixPath

MOST_FILES = 1_000
MOST_BYTES = 2_000_000_000
"""Of all files together; the largest, a forest, has some forty million."""

_ALWAYS = (1980, 1, 1, 0, 0, 0)


def pack(folder: Path) -> bytes:
    """All files of a folder and of those in it, with their names in it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _ALWAYS)
            archive.writestr(name, file.read_bytes())
    return content.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Write the files of an archive into an empty folder.

    Raises ValueError, before anything is written, for one that is damaged or too large, or whose names lead out.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = archive.infolist()
            _check(files)
            whole = {file.filename: archive.read(file) for file in files}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, UnicodeError) as error:
        raise ValueError(f"its archive is damaged ({error})") from error
    for name, part in whole.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(part)


def _check(files: list[zipfile.ZipInfo]) -> None:
    if len(files) > MOST_FILES:
        raise ValueError(f"its archive has {len(files):,} files, and at most {MOST_FILES:,} are unpacked")
    if sum(file.file_size for file in files) > MOST_BYTES:
        raise ValueError(f"its archive has more than {MOST_BYTES:,} bytes, the most that is unpacked")
    names = [file.filename for file in files]
    for file in files:
        path = PurePosixPath(file.filename)
        # Only what `pack` makes: neither a folder, nor a name with anything in it that leads elsewhere.
        if path.is_absolute() or ".." in path.parts or "\\" in file.filename or str(path) != file.filename:
            raise ValueError(f"its archive has a file {file.filename!r}, which does not lie in it")
        if file.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"its archive has a file {file.filename!r} that is compressed, which none of ours is")
    above = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    if len(set(names)) != len(names) or not above.isdisjoint(names):
        raise ValueError("its archive has two files of the same name")
