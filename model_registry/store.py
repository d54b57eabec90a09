"""A registry: versions that never change, a pointer to the champion, and perhaps one to its shadow.

What is the same wherever it lies. A folder's is in folder_store.py, an object store's in object_store.py.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from model_registry.classifier import MANIFEST_FILE, MODEL_FILE, REPORT_FILE, ModelRefused, PublishedModel
from model_registry.history import Action, Champion, Decision, Event, HistoryDamaged, champions
from model_registry.manifest import Manifest, ManifestRefused, digest, read_manifest, version_id, write_manifest
from model_registry.primitives import Present, Primitives
from model_registry.shadow import Shadow, ShadowDamaged, ShadowRefused, read_shadow
from storage.errors import StoreAway

MOST_POINTER = 1_000_000
"""The largest pointer that is read, in bytes; one has a few hundred."""
MOST_LIVE = 1_000_000
"""The largest file of live figures that is read, in bytes; one has some thousand."""

MOST_FILE = 2**30
"""The largest of a version's other files that is read unverified, in bytes."""

LIVE = "live"
"""Beneath it are the versions' live figures."""
VERSION_FILES = (MANIFEST_FILE, MODEL_FILE, REPORT_FILE)

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


class UnknownVersion(Exception):
    """A version was named that the registry does not hold."""


class NothingToRollBackTo(Exception):
    """There is no champion before the present one."""


class ChampionChanged(Exception):
    """A decision was made about another champion than the present one."""


class NotTheBeginning(Exception):
    """A registry's history is not the beginning of another's that it was to take over."""


ANY = "any"
"""In place of a version: whichever it is."""


def utc_now() -> datetime:
    """The current time, with its zone."""
    return datetime.now(UTC)


class Registry(Primitives):
    """One market's published models, safe to read at any moment and to kill a writer at any moment.

    Of two writers that decide at once one is first, and the other decides about what that one has left. A shadow that
    became the champion is no shadow to any reader from that moment on; its pointer is removed last, or by the next
    writer.
    """

    def __init__(self, *, market: str | None, clock: Callable[[], datetime]) -> None:
        """With a `market` named, versions of any other are refused."""
        self.market = market
        self._clock = clock

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

    def manifest(self, version: str) -> Manifest:
        """A version's manifest, checked against its own checksum; the model is not opened.

        Raises UnknownVersion or ManifestRefused.
        """
        try:
            content = self.file(version, MANIFEST_FILE)
        except StoreAway:
            raise
        except OSError as error:
            raise ManifestRefused(_unreadable(error)) from error
        manifest = read_manifest(content)
        if problem := self._foreign(manifest):
            raise ManifestRefused(problem)
        return manifest

    def manifests(self) -> tuple[list[Manifest], dict[str, str]]:
        """The manifests of all versions, newest first, and for versions without a readable one the reason."""

        def read_or_reason(version: str) -> Manifest | str | None:
            try:
                return self.manifest(version)
            except ManifestRefused as error:
                return str(error)
            except UnknownVersion:
                return None  # it was pruned since

        versions = self.versions()
        read, damaged = list[Manifest](), dict[str, str]()
        for version, found in zip(versions, self._each(read_or_reason, versions), strict=True):
            if isinstance(found, Manifest):
                read.append(found)
            elif found is not None:
                damaged[version] = found
        return sorted(read, key=lambda manifest: (manifest.created_at, manifest.version), reverse=True), damaged

    def publish(self, draft: Manifest, model: bytes, report: bytes) -> str:
        """Store a model under its content-addressed id and return that id; the same model again changes nothing.

        The draft's version, creation time, file digests and checksum are filled in here. The version
        appears whole, after its files were written, opened and verified.
        """
        model_digest = digest(model)
        version = version_id(draft.candidate, model_digest.sha256)
        manifest = msgspec.structs.replace(
            draft, version=version, created_at=self._clock(), model=model_digest, report=digest(report)
        )
        self.admit(version, {MODEL_FILE: model, REPORT_FILE: report, MANIFEST_FILE: write_manifest(manifest)})
        return version

    def promote(
        self, version: str, decision: Decision, *, run_id: str | None, actor: str, instead_of: str | None = ANY
    ) -> Champion:
        """Make a verified version the champion; where it is already, nothing changes.

        `instead_of` is the champion that the decision compared with (None: there was none). Raises
        ChampionChanged where there is another by now, because the decision says nothing about that one.
        """
        with self._writing(version):
            self.open(version)
            while True:
                present = self._present()
                if present.champion is not None and present.version == version:
                    return present.champion
                if instead_of not in (ANY, present.version):
                    raise ChampionChanged(
                        f"{version} was compared with {instead_of or 'no champion'}, but {present.version or 'none'} "
                        "is the champion by now: decide again"
                    )
                event = self._event(present, "promotion", version, decision, run_id, actor)
                if self._record(event):
                    break
            self._remove_promoted_shadow()
            return Champion.of(event)

    def refuse(self, version: str, decision: Decision, *, run_id: str | None, actor: str) -> Event:
        """Record that a version was considered and the champion kept."""
        with self._writing(version):
            self.place_of(version)
            while True:
                event = self._event(self._present(), "refusal", version, decision, run_id, actor)
                if self._record(event):
                    return event

    def rollback(self, to: str | None = None, *, decision: Decision, run_id: str | None = None, actor: str) -> Champion:
        """Make an earlier version the champion again: `to`, or else the one before the present champion.

        Raises NothingToRollBackTo where there is none before it, or where `to` is the champion already.
        """
        with self._writing(to):
            while True:
                present = self._present()
                standing = champions([event for event in self.history() if event.sequence <= present.sequence])
                if to is None and not standing:
                    raise NothingToRollBackTo("There is no champion yet: see `models list` for what could be promoted.")
                if to is None and len(standing) < 2:
                    raise NothingToRollBackTo("There is no champion before the present one: see `models history`.")
                target = to if to is not None else standing[-2]
                if standing and target == standing[-1]:
                    raise NothingToRollBackTo(f"{target} is the champion already: nothing to change.")
                self.open(target)
                event = self._event(present, "rollback", target, decision, run_id, actor)
                if self._record(event):
                    break
            self._remove_promoted_shadow()
            return Champion.of(event)

    def set_shadow(self, version: str, *, reason: str, actor: str) -> Shadow:
        """Have a verified version asked beside the champion, in place of any other; if it is already, nothing changes.

        Raises ShadowRefused for the champion itself.
        """
        with self._writing(version):
            self.open(version)
            if self._present().version == version:
                raise ShadowRefused(f"{version} is the champion: its shadow has to be another version.")
            with suppress(ShadowDamaged):
                present = self.shadow()
                if present is not None and present.version == version:
                    return present
            shadow = Shadow(version=version, set_at=self._clock(), actor=actor, reason=reason)
            self._put_shadow(shadow)
            return shadow

    def clear_shadow(self) -> None:
        """Have no version asked beside the champion, whatever shadow.json holds."""
        with self._writing():
            self._remove_shadow()

    def repair(self) -> None:
        """Complete what a killed writer left unfinished, as every writer does first."""
        with self._writing():
            pass

    def protected(self) -> set[str]:
        """The champion, every version it could be rolled back to, and the shadow: these are never pruned."""
        shadow = self.shadow()
        return {*champions(self.history()), *([] if shadow is None else [shadow.version])}

    def problems(
        self, versions: list[str] | None = None, *, checked: Callable[[], None] = lambda: None
    ) -> dict[str, str]:
        """What is wrong with some versions, in words; with None, of all, of both pointers and of the history.

        By version, or by the names of `ledgers`; empty if all is well. `checked` is called after each version.
        """
        found: dict[str, str] = {}
        for version in self.versions() if versions is None else versions:
            try:
                self.open(version)
            except ModelRefused as error:
                found[version] = str(error)
            except UnknownVersion:
                if versions is not None:
                    raise  # else it was pruned since
            checked()
        if versions is not None:
            return found
        return {**found, **self._problems_of_the_history(), **self._problems_of_the_shadow()}

    def _problems_of_the_history(self) -> dict[str, str]:
        history = list(self.ledgers())[1]
        try:
            champion, events = self.champion(), self.history()
        except HistoryDamaged as error:
            return {history if str(error).startswith(history) else "champion.json": str(error)}
        found: dict[str, str] = {}
        standing = champions(events)
        named, led_to = champion.version if champion else None, standing[-1] if standing else None
        if named != led_to:
            found["champion.json"] = (
                f"champion.json names {named or 'no version'}, and the history leads to {led_to or 'none'}: "
                f"{self._cure_of_the_pointer}"
            )
        elif champion is not None and champion.version not in self.versions():
            found["champion.json"] = (
                f"champion.json names {champion.version}, which is not among the versions: restore it from a back-up "
                "or an exported archive, or promote another"
            )
        if [event.sequence for event in events] != list(range(1, len(events) + 1)):
            found[history] = self._gap_in_the_history
        return found

    _cure_of_the_pointer = (
        "restore both from the same back-up, or promote or roll back to another version and then to the right one"
    )
    _gap_in_the_history = (
        "history.jsonl lacks a line or has one twice, for its numbers do not count up one by one: restore it from a "
        "back-up"
    )

    def _problems_of_the_shadow(self) -> dict[str, str]:
        try:
            shadow = self._read_shadow()
        except ShadowDamaged as error:
            return {"shadow.json": str(error)}
        if shadow is None or shadow.version in self.versions():
            return {}
        return {"shadow.json": f"shadow.json names {shadow.version}, which is not among the versions"}

    def _checked(self, published: PublishedModel) -> PublishedModel:
        """The model, if it is of this market."""
        if problem := self._foreign(published.manifest):
            raise ModelRefused(f"version {published.manifest.version} is refused: {problem}")
        return published

    def _foreign(self, manifest: Manifest) -> str | None:
        if self.market in (None, manifest.market.name):
            return None
        return (
            f"it is {manifest.market.name}'s, and this registry {self.market}'s: remove it, and take it into its own "
            "with `models import`"
        )

    def _unknown(self, version: str) -> UnknownVersion:
        return UnknownVersion(f"the registry {self.place} holds no version {version!r}: see `models list`")

    def _event(
        self, present: Present, action: Action, version: str, decision: Decision, run_id: str | None, actor: str
    ) -> Event:
        return Event(
            sequence=present.sequence + 1,
            action=action,
            at=self._clock(),
            version=version,
            previous=present.version,
            decision=decision,
            run_id=run_id,
            actor=actor,
        )

    def _read_shadow(self) -> Shadow | None:
        content = self._shadow_bytes()
        return None if content is None else read_shadow(content)

    def _not_yet_here(self, events: list[Event]) -> list[Event]:
        # Of another registry's history, what comes after this one's own.
        own = self.history()
        if own != events[: len(own)]:
            raise NotTheBeginning
        return events[len(own) :]

    def _adopt_shadow(self, shadow: Shadow | None) -> None:
        with suppress(ShadowDamaged):
            if self._read_shadow() == shadow:
                return
        if shadow is None:
            self._remove_shadow()
        else:
            self._put_shadow(shadow)

    def _each(self, make: Callable[[_Given], _Made], given: Iterable[_Given]) -> Iterator[_Made]:
        """What is made of each, in order; where that takes waiting, of several at once."""
        return map(make, given)


class MarketRegistry(Registry):
    """The registry of one market that all know by its name."""

    market: str


def written(pointer: Champion | Shadow) -> bytes:
    """The content of a pointer's file."""
    return msgspec.json.format(msgspec.json.encode(pointer), indent=2)


def _unreadable(error: OSError) -> str:
    return (
        f"its {MANIFEST_FILE} cannot be read ({error.strerror}): restore the version from a back-up or an exported "
        "archive"
    )
