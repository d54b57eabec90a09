"""The registry folder: versions that never change, a pointer to the champion, and perhaps one to its shadow."""

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import msgspec

from model_registry import disk
from model_registry.classifier import (
    MANIFEST_FILE,
    MODEL_FILE,
    MOST_MANIFEST,
    REPORT_FILE,
    ModelRefused,
    PublishedModel,
    open_version,
)
from model_registry.history import (
    Action,
    Champion,
    Decision,
    Event,
    HistoryDamaged,
    champions,
    read_champion,
    read_events,
    whole_lines,
)
from model_registry.manifest import Manifest, ManifestRefused, digest, read_manifest, version_id, write_manifest
from model_registry.shadow import Shadow, ShadowDamaged, ShadowRefused, read_shadow

MOST_POINTER = 1_000_000
"""The largest pointer that is read, in bytes; one has a few hundred."""

PATIENCE = 30.0
"""Seconds that a writer waits for another."""


class UnknownVersion(Exception):
    """A version was named that the registry does not hold."""


class NothingToRollBackTo(Exception):
    """There is no champion before the present one."""


class ChampionChanged(Exception):
    """A decision was made about another champion than the present one."""


ANY = "any"
"""In place of a version: whichever it is."""


def utc_now() -> datetime:
    """The current time, with its zone."""
    return datetime.now(UTC)


class Registry:
    """A folder of one market's published models, safe to read at any moment and to kill a writer at any moment.

        versions/<candidate>-<12 hex digits>/    model.onnx, manifest.json, report.html; never changed
        champion.json                            the version in production; replaced by one rename
        history.jsonl                            one line per promotion, refusal and rollback
        shadow.json                              the version asked beside the champion, where there is one

    Writers take a lock that ends with their process. The champion's pointer is renamed first and the history
    line appended second; the pointer holds the whole event, so the next writer completes a history that a
    crash cut short, and every reader sees it complete before that. A shadow that became the champion is no
    shadow to any reader from that moment on; its pointer is removed last, or by the next writer.
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
        self._folder = folder
        self.market = market
        self._patience = PATIENCE if patience is None else patience
        self._clock = clock

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._folder

    def versions(self) -> list[str]:
        """The ids of all published versions, in alphabetical order."""
        try:
            return sorted(entry.name for entry in self._versions.iterdir() if entry.is_dir())
        except FileNotFoundError:
            return []

    def champion(self) -> Champion | None:
        """The pointer to the version in production, or None before the first promotion."""
        try:
            return read_champion(disk.read(self._pointer, MOST_POINTER))
        except FileNotFoundError:
            return None

    def shadow(self) -> Shadow | None:
        """The pointer to the version that is asked beside the champion, if there is one.

        Raises ShadowDamaged, and HistoryDamaged where it cannot be told which version is the champion.
        """
        # It is read before the champion: of a shadow that is promoted between the two reads, the champion tells.
        shadow = self._read_shadow()
        if shadow is None:
            return None
        champion = self.champion()
        return None if champion is not None and champion.version == shadow.version else shadow

    def history(self) -> list[Event]:
        """Every promotion, refusal and rollback, oldest first."""
        # The pointer is read first: a promotion between the two reads then shows in the lines themselves.
        champion = self.champion()
        return read_events(self._history_bytes(), champion)

    def open(self, version: str) -> PublishedModel:
        """A published model, verified; raises UnknownVersion or ModelRefused."""
        return self._open(self.path(version))

    def manifest(self, version: str) -> Manifest:
        """A version's manifest, checked against its own checksum; the model is not opened.

        Raises UnknownVersion or ManifestRefused.
        """
        file = self.path(version) / MANIFEST_FILE
        try:
            content = disk.read(file, MOST_MANIFEST)
        except OSError as error:
            raise ManifestRefused(
                f"its {MANIFEST_FILE} cannot be read ({error.strerror}): restore the version from a back-up or an "
                "exported archive"
            ) from error
        manifest = read_manifest(content)
        if problem := self._foreign(manifest):
            raise ManifestRefused(problem)
        return manifest

    def manifests(self) -> tuple[list[Manifest], dict[str, str]]:
        """The manifests of all versions, newest first, and for versions without a readable one the reason."""
        read, damaged = list[Manifest](), dict[str, str]()
        for version in self.versions():
            try:
                read.append(self.manifest(version))
            except ManifestRefused as error:
                damaged[version] = str(error)
        return sorted(read, key=lambda manifest: (manifest.created_at, manifest.version), reverse=True), damaged

    def path(self, version: str) -> Path:
        """The folder of a published version; raises UnknownVersion."""
        if version not in self.versions():
            raise UnknownVersion(f"the registry {self.folder} holds no version {version!r}: see `models list`")
        return self._versions / version

    def publish(self, draft: Manifest, model: bytes, report: bytes) -> str:
        """Store a model under its content-addressed id and return that id; the same model again changes nothing.

        The draft's version, creation time, file digests and checksum are filled in here. The version
        appears whole, by one rename, after its files are on disk and were opened and verified.
        """
        model_digest = digest(model)
        version = version_id(draft.candidate, model_digest.sha256)
        manifest = msgspec.structs.replace(
            draft, version=version, created_at=self._clock(), model=model_digest, report=digest(report)
        )
        self.admit(version, {MODEL_FILE: model, REPORT_FILE: report, MANIFEST_FILE: write_manifest(manifest)})
        return version

    def admit(self, version: str, files: dict[str, bytes]) -> None:
        """Store a version's files, whole and verified, by one rename; where it is there already, verify that one.

        Raises ModelRefused for files that do not belong together, and stores nothing then.
        """
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

    def promote(
        self, version: str, decision: Decision, *, run_id: str | None, actor: str, instead_of: str | None = ANY
    ) -> Champion:
        """Make a verified version the champion; where it is already, nothing changes.

        `instead_of` is the champion that the decision compared with (None: there was none). Raises
        ChampionChanged where there is another by now, because the decision says nothing about that one.
        """
        with self._writing():
            self.open(version)
            champion = self.champion()
            if champion is not None and champion.version == version:
                return champion
            present = champion.version if champion else None
            if instead_of not in (ANY, present):
                raise ChampionChanged(
                    f"{version} was compared with {instead_of or 'no champion'}, but {present or 'none'} is the "
                    "champion by now: decide again"
                )
            return self._point(self._event("promotion", version, decision, run_id, actor))

    def refuse(self, version: str, decision: Decision, *, run_id: str | None, actor: str) -> Event:
        """Record that a version was considered and the champion kept."""
        with self._writing():
            self.path(version)
            event = self._event("refusal", version, decision, run_id, actor)
            self._append(event)
            return event

    def rollback(self, to: str | None = None, *, decision: Decision, run_id: str | None = None, actor: str) -> Champion:
        """Make an earlier version the champion again: `to`, or else the one before the present champion.

        Raises NothingToRollBackTo where there is none before it, or where `to` is the champion already.
        """
        with self._writing():
            standing = champions(self.history())
            if to is None and not standing:
                raise NothingToRollBackTo("There is no champion yet: see `models list` for what could be promoted.")
            if to is None and len(standing) < 2:
                raise NothingToRollBackTo("There is no champion before the present one: see `models history`.")
            target = to if to is not None else standing[-2]
            if standing and target == standing[-1]:
                raise NothingToRollBackTo(f"{target} is the champion already: nothing to change.")
            self.open(target)
            return self._point(self._event("rollback", target, decision, run_id, actor))

    def set_shadow(self, version: str, *, reason: str, actor: str) -> Shadow:
        """Have a verified version asked beside the champion, in place of any other; if it is already, nothing changes.

        Raises ShadowRefused for the champion itself.
        """
        with self._writing():
            self.open(version)
            champion = self.champion()
            if champion is not None and champion.version == version:
                raise ShadowRefused(f"{version} is the champion: its shadow has to be another version.")
            with suppress(ShadowDamaged):
                present = self.shadow()
                if present is not None and present.version == version:
                    return present
            shadow = Shadow(version=version, set_at=self._clock(), actor=actor, reason=reason)
            self._replace(self._shadow, shadow)
            return shadow

    def clear_shadow(self) -> None:
        """Have no version asked beside the champion, whatever shadow.json holds."""
        with self._writing():
            self._remove_shadow()

    def protected(self) -> set[str]:
        """The champion, every version it could be rolled back to, and the shadow: these are never pruned."""
        shadow = self.shadow()
        return {*champions(self.history()), *([] if shadow is None else [shadow.version])}

    def prune(self, keep: int) -> list[str]:
        """Remove versions that are neither protected nor among the `keep` newest; their ids, oldest first.

        A version whose manifest cannot be read stays, for a person to look at.
        """
        with self._writing():
            known, protected = self.manifests()[0], self.protected()
            removed = [manifest.version for manifest in reversed(known[keep:]) if manifest.version not in protected]
            for version in removed:
                # Out of sight by one rename first: a reader never finds half a version.
                (self._versions / version).rename(self._incoming / f"pruned-{uuid4().hex}")
                disk.sync_folder(self._versions)
            self._sweep()
        return removed

    def problems(
        self, versions: list[str] | None = None, *, checked: Callable[[], None] = lambda: None
    ) -> dict[str, str]:
        """What is wrong with some versions, in words; with None, of all, of both pointers and of the history.

        By version, or by "champion.json", "history.jsonl" and "shadow.json"; empty if all is well. `checked` is called
        after each version.
        """
        found: dict[str, str] = {}
        for version in self.versions() if versions is None else versions:
            try:
                self.open(version)
            except ModelRefused as error:
                found[version] = str(error)
            checked()
        if versions is not None:
            return found
        return {**found, **self._problems_of_the_history(), **self._problems_of_the_shadow()}

    def _problems_of_the_history(self) -> dict[str, str]:
        try:
            champion, events = self.champion(), self.history()
        except HistoryDamaged as error:
            return {str(error).split(maxsplit=1)[0]: str(error)}
        found: dict[str, str] = {}
        standing = champions(events)
        named, led_to = champion.version if champion else None, standing[-1] if standing else None
        if named != led_to:
            found["champion.json"] = (
                f"champion.json names {named or 'no version'}, and the history leads to {led_to or 'none'}: restore "
                "both from the same back-up, or promote or roll back to another version and then to the right one"
            )
        elif champion is not None and champion.version not in self.versions():
            found["champion.json"] = (
                f"champion.json names {champion.version}, which is not among the versions: restore it from a back-up "
                "or an exported archive, or promote another"
            )
        if [event.sequence for event in events] != list(range(1, len(events) + 1)):
            found["history.jsonl"] = (
                "history.jsonl lacks a line or has one twice, for its numbers do not count up one by one: restore it "
                "from a back-up"
            )
        return found

    def _problems_of_the_shadow(self) -> dict[str, str]:
        try:
            shadow = self._read_shadow()
        except ShadowDamaged as error:
            return {"shadow.json": str(error)}
        if shadow is None or shadow.version in self.versions():
            return {}
        return {"shadow.json": f"shadow.json names {shadow.version}, which is not among the versions"}

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

    def _open(self, folder: Path) -> PublishedModel:
        published = open_version(folder)
        if problem := self._foreign(published.manifest):
            raise ModelRefused(f"version {folder.name} is refused: {problem}")
        return published

    def _foreign(self, manifest: Manifest) -> str | None:
        if self.market in (None, manifest.market.name):
            return None
        return (
            f"it is {manifest.market.name}'s, and this registry {self.market}'s: remove it, and take it into its own "
            "with `models import`"
        )

    def _event(self, action: Action, version: str, decision: Decision, run_id: str | None, actor: str) -> Event:
        champion, events = self.champion(), self.history()
        return Event(
            sequence=events[-1].sequence + 1 if events else 1,
            action=action,
            at=self._clock(),
            version=version,
            previous=champion.version if champion else None,
            decision=decision,
            run_id=run_id,
            actor=actor,
        )

    def _point(self, event: Event) -> Champion:
        champion = Champion.of(event)
        self._replace(self._pointer, champion)
        self._append(event)
        self._remove_promoted_shadow()
        return champion

    def _replace(self, pointer: Path, content: Champion | Shadow) -> None:
        replacement = self._incoming / f"{pointer.stem}-{uuid4().hex}.json"
        disk.write(replacement, msgspec.json.format(msgspec.json.encode(content), indent=2))
        replacement.replace(pointer)
        disk.sync_folder(self.folder)

    def _read_shadow(self) -> Shadow | None:
        try:
            return read_shadow(disk.read(self._shadow, MOST_POINTER))
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
    def _writing(self) -> Generator[None]:
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
