"""The registry in a folder: a lock, and renames."""

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import msgspec

from model_registry import disk
from model_registry.classifier import MANIFEST_FILE, MOST_MANIFEST, PublishedModel, open_version
from model_registry.history import Champion, Event, read_champion, read_events, whole_lines
from model_registry.primitives import Present
from model_registry.shadow import Shadow, ShadowDamaged
from model_registry.store import (
    LIVE,
    MOST_FILE,
    MOST_LIVE,
    MOST_POINTER,
    Registry,
    utc_now,
    written,
)

PATIENCE = 30.0
"""Seconds that a writer waits for another."""


class FolderRegistry(Registry):
    """A registry in a folder of its own.

        versions/<candidate>-<12 hex digits>/    model.onnx, manifest.json, report.html; never changed
        champion.json                            the version in production; replaced by one rename
        history.jsonl                            one line per promotion, refusal and rollback
        shadow.json                              the version asked beside the champion, where there is one
        live/<version>.json                      how a version fares; replaced by one rename

    Writers take a lock that ends with their process. The champion's pointer is renamed first and the history
    line appended second; the pointer holds the whole event, so the next writer completes a history that a
    crash cut short, and every reader sees it complete before that.
    """

    def __init__(
        self,
        folder: Path,
        *,
        market: str | None = None,
        patience: float | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Open the registry in `folder` (made by the first writer); a writer waits `patience` seconds for another.

        With a `market` named, versions of any other are refused.
        """
        super().__init__(market=market, clock=clock)
        self._folder = folder
        self._patience = PATIENCE if patience is None else patience

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._folder

    @property
    def place(self) -> Path:
        """See Registry."""
        return self.folder

    def is_there(self) -> bool:
        """See Registry."""
        return self.folder.is_dir()

    def versions(self) -> list[str]:
        """See Registry."""
        try:
            return sorted(entry.name for entry in self._versions.iterdir() if entry.is_dir())
        except FileNotFoundError:
            return []

    def champion(self) -> Champion | None:
        """See Registry."""
        try:
            return read_champion(disk.read(self._pointer, MOST_POINTER))
        except FileNotFoundError:
            return None

    def history(self) -> list[Event]:
        """See Registry."""
        # The pointer is read first: a promotion between the two reads then shows in the lines themselves.
        champion = self.champion()
        return read_events(self._history_bytes(), champion)

    def open(self, version: str, *, compact: bool = False) -> PublishedModel:
        """See Registry."""
        return self._open(self.path(version), compact=compact)

    def file(self, version: str, name: str) -> bytes:
        """See Registry."""
        return disk.read(self.path(version) / name, MOST_MANIFEST if name == MANIFEST_FILE else MOST_FILE)

    def path(self, version: str) -> Path:
        """The folder of a published version; raises UnknownVersion."""
        if version not in self.versions():
            raise self._unknown(version)
        return self._versions / version

    def place_of(self, version: str) -> Path:
        """See Registry."""
        return self.path(version)

    def admit(self, version: str, files: dict[str, bytes]) -> None:
        """See Registry; it is there by one rename."""
        with self._writing():
            if version in self.versions():
                self._open(self._versions / version)
                return
            # The version's own name within a unique folder: `open_version` compares the name with the manifest.
            assembled = self._incoming / uuid4().hex / version
            assembled.mkdir(parents=True)
            for name, content in files.items():
                disk.write(assembled / name, content)
            disk.sync_folder(assembled)
            try:
                self._open(assembled)
                assembled.rename(self._versions / version)
                disk.sync_folder(self._versions)
            finally:
                self._sweep()

    def adopt(self, events: list[Event], shadow: Shadow | None) -> None:
        """See Registry."""
        with self._writing():
            for event in self._not_yet_here(events):
                self._append(event)
            leading = [event for event in events if event.action != "refusal"]
            if leading and self.champion() != Champion.of(leading[-1]):
                self._replace(self._pointer, Champion.of(leading[-1]))
            self._adopt_shadow(shadow)

    def prune(self, keep: int) -> list[str]:
        """See Registry."""
        with self._writing():
            known, protected = self.manifests()[0], self.protected()
            removed = [manifest.version for manifest in reversed(known[keep:]) if manifest.version not in protected]
            for version in removed:
                # Out of sight by one rename first: a reader never finds half a version.
                (self._versions / version).rename(self._incoming / f"pruned-{uuid4().hex}")
                disk.sync_folder(self._versions)
            self._sweep()
        return removed

    def ledgers(self) -> dict[str, bool]:
        """See Registry."""
        return {file.name: file.exists() for file in (self._pointer, self._history, self._shadow)}

    def live_bytes(self, version: str) -> bytes | None:
        """See Registry."""
        try:
            return disk.read(self.live_place(version), MOST_LIVE)
        except FileNotFoundError:
            return None

    def live_state(self, version: str) -> object:
        """See Registry."""
        try:
            found = self.live_place(version).stat()
        except OSError:
            return None  # nobody has looked yet, most likely
        return found.st_mtime_ns, found.st_size

    def live_place(self, version: str) -> Path:
        """See Registry."""
        return self.folder / LIVE / f"{version}.json"

    def put_live(self, version: str, content: bytes) -> None:
        """See Registry; by one rename."""
        self.path(version)
        target = self.live_place(version)
        folder = target.parent
        folder.mkdir(exist_ok=True)
        replacement = folder / f".{version}.{uuid4().hex}"
        try:
            disk.write(replacement, content)
            replacement.replace(target)
        finally:
            replacement.unlink(missing_ok=True)
        disk.sync_folder(folder)

    @property
    def _versions(self) -> Path:
        return self.folder / "versions"

    @property
    def _incoming(self) -> Path:
        return self.folder / "incoming"

    @property
    def _pointer(self) -> Path:
        return self.folder / "champion.json"

    @property
    def _history(self) -> Path:
        return self.folder / "history.jsonl"

    @property
    def _shadow(self) -> Path:
        return self.folder / "shadow.json"

    def _open(self, folder: Path, *, compact: bool = False) -> PublishedModel:
        return self._checked(open_version(folder, compact=compact))

    def _present(self) -> Present:
        champion, events = self.champion(), self.history()
        return Present(events[-1].sequence if events else 0, champion)

    def _problems_of_the_history(self) -> dict[str, str]:
        # A promotion may fall between the looks at the pointer and at the history; damage is there at the next look.
        return super()._problems_of_the_history() and super()._problems_of_the_history()

    def _record(self, event: Event) -> bool:
        if event.action != "refusal":
            self._replace(self._pointer, Champion.of(event))
        self._append(event)
        return True

    def _put_shadow(self, shadow: Shadow) -> None:
        self._replace(self._shadow, shadow)

    def _replace(self, pointer: Path, content: Champion | Shadow) -> None:
        replacement = self._incoming / f"{pointer.stem}-{uuid4().hex}.json"
        disk.write(replacement, written(content))
        replacement.replace(pointer)
        disk.sync_folder(self.folder)

    def _shadow_bytes(self) -> bytes | None:
        try:
            return disk.read(self._shadow, MOST_POINTER)
        except FileNotFoundError:
            return None

    def _remove_promoted_shadow(self) -> None:
        # One that cannot be read is for a person to look at, and keeps nobody from writing.
        with suppress(ShadowDamaged, OSError):
            if self._read_shadow() is not None and self.shadow() is None:
                self._remove_shadow()

    def _remove_shadow(self) -> None:
        self._shadow.unlink(missing_ok=True)
        disk.sync_folder(self.folder)

    def _append(self, event: Event) -> None:
        with self._history.open("ab") as file:
            file.write(msgspec.json.encode(event) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        disk.sync_folder(self.folder)

    def _history_bytes(self) -> bytes:
        try:
            return self._history.read_bytes()
        except FileNotFoundError:
            return b""

    @contextmanager
    def _writing(self, version: str | None = None) -> Generator[None]:  # noqa: ARG002 (whoever writes is alone)
        self._versions.mkdir(parents=True, exist_ok=True)
        self._incoming.mkdir(exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            disk.lock(lock.fileno(), self._patience, self.folder)
            self._sweep()
            self._complete_history()
            self._remove_promoted_shadow()
            yield

    def _sweep(self) -> None:
        # Only the holder of the lock writes here, so whatever is found was left by a writer that died.
        for leftover in self._incoming.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()

    def _complete_history(self) -> None:
        content = self._history_bytes()
        whole = whole_lines(content)
        if whole != content:
            os.truncate(self._history, len(whole))
        champion = self.champion()
        recorded = read_events(whole, None)
        if champion is not None and champion.sequence > (recorded[-1].sequence if recorded else 0):
            self._append(champion.event())
