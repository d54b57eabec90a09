"""Erasing what the log holds of a request or a listing.

What is forgotten is written down first, so that tables made from the log forget it as well, and so that an erasure that
was killed is completed by the next one. Processes that are writing notice it and finish their files; then every file
with such records is written anew without them, and put in its place by one rename.
"""

import errno
import fcntl
import io
import os
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, Literal

import msgspec

from prediction_log.files import FORGOTTEN, MOST_LINE, REWRITING, LogFile, log_files, opened, sync_folder, take_over
from prediction_log.reader import NOT_WHOLE, blocks
from prediction_log.record import Forgotten

PATIENCE = 30.0
"""Seconds that an erasure waits for processes that write, and for another erasure."""
SETTLE = 2.0
"""Seconds after which what was answered before is in a file: twice what writers take."""

Kind = Literal["prediction", "feedback", "damaged"]
FEEDBACK: Final[tuple[Kind, ...]] = ("feedback",)
KINDS: Final[tuple[Kind, ...]] = ("feedback", "prediction", "damaged")

_forgotten = msgspec.json.Decoder(Forgotten)
_encoder = msgspec.json.Encoder()


class LogBusy(Exception):
    """A process did not finish its file, or another erasure did not end; nothing was erased."""


class Erased(msgspec.Struct, frozen=True):
    """How many records an erasure removed, and from how many files."""

    predictions: int = 0
    feedback: int = 0
    damaged: int = 0
    """Lines that were not whole and named what is forgotten."""
    files: int = 0


class _NamedListing(msgspec.Struct):
    id: int | None = None


class _Named(msgspec.Struct):
    """What tells whose a line is, whatever its kind."""

    time: float
    request_id: str
    index: int | None = None
    listing: _NamedListing | None = None


_named = msgspec.json.Decoder(_Named)
_LISTING_ID = re.compile(rb'"id":\s*(-?[0-9]{1,19})\b')
_REQUEST_ID = re.compile(rb'"request_id":\s*("(?:[^"\\]|\\.)*")')


class Forgetting:
    """Which records are to be erased: those of a request, and those of a listing up to when it was forgotten.

    With a prediction goes what was told about it, so the predictions are to be asked about first. Of any thread's use.
    """

    def __init__(self, forgotten: Iterable[Forgotten]) -> None:
        """Erase what these name."""
        self._requests, self._listings = set[str](), dict[int, float]()
        self._answers = dict[str, set[int | None]]()
        for one in forgotten:
            if one.listing_id is not None:
                self._listings[one.listing_id] = max(one.time, self._listings.get(one.listing_id, 0.0))
                if one.request_id is not None:
                    self._answers.setdefault(one.request_id, set()).add(one.index)
            elif one.request_id is not None:
                self._requests.add(one.request_id)
        self.learned = dict[tuple[str, int | None], Forgotten]()
        """The answers about such listings that were asked about since, as they are written down for others."""
        self.lock = threading.Lock()
        """Held by whoever changes or takes what was learned."""

    def erases_prediction(self, time: float, request_id: str, index: int | None, listing_id: int | None) -> bool:
        """Whether the prediction is to be erased; if so, its feedback is from now on."""
        listing_forgotten = listing_id is not None and time <= self._listings.get(listing_id, -1.0)
        if listing_forgotten:
            with self.lock:
                if index not in (answers := self._answers.setdefault(request_id, set())):
                    answers.add(index)
                    # As of when that listing was forgotten: what is answered about it later is nobody's to erase.
                    until = self._listings[listing_id or 0]
                    self.learned[request_id, index] = Forgotten(until, request_id, listing_id, index)
        return listing_forgotten or request_id in self._requests

    def erases_feedback(self, request_id: str, index: int | None) -> bool:
        """Whether the feedback is to be erased.

        One without an index may be about any listing of its request, and any may be about a request of one listing.
        """
        answers = self._answers.get(request_id, ())
        return request_id in self._requests or bool(answers and (index is None or index in answers or None in answers))

    def names(self, damaged: bytes) -> bool:
        """Whether a line that cannot be read names what is forgotten."""
        requests, listings = set[str](), {int(id_) for id_ in _LISTING_ID.findall(damaged)}
        for text in _REQUEST_ID.findall(damaged):
            with suppress(*NOT_WHOLE):
                requests.add(msgspec.json.decode(text, type=str))
        answers = any(self.erases_feedback(request, None) for request in requests)
        return answers or not self._listings.keys().isdisjoint(listings)


def read_forgotten(folder: Path) -> list[Forgotten]:
    """All that was ever forgotten, in order; tables made from the log are to forget it, too."""
    try:
        return decoded((folder / FORGOTTEN).read_bytes())
    except FileNotFoundError:
        return []


def decoded(content: bytes) -> list[Forgotten]:
    """What the lines of FORGOTTEN say; one that was cut off says nothing."""
    found = list[Forgotten]()
    for line in content.split(b"\n"):
        with suppress(*NOT_WHOLE):
            found.append(_forgotten.decode(line))
    return found


def forget(
    folder: Path,
    *,
    request_id: str | None = None,
    listing_id: int | None = None,
    patience: float = PATIENCE,
    settle: float = SETTLE,
    clock: Callable[[], float] = time.time,
) -> Erased:
    """Erase the records of a request, or those of a listing so far, with the feedback to them, from all files.

    All that was forgotten earlier is erased as well, where anything of it is left. Waits `settle` seconds for what is
    on its way to a file, and up to `patience` for those who write. Raises LogBusy where they do not finish their files:
    then nothing was erased, and it is to be done again. Raises OSError where a file cannot be written.
    """
    if (request_id is None) == (listing_id is None):
        raise ValueError("the id of a request or that of a listing is needed, and not both")
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / FORGOTTEN, patience) as file:
        _append(file, Forgotten(clock(), request_id, listing_id))
        for left in folder.glob(f"*.jsonl{REWRITING}"):
            left.unlink()
        time.sleep(settle)
        forgetting = Forgetting(read_forgotten(folder))
        _learn(folder, forgetting, patience)
        counts, rewritten = Counter[Kind](), set[str]()
        # Feedback first: the predictions tell whose it is, also to the next erasure when this one is killed.
        for kinds in (FEEDBACK, KINDS):
            for log_file in log_files(folder):
                if not log_file.open and (erased := _erase(log_file, forgetting, kinds)):
                    counts += erased
                    rewritten.add(log_file.name)
            sync_folder(folder)
    return Erased(counts["prediction"], counts["feedback"], counts["damaged"], len(rewritten))


@contextmanager
def _locked(path: Path, patience: float) -> Generator[BinaryIO]:
    deadline = time.monotonic() + patience
    with path.open("a+b", buffering=0) as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LogBusy(
                        f"another process erases records in {path.parent}: try again when it is done"
                    ) from None
                time.sleep(0.02)
        yield file


def _append(file: BinaryIO, forgotten: Forgotten) -> None:
    """Add a line and wait until it is on the disk."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - 1))
    # One that was killed, or had no room, may have left a part of a line.
    begin = b"" if file.read(1) in (b"", b"\n") else b"\n"
    file.write(begin + _encoder.encode(forgotten) + b"\n")
    os.fsync(file.fileno())


def _learn(folder: Path, forgetting: Forgetting, patience: float) -> None:
    """Look whose answers are to be erased, and wait until no file that is still written holds anything of them."""
    learned, deadline = set[str](), time.monotonic() + patience
    while True:
        for file in log_files(folder):
            if file.open:
                take_over(file)
        found = log_files(folder)
        for file in found:
            if file.name not in learned:
                for line in _lines(file):
                    erased_as(line, forgetting)
        learned = {file.name for file in found if not file.open}
        held = [file.path.name for file in found if file.open and _holds(file, forgetting, KINDS)]
        if not held:
            return
        if time.monotonic() >= deadline:
            raise LogBusy(
                f"{' and '.join(held)} in {folder} is still written by a process that does not finish it: nothing was "
                "erased, though it is written down; do it again when that process answers or is gone"
            )
        time.sleep(0.1)


def erased_as(line: bytes, forgetting: Forgetting) -> Kind | None:
    """What a line is that is to be erased; None for one that is to be kept."""
    try:
        named = _named.decode(line) if len(line) <= MOST_LINE else None
    except NOT_WHOLE:
        named = None
    if named is None:
        return "damaged" if forgetting.names(line) else None
    if named.listing is not None:
        erased = forgetting.erases_prediction(named.time, named.request_id, named.index, named.listing.id)
        return "prediction" if erased else None
    return "feedback" if forgetting.erases_feedback(named.request_id, named.index) else None


def _holds(file: LogFile, forgetting: Forgetting, kinds: Sequence[Kind]) -> bool:
    return any(erased_as(line, forgetting) in kinds for line in _lines(file))


def _lines(file: LogFile) -> Iterator[bytes]:
    """The lines of a file with their ends; none where it was removed."""
    if stream := opened(file):
        with stream:
            for block in blocks(stream):
                yield from io.BytesIO(block)


def _erase(file: LogFile, forgetting: Forgetting, kinds: Sequence[Kind]) -> Counter[Kind]:
    """Put the file without the lines of these kinds that are to be erased in its place; how many those are."""
    erased = Counter[Kind]()
    if not _holds(file, forgetting, kinds):
        return erased
    rewriting = file.path.with_name(file.name + REWRITING)
    try:
        with rewriting.open("xb") as kept:
            for line in _lines(file):
                kind = erased_as(line, forgetting)
                if kind and kind in kinds:
                    erased[kind] += 1
                else:
                    kept.write(line)
            kept.flush()
            os.fsync(kept.fileno())
        try:
            before = file.path.stat()
            # Whoever might read and remove the file still may.
            shutil.copystat(file.path, rewriting)
            with suppress(PermissionError):
                os.chown(rewriting, before.st_uid, before.st_gid)
            if rewriting.stat().st_size:
                rewriting.replace(file.path)
            else:
                file.path.unlink()
        except FileNotFoundError as error:
            if file.path.exists():
                raise FileNotFoundError(
                    errno.ENOENT, f"it was removed before it took the place of {file.name}: erase again", str(rewriting)
                ) from error
            return Counter()  # one that was removed meanwhile stays removed
    finally:
        rewriting.unlink(missing_ok=True)
    return erased
