"""The log's files: their names, which there are, and the one that a process is writing.

    <prefix>-<UTC start>-<process>-<number>.jsonl.open    written by a process, which holds a lock on it
    <prefix>-<UTC start>-<process>-<number>.jsonl         done: only an erasure changes it

The lock ends with its process, however that ends: whoever finds a file open and free renames it.
"""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

PREDICTIONS, FEEDBACK = "predictions", "feedback"
"""How the files of the two logs begin: of what was answered, and of what was told about it."""
FORGOTTEN = "forgotten.jsonl"
"""What was erased, beside the files; processes that write look whether it has changed."""
OPEN = ".open"
"""The end of the name of a file that is being written."""
REWRITING = ".rewriting"
"""The end of what an erasure is putting in a file's place."""
REWRITING_SECONDS = 3_600
"""No erasure takes that long: one that is older was killed."""
MOST_LINE = 1_000_000
"""Bytes of the longest line that is written or read; one has some five hundred."""
TRIED = 4_096
"""Bytes that there has to be room for before a disk that failed is taken for healthy."""

_PREFIX = re.compile(r"[a-z_]+")
_NAME = re.compile(r"([a-z_]+)-([0-9]{8}T[0-9]{6})-([0-9a-f]{8})-([0-9]{1,9})\.jsonl(\.open)?")
_STAMP = "%Y%m%dT%H%M%S"


class LogFile(msgspec.Struct, frozen=True):
    """A file of the log as it was found."""

    path: Path
    prefix: str
    started: float
    """When it was begun, in seconds since 1970: nothing in it is older."""
    process: str
    number: int
    size: int
    open: bool
    """Whether a process was still writing it, or was killed doing so."""

    @property
    def name(self) -> str:
        """What it is called once it is done, which tells it from all others."""
        return self.path.name.removesuffix(OPEN)


def file_name(prefix: str, now: float, process: str, number: int) -> str:
    """The name of a file that is begun; raises ValueError for a prefix of other than small letters."""
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r} cannot begin the name of a log file: it takes small letters and _ only")
    return f"{prefix}-{datetime.fromtimestamp(now, UTC).strftime(_STAMP)}-{process}-{number}.jsonl"


def name_parts(name: str) -> tuple[str, str, str, int]:
    """What a file's name is made of: its prefix, when it was begun (as in 20260801T120000), its process, its number."""
    prefix, begun, process, number = name.removesuffix(".jsonl").rsplit("-", 3)
    return prefix, begun, process, int(number)


def log_file(path: Path, size: int) -> LogFile | None:
    """A file of the log by its path; None for one that has not the name of any."""
    name = _NAME.fullmatch(path.name)
    with suppress(ValueError):  # a date that there is not
        if name:
            started = datetime.strptime(name[2], _STAMP).replace(tzinfo=UTC).timestamp()
            return LogFile(path, name[1], started, name[3], int(name[4]), size, name[5] is not None)
    return None


def log_files(folder: Path, prefix: str | None = None) -> list[LogFile]:
    """The files that begin with `prefix` (or all), those that are done first, then the oldest first; none twice."""
    # A file that is renamed while a folder is listed may be left out or be listed twice. It was renamed before the
    # second look began, and shows there; what the first look saw under the old name, the second one corrects.
    found = dict[str, LogFile]()
    for _ in range(2):
        for file in _listed(folder, prefix):
            if file.name not in found or not file.open:
                found[file.name] = file
    return sorted(found.values(), key=lambda file: (file.open, file.started, file.process, file.number))


def _listed(folder: Path, prefix: str | None) -> list[LogFile]:
    listed = list[LogFile]()
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return []
    for entry in entries:
        # One that was renamed or removed in between.
        with suppress(FileNotFoundError):
            if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                file = log_file(Path(entry.path), entry.stat(follow_symlinks=False).st_size)
                if file and prefix in (None, file.prefix):
                    listed.append(file)
    return listed


def opened(file: LogFile) -> BinaryIO | None:
    """The file for reading, under its new name where it was renamed since; None where it was removed."""
    for path in (file.path, file.path.with_name(file.name)):
        with suppress(FileNotFoundError):
            return path.open("rb", buffering=0)
    return None


class OpenFile:
    """The file that this process writes, whole lines at a time; nobody else renames it meanwhile."""

    def __init__(self, path: Path, descriptor: int, started: float) -> None:
        """Write to a file that is locked and empty."""
        self.path = path
        self.started = started
        self.size = 0
        self.lines = 0
        self._descriptor = descriptor

    @classmethod
    def create(cls, path: Path, started: float) -> Self | None:
        """Begin a file, and its folder with it; None where another process took it before it was locked, or has it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):
                return cls(path, descriptor, started)
        except BlockingIOError:
            pass
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
        os.close(descriptor)
        return None

    def is_there(self) -> bool:
        """Whether it still lies under its name: neither removed nor moved away, nor its folder."""
        return _is_at(self.path, self._descriptor)

    def write(self, content: bytes) -> None:
        """Append lines; where not all of them can be written, the file ends with a whole one and OSError is raised.

        `lines` and `size` tell what is in the file then.
        """
        done = 0
        try:
            while done < len(content):
                done += os.write(self._descriptor, memoryview(content)[done:])
        except OSError:
            whole = content.rfind(b"\n", 0, done) + 1
            self._add(content[:whole])
            if done > whole:
                os.ftruncate(self._descriptor, self.size)
            raise
        self._add(content)

    def _add(self, content: bytes) -> None:
        self.size += len(content)
        self.lines += content.count(b"\n")

    def try_out(self) -> None:
        """See whether there is room for some lines; raises OSError where there is not."""
        try:
            # A line without anything is none, should the process be killed here.
            os.write(self._descriptor, TRIED * b"\n")
        finally:
            os.ftruncate(self._descriptor, self.size)

    def finish(self) -> None:
        """Close it under its last name; one without a line is removed."""
        try:
            if self.is_there():
                _settle(self.path, self.size)
        finally:
            os.close(self._descriptor)


def take_over(file: LogFile) -> None:
    """Give an open file its last name where its process is gone; one without a line is removed."""
    try:
        descriptor = os.open(file.path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Two may find it at once: the one that comes second has opened what has been renamed by now.
        if _is_at(file.path, descriptor):
            _settle(file.path, os.fstat(descriptor).st_size)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until what was renamed and removed in a folder is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False


def _settle(path: Path, size: int) -> None:
    if size:
        path.rename(path.with_name(path.name.removesuffix(OPEN)))
    else:
        path.unlink()


def tidy(folder: Path, prefix: str, *, keep_bytes: int, keep_seconds: float, now: float) -> int:
    """Name what processes left open that are gone, and remove what is older or more than is kept, oldest first.

    A file is as old as its beginning, so that no record is kept for longer; open files count, and stay. How many files
    were removed.
    """
    # One look is enough: what it misses is seen a minute later.
    found = sorted(_listed(folder, prefix), key=lambda file: (file.started, file.process, file.number))
    for file in found:
        if file.open:
            take_over(file)
    done, size, removed = [file for file in found if not file.open], sum(file.size for file in found), 0
    for file in surplus(done, size, keep_bytes, now - keep_seconds):
        file.path.unlink(missing_ok=True)
        removed += 1
    for left in folder.glob(f"{prefix}-*.jsonl{REWRITING}"):
        with suppress(FileNotFoundError):
            # Not when it was modified: before it takes the old file's place it is given the time of that.
            if now - left.stat().st_ctime > REWRITING_SECONDS:
                left.unlink()
    return removed


def surplus(done: Iterable[LogFile], size: int, keep_bytes: int, first: float) -> Iterator[LogFile]:
    """Of files that are done, oldest first, those to be removed: begun before `first`, or of `size` bytes too many.

    None is taken after the first that is kept.
    """
    for file in done:
        if size <= keep_bytes and file.started >= first:
            return
        yield file
        size -= file.size
