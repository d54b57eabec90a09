"""The log to whoever reads it, wherever it is kept: which files it has, what they hold, and what was erased."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from prediction_log.erasing import decoded
from prediction_log.files import FEEDBACK, FORGOTTEN, PREDICTIONS, LogFile, log_files
from prediction_log.reader import Read, read_file
from prediction_log.record import Forgotten
from storage.address import is_url


class Erasures(NamedTuple):
    """What was forgotten so far, in order, and what tells that from what was at other times."""

    forgotten: list[Forgotten]
    digest: str


NOTHING_FORGOTTEN = hashlib.sha256(b"").hexdigest()


def erasures(content: bytes) -> Erasures:
    """What a content of FORGOTTEN says."""
    return Erasures(decoded(content), hashlib.sha256(content).hexdigest())


class Log(Protocol):
    """A prediction log; raises OSError where it cannot be read."""

    address: str
    """Its path or URL."""
    wait_seconds: float
    """A file that is done is worth a look when so much time has gone by since it was begun."""
    at_once: int
    """So many files are to be read at the same time: each may be long in coming."""

    def files(self, since: float = 0.0) -> list[LogFile]:
        """Both kinds of files, none twice: all of them, and where that costs much, only those begun since a moment."""
        ...

    def read(self, file: LogFile) -> Iterator[Read]:
        """The records of a file, some thousand at a time; nothing where it was removed."""
        ...

    def erasures(self) -> Erasures:
        """What was forgotten."""
        ...


class FolderLog:
    """The log in a folder."""

    wait_seconds = 0.0
    at_once = 1

    def __init__(self, folder: Path) -> None:
        """Read a folder, which need not be there."""
        self.folder, self.address = folder, str(folder)

    def files(self, since: float = 0.0) -> list[LogFile]:  # noqa: ARG002 (a folder is listed in no time)
        """All files, those that are done first."""
        return [file for file in log_files(self.folder) if file.prefix in (PREDICTIONS, FEEDBACK)]

    def read(self, file: LogFile) -> Iterator[Read]:
        """The records of a file."""
        return read_file(file)

    def erasures(self) -> Erasures:
        """What was forgotten."""
        try:
            return erasures((self.folder / FORGOTTEN).read_bytes())
        except FileNotFoundError:
            return erasures(b"")


def log_at(address: str) -> Log:
    """The log at a path or URL; nothing is asked of it yet. Raises BadAddress for a URL of another scheme."""
    if is_url(address):
        from prediction_log.object_log import ObjectLog  # here: whoever has a folder needs no client of a store

        return ObjectLog.of(address)
    return FolderLog(Path(address))
