"""Writing the log beside whatever the process does: nobody waits for it, and nothing fails with it.

Who has something to log makes lines of it at once: what they are made of is still in the processor's caches, and a
thread that made thousands of them later would keep the interpreter from all others meanwhile. One thread hands the
lines to the system, which keeps them when the process is killed: what that loses is what was offered within the last
`flush_seconds`, and under an overload what still waits. When too much waits or the disk fails, records are dropped and
counted. Old files are removed by a thread of its own, however many there are: a flush does not wait for that.
"""

import errno
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Literal

import msgspec

from prediction_log.files import FORGOTTEN, MOST_LINE, OPEN, OpenFile, file_name, tidy
from prediction_log.record import Record

PART = 256
"""So many records are encoded at once: msgspec keeps the interpreter until it is done, and others want their turn."""
AT_ONCE = 262_144
"""So many bytes are handed to the system at once, or a few more."""
MUCH = 4_096
"""When so many wait, they are written without waiting for their time."""
TIDY_SECONDS = 60.0
TRIES, TRY_SECONDS = 100, 0.001
"""How often a file is begun under one number, and how long after each time."""
TOLD_SECONDS = 60.0
"""For so long a problem is told that was over at once."""

Make = Callable[[], Iterable[Record]]
Reason = Literal["full", "failed"]
"""Why a record was dropped: too many waited (or the writer was closed), or it could not be made or written."""

_CURES = {
    errno.ENOSPC: "make room on its volume",
    errno.EDQUOT: "make room in its quota",
    errno.EROFS: "mount its volume for writing",
    errno.EACCES: "let this process write there",
    errno.EPERM: "let this process write there",
    errno.EEXIST: "let it be a folder",
    errno.ENOTDIR: "let it be a folder",
    errno.EFBIG: "let this process write larger files",
    errno.ENOLCK: "put it on a volume that has locks",
    errno.ENOTSUP: "put it on a volume that has locks",
}

_encoder = msgspec.json.Encoder()


class State(msgspec.Struct, frozen=True):
    """What became of the records offered so far: written, dropped and queued are all of them."""

    written: int
    dropped: dict[Reason, int]
    queued: int
    problem: str | None
    """What keeps records from being written, or old ones from being removed, and its cure."""
    removed: int = 0
    """Files that were removed for their age, or because all of them had too many bytes."""


class LogWriter:
    """Takes records from any thread and writes them to files of `folder` that begin with `prefix`.

    A file is done when it holds `rotate_bytes`, is `rotate_seconds` old or somebody erases records; files are removed
    that were begun more than `keep_seconds` ago, and the oldest while all of them are more than `keep_bytes`. No folder
    or file is made before there is a record.
    """

    def __init__(
        self,
        folder: Path,
        prefix: str,
        *,
        capacity: int = 100_000,
        rotate_bytes: int = 64_000_000,
        rotate_seconds: float = 3_600.0,
        keep_bytes: int = 1_000_000_000,
        keep_seconds: float = 90 * 86_400.0,
        flush_seconds: float = 1.0,
        retry_seconds: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take up to `capacity` records from now on, and write them once started; `clock` dates and ages the files.

        A disk that failed is tried again after `retry_seconds`.
        """
        self._process = secrets.token_hex(4)
        self._number = 0
        file_name(prefix, clock(), self._process, self._number)  # refuses a wrong prefix before anything is offered
        self._folder, self._prefix, self._clock = folder, prefix, clock
        self._rotate_bytes, self._rotate_seconds = rotate_bytes, rotate_seconds
        self._keep_bytes, self._keep_seconds = keep_bytes, keep_seconds
        # Often in its time: what is offered just after one flush is written by the next one, and a little is written
        # so quickly that nobody on the same core has to wait for it.
        self._pause, self._retry_seconds = flush_seconds / 10, retry_seconds
        # Kept by those who offer, under the lock:
        self._lock = threading.Lock()
        self._queue = deque[bytes]()
        """Whole lines, a record each."""
        self._capacity, self._much = capacity, min(MUCH, capacity // 2)
        self._accepted = self._full = self._unmade = 0
        # Kept by the thread, and only read by others:
        self._taken = self._written = self._failed = self._removed = 0
        self._file: OpenFile | None = None
        self._problem: str | None = None
        self._untidy: str | None = None
        self._event: tuple[float, str] | None = None
        self._forgotten = self._erasures()
        self._thread = threading.Thread(target=self._run, name=f"{prefix}-log", daemon=True)
        self._keeper = threading.Thread(target=self._keep, name=f"{prefix}-log-keeper", daemon=True)
        self._wake, self._finished, self._closing = threading.Event(), threading.Event(), threading.Event()
        self._given_up = False

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()
        self._keeper.start()

    def offer(self, make: Make, count: int = 1) -> bool:
        """Have `count` records written, which `make` returns at once; False where they are dropped.

        Never waits for the disk. Where too many wait, nothing is made. What `make` lacks of them, or raises, is counted
        as failed. It had better be a generator where there are hundreds, so that other threads have their turn.
        """
        # Others offer, too: once it is made it is looked at again, under the lock.
        room = self._waiting() + count <= self._capacity
        parts = self._lines(make, count) if room else []
        made = sum(part.count(b"\n") for part in parts)
        with self._lock:
            waiting = self._waiting() + count
            if not room or waiting > self._capacity:
                self._full += count
                return False
            self._accepted += made
            self._unmade += count - made
            self._queue.extend(parts)
        if waiting > self._much and not self._wake.is_set():
            self._wake.set()
        return True

    def state(self) -> State:
        """How it stands; all that was offered is in it, to the record."""
        # What is done with is read first: more may have been accepted by then, and is queued.
        written, failed = self._written, self._failed
        with self._lock:
            accepted, full, unmade = self._accepted, self._full, self._unmade
        dropped: dict[Reason, int] = {"full": full, "failed": failed + unmade}
        return State(written, dropped, accepted - written - failed, self._trouble(), self._removed)

    def close(self, seconds: float = 5.0) -> bool:
        """Take no more, write what waits and finish the file; False where that took longer, and the rest is dropped."""
        with self._lock:
            self._capacity = 0
        self._closing.set()
        self._wake.set()
        self._finished.set()
        if not self._thread.ident:
            self._drop()
            return True
        self._thread.join(seconds)
        self._given_up = self._thread.is_alive()
        return not self._given_up

    def _waiting(self) -> int:
        return self._accepted - self._written - self._failed

    def _trouble(self) -> str | None:
        if self._thread.ident and not self._thread.is_alive() and not self._closing.is_set():
            return f"the thread that writes the log in {self._folder} has ended: restart the service"
        if problem := self._problem or self._untidy:
            return problem
        event = self._event
        return event[1] if event and time.monotonic() - event[0] < TOLD_SECONDS else None

    def _tell(self, sentence: str) -> None:
        self._event = (time.monotonic(), sentence)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._flush()
            if self._problem:
                self._closing.wait(self._retry_seconds)
            else:
                self._wake.wait(self._pause)
                self._wake.clear()
        self._flush(last=True)

    def _flush(self, *, last: bool = False) -> None:
        """Write what waits, and finish the file where it is time."""
        # Looked up first: all that was offered before an erasure is in the file that is finished for it.
        erasures = self._erasures()
        try:
            self._write_all(try_out=self._problem is not None and not last)
            if self._file and (last or erasures != self._forgotten or self._is_old(self._file)):
                self._finish(self._file)
        except OSError as error:
            self._problem = (
                f"the log in {self._folder} cannot be written ({error.strerror or error}): "
                f"{_CURES.get(error.errno or 0, 'see to its volume')}; until then nothing is logged, "
                f"and it is tried again every {self._retry_seconds:g} s"
            )
            self._abandon()
            self._drop()
        else:
            # The last time nothing may have been tried.
            self._problem = self._problem if last else None
        # Of what was taken, all that was in the way of an error.
        self._failed = self._taken - self._written
        self._forgotten = erasures

    def _write_all(self, *, try_out: bool) -> None:
        if self._file and not self._file.is_there():
            self._tell(
                f"{self._file.path} was removed or moved while it was written, with what it held: "
                "let the log remove its files itself"
            )
            self._abandon()
        if try_out:
            self._file = self._file or self._begun()
            self._file.try_out()
        # What comes meanwhile has its turn next time.
        left = len(self._queue)
        while left and not self._given_up:
            parts, size = list[bytes](), 0
            while left and size < AT_ONCE:
                parts.append(self._queue.popleft())
                size += len(parts[-1])
                left -= 1
            content = b"".join(parts)
            self._taken += content.count(b"\n")
            self._write(content)
        if self._given_up:
            self._drop()

    def _lines(self, make: Make, count: int) -> list[bytes]:
        parts, part = list[bytes](), list[Record]()
        try:
            for record in islice(make(), count):
                part.append(record)
                if len(part) == PART:
                    parts.append(self._encoded(part))
                    part = []
        except Exception as error:  # whatever it is, no answer may fail with it
            self._tell(f"a record could not be made ({type(error).__name__}: {error}): this is a fault of ours")
        if part:
            parts.append(self._encoded(part))
        return parts

    def _encoded(self, records: list[Record]) -> bytes:
        try:
            content = _encoder.encode_lines(records)
        except (TypeError, ValueError, OverflowError, RecursionError):
            content = b"".join(map(self._encoded_alone, records))
        if len(content) > MOST_LINE:
            lines = content.splitlines(keepends=True)
            content = b"".join(line for line in lines if len(line) <= MOST_LINE)
            if any(len(line) > MOST_LINE for line in lines):
                self._tell(f"a record had more than {MOST_LINE:,} bytes and was dropped: bound what it is made of")
        return content

    def _encoded_alone(self, record: Record) -> bytes:
        try:
            return _encoder.encode_lines([record])
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            self._tell(f"a record could not be encoded ({type(error).__name__}: {error}): this is a fault of ours")
            return b""

    def _write(self, content: bytes) -> None:
        file = self._file = self._file or self._begun()
        before = file.lines
        try:
            file.write(content)
        finally:
            self._written += file.lines - before
        if file.size >= self._rotate_bytes:
            self._finish(file)

    def _begun(self) -> OpenFile:
        self._number += 1
        tries = 0
        while True:
            now = self._clock()
            name = file_name(self._prefix, now, self._process, self._number)
            if file := OpenFile.create(self._folder / (name + OPEN), now):
                return file
            # Another process took it before it was locked, and removes it, for it is empty. Its number is used again: a
            # gap would be told of as a loss. Another one is used where that process was killed in the midst of it.
            tries += 1
            if tries % TRIES == 0:
                self._number += 1
            time.sleep(TRY_SECONDS)

    def _is_old(self, file: OpenFile) -> bool:
        # A clock that is set back must not keep a file open for years.
        return not 0 <= self._clock() - file.started < self._rotate_seconds

    def _finish(self, file: OpenFile) -> None:
        self._file = None
        file.finish()
        self._finished.set()

    def _abandon(self) -> None:
        """Give the file up as it is: where it cannot be named now, `tidy` does so later."""
        if self._file:
            try:
                self._finish(self._file)
            except OSError as error:
                self._untidy = self._untold(error)

    def _drop(self) -> None:
        """Take what waits and write none of it."""
        while self._queue:
            self._taken += self._queue.popleft().count(b"\n")
        self._failed = self._taken - self._written

    def _keep(self) -> None:
        while not self._closing.is_set():
            self._finished.clear()
            try:
                self._removed += tidy(
                    self._folder,
                    self._prefix,
                    keep_bytes=self._keep_bytes,
                    keep_seconds=self._keep_seconds,
                    now=self._clock(),
                )
            except OSError as error:
                self._untidy = self._untold(error)
                self._closing.wait(self._retry_seconds)
            else:
                self._untidy = None
                self._finished.wait(TIDY_SECONDS)

    def _untold(self, error: OSError) -> str:
        cure = _CURES.get(error.errno or 0, "see to its volume")
        return f"files of the log in {self._folder} cannot be renamed or removed ({error.strerror or error}): {cure}"

    def _erasures(self) -> tuple[int, int] | None:
        """What changes when somebody erases records."""
        try:
            found = (self._folder / FORGOTTEN).stat()
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns
