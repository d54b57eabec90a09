"""Files of the log from a spool on this machine to an object store, beside those who write them.

One thread uploads what is done and removes it here, the oldest first, and last what failed before. While the store is
away the spool fills up to what its writers keep, and nobody waits: neither answers nor flushes know of the store. What
a process uploaded that was killed before it removed it is found there by the next one, whoever that is.
"""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from prediction_log.files import FEEDBACK, PREDICTIONS, LogFile, log_files
from storage.errors import UnsafeStore

if TYPE_CHECKING:
    from prediction_log.object_log import ObjectLog

LOOK_SECONDS = 1.0
"""So often the spool is looked into."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""After a failure it is tried again so soon, then twice as late each time, up to the latter."""
KEEP_BYTES = 10_000_000_000
"""So much is kept of each kind on the store, of all processes together."""
KEEP_SECONDS = 90 * 86_400.0
TIDY_SECONDS = 3_600.0
RETRY_SECONDS = 2.0
"""For so long one request is tried again before it is a failure."""
MOST_IN_A_ROW = 3
"""So many files that fail one after another end a round: of a store that is away not every file need wait for it."""


class UploadState(msgspec.Struct, frozen=True):
    """How the uploads stand."""

    uploaded: int
    waiting: int
    """Files that are done and wait here."""
    problem: str | None
    """What keeps them from being uploaded, and its cure."""


class Uploads:
    """Uploads what is done in a spool, until closed."""

    def __init__(
        self,
        spool: Path,
        address: str,
        *,
        keep_bytes: int = KEEP_BYTES,
        keep_seconds: float = KEEP_SECONDS,
        first_pause: float = FIRST_PAUSE,
        clock: Callable[[], float] = time.time,
        passed: Callable[[], float] = time.monotonic,
    ) -> None:
        """Upload from a folder to the log at a URL, once started, by a clock and by the time that passes."""
        self._spool, self._address, self._clock, self._passed = spool, address, clock, passed
        self._keep_bytes, self._keep_seconds = keep_bytes, keep_seconds
        self._first_pause = self._pause = first_pause
        # Kept by the thread, and only read by others:
        self._uploaded = self._waiting = 0
        self._problem: str | None = None
        self._failed = set[str]()
        # Many processes begin together: they need not all list the store together.
        self._tidy_at = passed() + random.uniform(0.1, 1) * TIDY_SECONDS  # noqa: S311 (no secret)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-uploads", daemon=True)

    def start(self) -> None:
        """Begin to upload."""
        self._thread.start()

    def state(self) -> UploadState:
        """How it stands."""
        problem = self._problem
        if self._thread.ident and not self._thread.is_alive() and not self._closing.is_set():
            problem = f"the thread that uploads the log from {self._spool} has ended: restart the service"
        return UploadState(self._uploaded, self._waiting, problem)

    def close(self, seconds: float = 5.0) -> bool:
        """Upload what is done by now, if the store takes it at once; False where that took longer.

        What is left is uploaded by the next process that has this spool.
        """
        self._closing.set()
        if self._thread.ident:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        # Imported here: whoever logs to a folder loads no client of an object store.
        from prediction_log.object_log import ObjectLog
        from storage.objects import Objects

        log: ObjectLog | None = None
        while True:
            last = self._closing.is_set()
            try:
                if log is None and self._done():
                    objects = Objects(self._address, retry_seconds=RETRY_SECONDS)
                    objects.probe()
                    log = ObjectLog(objects)
                if log is not None:
                    error = self._upload_all(log)
                    self._tidy(log)
                    if error:
                        raise error
            except (OSError, UnsafeStore) as error:
                self._problem = (
                    f"files of the log wait in {self._spool} to be uploaded ({error}); it is tried again at least "
                    f"every {LONGEST_PAUSE:g} s, and meanwhile they are kept there"
                )
                pause = self._pause
                self._pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._problem, pause, self._pause = None, LOOK_SECONDS, self._first_pause
            if last:
                return
            self._closing.wait(pause)

    def _done(self) -> list[LogFile]:
        done = [file for file in log_files(self._spool) if not file.open and file.prefix in (PREDICTIONS, FEEDBACK)]
        self._waiting = len(done)
        return done

    def _upload_all(self, log: "ObjectLog") -> OSError | None:
        """Upload what is done; the first error, for one file that cannot go keeps no other waiting."""
        done = self._done()
        self._failed.intersection_update(file.name for file in done)
        first: OSError | None = None
        in_a_row = 0
        # What failed before comes last: a few that the store never takes would use up the failures of every round.
        for file in sorted(done, key=lambda file: file.name in self._failed):
            try:
                content = file.path.read_bytes()
            except FileNotFoundError:
                self._waiting -= 1  # removed by its writer, for there are too many, or uploaded by another process
                continue
            except OSError as error:
                first = first or error  # one that this user may not read costs the store nothing
                continue
            try:
                log.upload(file, content)
                file.path.unlink(missing_ok=True)
            except OSError as error:
                first = first or error
                self._failed.add(file.name)
                in_a_row += 1
                if in_a_row == MOST_IN_A_ROW:
                    break
            else:
                in_a_row = 0
                self._uploaded += 1
                self._waiting -= 1
        return first

    def _tidy(self, log: "ObjectLog") -> None:
        # By the time that passes: a clock that was ahead at first and is set right would put it off for as long.
        if self._passed() >= self._tidy_at and not self._closing.is_set():
            log.tidy(keep_bytes=self._keep_bytes, keep_seconds=self._keep_seconds, now=self._clock())
            self._tidy_at = self._passed() + TIDY_SECONDS
