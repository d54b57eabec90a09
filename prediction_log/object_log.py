"""The log on an object store: files that are done, each one object, and what was erased. Loaded only with a URL.

    <url>/predictions/predictions-<UTC start>-<process>-<number>.jsonl
    <url>/feedback/feedback-<UTC start>-<process>-<number>.jsonl
    <url>/forgotten.jsonl

Files are uploaded by those who wrote them (prediction_log/uploading.py), so records may come long after they were
erased here. So an erasure is first written down in FORGOTTEN: whoever uploads leaves out what it names, and looks again
after having uploaded; whoever reads applies it. An object is changed by erasures only, each by a conditional request.
"""

import io
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec

from prediction_log.erasing import Erased, Forgetting, Kind, erased_as
from prediction_log.files import FEEDBACK, FORGOTTEN, PREDICTIONS, LogFile, log_file, surplus
from prediction_log.logs import Erasures, erasures
from prediction_log.reader import Read, blocks, read_blocks
from prediction_log.record import Forgotten
from storage.errors import Changed
from storage.objects import Content, Entry, Objects, Tag
from storage.waiting import each

PREFIXES = (PREDICTIONS, FEEDBACK)
MOST_FILE = 1_000_000_000
"""Bytes of the largest object that is read; files are done when they have some millions."""
WAIT_SECONDS = 900.0
"""Files are uploaded every minute, by each process: the tables are brought up to date when some have come together."""
AT_ONCE = 16
"""Files that are fetched at the same time: of small ones, nearly all the time is spent waiting for the store."""
SKEW_SECONDS = 5.0
"""By so much the clocks of machines may differ: what was answered before an erasure is erased all the same."""

_encoder = msgspec.json.Encoder()


class ObjectLog:
    """The log beneath a URL; raises StoreAway where the store does not do what it is asked."""

    wait_seconds = WAIT_SECONDS
    at_once = AT_ONCE

    def __init__(self, objects: Objects) -> None:
        """Lie beneath the URL of these."""
        self.objects, self.address = objects, objects.address
        self._forgotten: Content | None = None

    @classmethod
    def of(cls, address: str) -> "ObjectLog":
        """The log of a URL."""
        return cls(_objects(address))

    def files(self, since: float = 0.0) -> list[LogFile]:
        """The files begun since a moment, the oldest first."""
        found = list[LogFile]()
        for prefix in PREFIXES:
            first = datetime.fromtimestamp(since, UTC).strftime("%Y%m%dT%H%M%S")
            found += _of_log(self.objects.entries(f"{prefix}/", after=f"{prefix}/{prefix}-{first}"))
        return sorted(found, key=lambda file: (file.started, file.process, file.number))

    def read(self, file: LogFile) -> Iterator[Read]:
        """The records of a file; nothing where it was removed."""
        with suppress(FileNotFoundError):
            content = self.objects.read(name_of(file), MOST_FILE)
            yield from read_blocks(file, io.BytesIO(content))

    def erasures(self) -> Erasures:
        """What was forgotten; asked of the store each time, and sent by it only where it has changed."""
        return erasures(self._read_forgotten().content)

    def _read_forgotten(self) -> Content:
        before = self._forgotten
        try:
            found = self.objects.read_if_changed(FORGOTTEN, before.tag if before else None)
        except FileNotFoundError:
            return Content(b"", Tag(None, None))
        if found is not None:
            self._forgotten = before = found
        assert before is not None  # noqa: S101 (only what was read before is not read again)
        return before

    def write_down(self, forgotten: Iterable[Forgotten]) -> None:
        """Add to what was forgotten, whoever else does so meanwhile."""
        lines = b"".join(_encoder.encode(one) + b"\n" for one in forgotten)
        while True:
            there = self._read_forgotten()
            # Written by this very request, whose answer was lost, it is there.
            if lines in there.content:
                return
            with suppress(Changed, FileExistsError):
                if there.tag == Tag(None, None):
                    self.objects.create(FORGOTTEN, lines)
                else:
                    self.objects.replace(FORGOTTEN, there.content + lines, there.tag)
                return

    def forget(
        self,
        *,
        request_id: str | None = None,
        listing_id: int | None = None,
        clock: Callable[[], float] = time.time,
        skew: float = SKEW_SECONDS,
    ) -> Erased:
        """Erase the records of a request, or those of a listing so far, with the feedback to them, from all files.

        What was forgotten earlier is erased as well, where anything of it is left. What is still to be uploaded is left
        out when it is. `skew` is by how many seconds the clocks of those who answer may be ahead of this one.
        """
        if (request_id is None) == (listing_id is None):
            raise ValueError("the id of a request or that of a listing is needed, and not both")
        self.write_down([Forgotten(clock() + skew, request_id, listing_id)])
        forgetting = Forgetting(self.erasures().forgotten)
        files = self.files()

        def learn(file: LogFile) -> None:
            with suppress(FileNotFoundError):
                without(self.objects.read(name_of(file), MOST_FILE), forgetting)

        # Whose the feedback is, only the answers say: so it is known, and written down, before any of them is gone.
        for _ in each(learn, [file for file in files if file.prefix == PREDICTIONS]):
            pass
        self._write_down_learned(forgetting)
        counts, rewritten = Counter[Kind](), 0
        for erased in each(lambda file: self.erase(file, forgetting), files):
            counts += erased
            rewritten += bool(erased)
        return Erased(counts["prediction"], counts["feedback"], counts["damaged"], rewritten)

    def _write_down_learned(self, forgetting: Forgetting) -> None:
        # Who finds nothing left to be written down goes on to erase: so it is there by then, whoever writes it.
        with forgetting.lock:
            if forgetting.learned:
                self.write_down(forgetting.learned.values())
                forgetting.learned.clear()

    def erase(self, file: LogFile, forgetting: Forgetting) -> Counter[Kind]:
        """Put a file without what is to be erased in its place, or remove it where nothing is left."""
        name = name_of(file)
        while True:
            try:
                found = self.objects.read_if_changed(name, None, MOST_FILE)
            except FileNotFoundError:
                return Counter()
            assert found is not None  # noqa: S101 (without a tag nothing is "not modified")
            kept, erased = without(found.content, forgetting)
            self._write_down_learned(forgetting)
            if not erased:
                return erased
            with suppress(Changed):
                if kept:
                    self.objects.replace(name, kept, found.tag)
                else:
                    # Whoever changed it meanwhile erased from it, too.
                    self.objects.delete(name)
                return erased

    def upload(self, file: LogFile, content: bytes) -> None:
        """Have a file's lines in the log, once, but those that are forgotten; nothing where none is left."""
        known = self.erasures()
        kept, _ = without(content, forgetting := Forgetting(known.forgotten))
        self._write_down_learned(forgetting)
        there_before = not kept
        try:
            if kept:
                self.objects.create(name_of(file), kept)
        except FileExistsError:
            there_before = True
        after = self.erasures()
        # One that was there was uploaded by somebody who was killed before he removed it, and it may hold what was
        # forgotten since. And an erasure of meanwhile may have listed the files before this one was there.
        if there_before or after.digest != known.digest:
            self.erase(file, Forgetting(after.forgotten))

    def tidy(self, *, keep_bytes: int, keep_seconds: float, now: float) -> int:
        """Remove what is older or more than is kept of each kind, oldest first; how many files that were."""
        removed = 0
        for prefix in PREFIXES:
            # Listed twice, for there may be more of them than are to be held at once; the oldest come first.
            size = sum(file.size for file in _of_log(self.objects.listed(f"{prefix}/")))
            for file in surplus(_of_log(self.objects.listed(f"{prefix}/")), size, keep_bytes, now - keep_seconds):
                self.objects.delete(name_of(file))
                removed += 1
        return removed


def name_of(file: LogFile) -> str:
    """The name of a file's object."""
    return f"{file.prefix}/{file.name}"


def without(content: bytes, forgetting: Forgetting) -> tuple[bytes, Counter[Kind]]:
    """A file's lines without those that are to be erased, and how many those are."""
    kept, erased = list[bytes](), Counter[Kind]()
    for block in blocks(io.BytesIO(content)):
        for line in io.BytesIO(block):
            if kind := erased_as(line, forgetting):
                erased[kind] += 1
            else:
                kept.append(line)
    return b"".join(kept), erased


def _of_log(entries: Iterable[Entry]) -> Iterator[LogFile]:
    for entry in entries:
        file = log_file(Path(entry.name), entry.size)
        if file and not file.open and name_of(file) == entry.name:
            yield file


@cache
def _objects(address: str) -> Objects:
    return Objects(address)
