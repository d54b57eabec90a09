"""Where the pipeline keeps what it makes: a folder of this machine, or a prefix of an object store that all share."""

import fcntl
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from mle_assets.failures import failing_on
from storage.address import is_url
from storage.errors import StoreAway

LOCK = ".lock"


class Seen(NamedTuple):
    """What a name held when it was looked at: its content, None for nothing, and what tells that content from others.

    The latter is None where there was nothing, and in a folder, in which whoever replaces has it to itself.
    """

    content: bytes | None
    tag: Any


class Place(ABC):
    """Named contents, read and written whole: who reads one meanwhile has the old one or the new one."""

    address: str
    """Its path or URL."""

    @abstractmethod
    def at(self, *names: str) -> "Place":
        """The place beneath a name."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """A content; raises FileNotFoundError."""

    @abstractmethod
    def source(self, name: str) -> Path | io.BytesIO:
        """A content as readers of tables take it; raises FileNotFoundError, at the latest when it is read."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Put a content under a name, in place of any other."""

    @abstractmethod
    def see(self, name: str) -> Seen:
        """What is there now, for `replace`."""

    @abstractmethod
    def replace(self, name: str, content: bytes, seen: Seen) -> None:
        """Put a content in place of what was seen; raises OSError where another is there by now."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a content; what is not there is no error."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is such a content."""

    @abstractmethod
    def names(self) -> list[str]:
        """The contents that lie right here, by name, in order."""

    @abstractmethod
    def places(self) -> list[str]:
        """The places right beneath this one, by name, in order."""

    @abstractmethod
    def shown(self, name: str = "") -> str:
        """How a content, or the place, is called to people."""

    def in_words(self) -> AbstractContextManager[object]:
        """Ends the run in words where the place is on a store that cannot be reached: nobody's mistake in the code."""
        return failing_on(StoreAway)

    @abstractmethod
    def alone(self) -> AbstractContextManager[object]:
        """Has the place to itself, as far as that can be had: see `replace`."""


class FolderPlace(Place):
    """A folder of this machine, each content a file."""

    def __init__(self, folder: Path) -> None:
        """Lie in a folder, which need not be there yet."""
        self.folder, self.address = folder, str(folder)

    def at(self, *names: str) -> "FolderPlace":
        """The folder beneath it."""
        return FolderPlace(self.folder.joinpath(*names))

    def read(self, name: str) -> bytes:
        """A file's content."""
        return (self.folder / name).read_bytes()

    def source(self, name: str) -> Path:
        """A file's path: what reads tables takes only those parts of it that it needs."""
        return self.folder / name

    def write(self, name: str, content: bytes) -> None:
        """Put a file in its place."""
        replace_file(self.folder / name, content)

    def see(self, name: str) -> Seen:
        """What a file holds."""
        try:
            return Seen(self.read(name), None)
        except FileNotFoundError:
            return Seen(None, None)

    def replace(self, name: str, content: bytes, seen: Seen) -> None:  # noqa: ARG002 (whoever is alone needs no proof)
        """Put a file in its place."""
        self.write(name, content)

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self.folder / name).unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.folder / name).exists()

    def names(self) -> list[str]:
        """Its files, but those that are being written."""
        return [entry.name for entry in self._entries() if entry.is_file()]

    def places(self) -> list[str]:
        """Its folders."""
        return [entry.name for entry in self._entries() if entry.is_dir()]

    def _entries(self) -> list[Path]:
        try:
            return sorted(entry for entry in self.folder.iterdir() if not entry.name.startswith("."))
        except FileNotFoundError:
            return []

    def shown(self, name: str = "") -> str:
        """The whole path."""
        return str((self.folder / name).resolve())

    @contextmanager
    def alone(self) -> Generator[None]:
        """One process at a time; the system ends the lock with it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def place_at(address: str) -> Place:
    """The place of a path or URL; nothing is asked of it yet. Raises BadAddress for a URL of another scheme."""
    if is_url(address):
        from mle_assets.object_place import ObjectPlace  # here: whoever has folders needs no client of a store

        return ObjectPlace.of(address)
    return FolderPlace(Path(address))


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that it is the old one or the new one, whole, whenever the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
