"""A version as one file, to carry it from one registry to another."""

import io
import os
import tarfile
from pathlib import Path
from uuid import uuid4

from model_registry import disk
from model_registry.store import MOST_FILE, VERSION_FILES, Registry


class BadArchive(Exception):
    """A file is not an archive of one version, and nothing of it was taken."""


def export_version(registry: Registry, version: str, file: Path) -> None:
    """Write a verified version into a new tar file; the same version always gives the same bytes.

    Raises FileExistsError where the file is there already, ModelRefused where the version is damaged.
    """
    registry.open(version)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in VERSION_FILES:
            entry = tarfile.TarInfo(f"{version}/{name}")
            file_content = registry.file(version, name)
            entry.size = len(file_content)
            archive.addfile(entry, io.BytesIO(file_content))
    unfinished = file.with_name(f".{file.name}.{uuid4().hex}")
    try:
        disk.write(unfinished, content.getvalue())
        # A link, not a rename: it fails where the file exists.
        os.link(unfinished, file)
    except OSError as error:
        if error.filename2 is None:
            error.filename = str(file)  # by the name that was asked for, not by the one it has until it is whole
        raise
    finally:
        unfinished.unlink(missing_ok=True)


def import_version(registry: Registry, file: Path) -> str:
    """Take the version in an archive into the registry, verified as any published one; its id.

    Raises BadArchive for anything but the three files of one version (another path, a link, a device), and
    ModelRefused for files that do not belong together.
    """
    try:
        with tarfile.open(file) as archive:
            files = {entry.name: _content(archive, entry) for entry in archive}
    except tarfile.ReadError as error:
        raise BadArchive(f"{file} is no archive of a version, or not whole: `models export` makes one") from error
    except PermissionError:
        raise
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadArchive(f"{file} cannot be read as an archive of a version: {error}") from error
    versions = {name.split("/")[0] for name in files}
    if len(versions) != 1 or set(files) != {f"{next(iter(versions))}/{name}" for name in VERSION_FILES}:
        raise BadArchive(
            f"{file} is refused: it holds {', '.join(sorted(files)) or 'nothing'}, not just the "
            f"{', '.join(VERSION_FILES)} of one version"
        )
    [version] = versions
    if version in ("", ".", ".."):
        raise BadArchive(f"{file} is refused: {version!r} is no version")
    registry.admit(version, {name.split("/")[1]: content for name, content in files.items()})
    return version


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    # Only read, never extracted: no path in an archive can lead anywhere.
    source = archive.extractfile(entry) if entry.isreg() else None
    if source is None:
        raise tarfile.TarError(f"{entry.name} is not a plain file")
    if entry.size > MOST_FILE:
        raise tarfile.TarError(f"{entry.name} says it is {entry.size:,} bytes")
    return source.read()
