"""The registry in an object store: create-only objects, conditional writes, and no lock."""

import errno
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TypeVar

from model_registry.classifier import (
    MANIFEST_FILE,
    MODEL_FILE,
    MOST_MANIFEST,
    REPORT_FILE,
    ModelRefused,
    PublishedModel,
    most_of,
    verified,
)
from model_registry.history import Champion, Event, HistoryDamaged
from model_registry.manifest import FileDigest, digest
from model_registry.market import is_market_name
from model_registry.object_claims import CLAIMED_FOR, Claims
from model_registry.object_history import AT_ONCE, CURE, POINTER, ObjectHistory
from model_registry.object_seen import SeenObjects
from model_registry.registries import Shared
from model_registry.shadow import Shadow, ShadowDamaged, read_shadow
from model_registry.store import (
    LIVE,
    MOST_FILE,
    MOST_LIVE,
    MOST_POINTER,
    MarketRegistry,
    NotTheBeginning,
    Present,
    utc_now,
    written,
)
from storage.errors import StoreAway
from storage.objects import PROBES, Changed, Objects

_VERSIONS, _SHADOW = "versions", "shadow.json"
_NO_SHADOW = b"null"
"""In place of a shadow that became the champion: an object can be replaced on a condition, and not deleted."""
_ID = re.compile(r"[^/]*[^/.][^/]*")

_PROBED = set[str]()
"""The addresses that this process has tried out."""

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


class SharedObjects(Shared):
    """The registries of all markets beneath a URL: <url>/<market>/{versions, history, champion.json, ...}."""

    def __init__(self, url: str, *, patience: float, clock: Callable[[], datetime] = utc_now) -> None:
        """Look after a URL; a writer waits `patience` seconds where another one is removing its version."""
        self._objects, self._patience, self._clock = Objects(url), patience, clock
        self._known: dict[str, ObjectRegistry] = {}

    @property
    def place(self) -> str:
        """See Shared."""
        return self._objects.address

    def markets(self) -> list[str]:
        """See Shared."""
        return [name for name in self._objects.folders() if is_market_name(name)]

    def of(self, market: str) -> "ObjectRegistry":
        """See Shared; it is always the same, for it knows what it has read."""
        known = self._known.get(market)
        if known is None:
            made = ObjectRegistry(self._objects, market, patience=self._patience, clock=self._clock)
            known = self._known.setdefault(market, made)
        return known


class ObjectRegistry(MarketRegistry):
    """One market's registry beneath the URL of all.

        versions/<candidate>-<12 hex digits>/    model.onnx, report.html, manifest.json; created in this order, once
        history/<ten digits>.json                an event, created once: that is the decision
        champion.json                            the version in production, by the history; replaced on a condition
        shadow.json, live/<version>.json         as in a folder

    Of two writers that create the same event one wins, and the other decides again. A version is there with its
    manifest. Where a writer is killed before champion.json follows the history, readers of it are given the champion
    before until somebody writes, or repairs it.
    """

    _cure_of_the_pointer = CURE
    _gap_in_the_history = "history/ lacks an object, for its numbers do not count up one by one: restore it"

    def __init__(self, shared: Objects, market: str, *, patience: float, clock: Callable[[], datetime]) -> None:
        """Open the registry of a market; nothing is asked of the store before the first call."""
        super().__init__(market=market, clock=clock)
        self._shared, self._objects = shared, shared.at(market)
        self._seen = SeenObjects(self._objects)
        self._history = ObjectHistory(self._objects, self._seen)
        self._claims = Claims(self._objects, clock, patience)

    @property
    def place(self) -> str:
        """See Registry."""
        return self._objects.address

    def is_there(self) -> bool:
        """See Registry."""
        return bool(self._objects.folders())

    def versions(self) -> list[str]:
        """See Registry."""
        names = (entry.name.split("/") for entry in self._objects.entries(f"{_VERSIONS}/"))
        return sorted(parts[1] for parts in names if parts[2:] == [MANIFEST_FILE])

    def champion(self) -> Champion | None:
        """See Registry."""
        return self._history.champion()

    def history(self) -> list[Event]:
        """See Registry."""
        return self._history.events()

    def open(self, version: str) -> PublishedModel:
        """See Registry; raises StoreAway where nothing can be read, which says nothing of the version."""
        self._known(version)
        try:
            return self._checked(verified(version, lambda name, published: self._published(version, name, published)))
        except StoreAway:
            raise
        except FileNotFoundError as error:
            if error.filename == self._named(version, MANIFEST_FILE):
                raise self._unknown(version) from error
            raise ModelRefused(f"version {version} cannot be read: {error}") from error
        except OSError as error:
            raise ModelRefused(f"version {version} cannot be read: {error}") from error

    def file(self, version: str, name: str) -> bytes:
        """See Registry."""
        self._known(version)
        if name == MANIFEST_FILE:
            try:
                return self._objects.read(f"{_VERSIONS}/{version}/{name}", MOST_MANIFEST)
            except FileNotFoundError as error:
                raise self._unknown(version) from error
        if name == REPORT_FILE:
            return self._published(version, name, self.manifest(version).report)
        self.place_of(version)
        return self._objects.read(f"{_VERSIONS}/{version}/{name}", MOST_FILE)

    def place_of(self, version: str) -> str:
        """See Registry."""
        self._known(version)
        if not self._objects.exists(f"{_VERSIONS}/{version}/{MANIFEST_FILE}"):
            raise self._unknown(version)
        return f"{self.place}/{_VERSIONS}/{version}"

    def admit(self, version: str, files: dict[str, bytes]) -> None:
        """See Registry; its manifest comes last, and with that it is there."""
        self._known(version)
        with self._writing(version):
            if not self._objects.exists(f"{_VERSIONS}/{version}/{MANIFEST_FILE}"):
                self._checked(verified(version, lambda name, _: files[name]))
                self._create(version, files)
            self.open(version)

    def adopt(self, events: list[Event], shadow: Shadow | None) -> None:
        """See Registry."""
        with self._writing():
            own = self.history()
            if own != events[: len(own)]:
                raise NotTheBeginning
            for event in events[len(own) :]:
                if not self._history.record(event):
                    raise NotTheBeginning
            self._history.follow()
            self._adopt_shadow(shadow)

    def prune(self, keep: int) -> list[str]:
        """See Registry; what killed writers left more than an hour ago goes as well."""
        with self._writing():
            known, protected = self.manifests()[0], self.protected()
            found = [manifest.version for manifest in reversed(known[keep:]) if manifest.version not in protected]
            removed = [
                version for version in found if self._remove(version, lambda v=version: v not in self.protected())
            ]
            self._sweep()
        return removed

    def ledgers(self) -> dict[str, bool]:
        """See Registry."""
        return {
            POINTER: self._objects.exists(POINTER),
            "history": self._history.is_there(),
            _SHADOW: self._shadow_bytes() is not None,
        }

    def live_bytes(self, version: str) -> bytes | None:
        """See Registry."""
        return self._seen.read(f"{LIVE}/{version}.json", MOST_LIVE)

    def live_state(self, version: str) -> object:
        """See Registry."""
        with suppress(OSError):
            return self.live_bytes(version)
        return None

    def live_place(self, version: str) -> str:
        """See Registry."""
        return f"{self.place}/{LIVE}/{version}.json"

    def put_live(self, version: str, content: bytes) -> None:
        """See Registry."""
        with self._writing(version):
            self.place_of(version)
            self._put(f"{LIVE}/{version}.json", content)

    @contextmanager
    def _writing(self, version: str | None = None) -> Generator[None]:
        if self._shared.address not in _PROBED:
            self._shared.probe()
            _PROBED.add(self._shared.address)
        self._history.follow()
        self._remove_promoted_shadow()
        if version is None or not _ID.fullmatch(version):
            yield
        else:
            with self._claims.held(version):
                yield

    def _present(self) -> Present:
        return self._history.present()

    def _record(self, event: Event) -> bool:
        if not self._history.record(event):
            return False
        if event.action != "refusal":
            self._history.point(Champion.of(event))
        return True

    def _shadow_bytes(self) -> bytes | None:
        content = self._seen.read(_SHADOW, MOST_POINTER)
        return None if content == _NO_SHADOW else content

    def _put_shadow(self, shadow: Shadow) -> None:
        self._put(_SHADOW, written(shadow))

    def _remove_shadow(self) -> None:
        self._objects.delete(_SHADOW)

    def _remove_promoted_shadow(self) -> None:
        # Another shadow may be set meanwhile, and stays; so does one that cannot be read, for a person to look at.
        with suppress(ShadowDamaged, HistoryDamaged, Changed, OSError):
            there = self._objects.read_if_changed(_SHADOW, None, MOST_POINTER)
            if there is None or there.content == _NO_SHADOW:
                return
            if read_shadow(there.content).version == self._present().version:
                self._objects.replace(_SHADOW, _NO_SHADOW, there.tag)

    def _put(self, name: str, content: bytes) -> None:
        while True:
            with suppress(FileExistsError, Changed):
                try:
                    there = self._objects.read_if_changed(name, None)
                except FileNotFoundError:
                    self._objects.create(name, content)
                    return
                assert there is not None  # noqa: S101 (without a tag nothing is "not modified")
                self._objects.replace(name, content, there.tag)
                return

    def _known(self, version: str) -> None:
        if not _ID.fullmatch(version):
            raise self._unknown(version)

    def _named(self, version: str, name: str) -> str:
        return f"{self.place}/{_VERSIONS}/{version}/{name}"

    def _published(self, version: str, name: str, published: FileDigest | None) -> bytes:
        folder, most = f"{_VERSIONS}/{version}", most_of(published)
        if name != REPORT_FILE or published is None:
            return self._objects.read(f"{folder}/{name}", most)
        try:
            content = self._objects.read(f"{folder}/{name}", most)
            if digest(content) == published:
                return content
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EFBIG):
                raise
        # Its name was taken by a writer of the same model that was killed, or that this one outran; or it is damaged.
        with suppress(FileNotFoundError):
            return self._objects.read(f"{folder}/{_report(published)}", most)
        return self._objects.read(f"{folder}/{name}", most)

    def _create(self, version: str, files: dict[str, bytes]) -> None:
        path = f"{_VERSIONS}/{version}"
        try:
            self._objects.create(f"{path}/{MODEL_FILE}", files[MODEL_FILE])
        except FileExistsError as error:
            raise ModelRefused(
                f"version {version} is refused: there is another {MODEL_FILE} of that name, of no version: remove "
                f"{self._named(version, MODEL_FILE)}"
            ) from error
        report = files[REPORT_FILE]
        try:
            self._objects.create(f"{path}/{REPORT_FILE}", report)
        except FileExistsError:
            self._objects.create(f"{path}/{_report(digest(report))}", report)
        # Where another writer's manifest is there by now, that one's version is.
        with suppress(FileExistsError):
            self._objects.create(f"{path}/{MANIFEST_FILE}", files[MANIFEST_FILE])

    def _remove(self, version: str, may_be_removed: Callable[[], bool]) -> bool:
        """Remove a version, its manifest first, unless somebody writes about it or it may not be removed any more."""
        folder = f"{_VERSIONS}/{version}/"
        rest = [entry.name for entry in self._objects.entries(folder) if entry.name != folder + MANIFEST_FILE]
        return self._claims.remove(version, may_be_removed, [folder + MANIFEST_FILE, *rest])

    def _sweep(self) -> None:
        self._claims.sweep()
        long_ago = self._clock() - CLAIMED_FOR
        latest = dict[str, datetime]()
        for entry in self._objects.entries(f"{_VERSIONS}/"):
            version = entry.name.split("/")[1]
            latest[version] = max(latest.get(version, entry.at), entry.at)
        whole = set(self.versions())
        for version, at in latest.items():
            if version not in whole and at < long_ago:
                self._remove(version, lambda v=version: v not in self.versions())
        probes = [entry.name for entry in self._shared.entries(f"{PROBES}/") if entry.at < long_ago]
        self._shared.delete(*probes)

    def _each(self, make: Callable[[_Given], _Made], given: Iterable[_Given]) -> Iterator[_Made]:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            yield from threads.map(make, given)


def _report(published: FileDigest) -> str:
    stem, _, suffix = REPORT_FILE.rpartition(".")
    return f"{stem}-{published.sha256[:12]}.{suffix}"
