"""The registry in an object store: create-only objects, conditional writes, and no lock."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import TypeVar

from model_registry.classifier import (
    MANIFEST_FILE,
    MODEL_FILE,
    ModelRefused,
    PublishedModel,
    verified,
)
from model_registry.history import Champion, Event, HistoryDamaged
from model_registry.market import is_market_name
from model_registry.object_claims import CLAIMED_FOR, Claims
from model_registry.object_history import CURE, POINTER, ObjectHistory
from model_registry.object_seen import SeenObjects
from model_registry.object_versions import ObjectVersions, is_id
from model_registry.primitives import Present
from model_registry.registries import Shared
from model_registry.shadow import Shadow, ShadowDamaged, read_shadow
from model_registry.store import (
    LIVE,
    MOST_LIVE,
    MOST_POINTER,
    MarketRegistry,
    NotTheBeginning,
    utc_now,
    written,
)
from storage.errors import StoreAway
from storage.objects import PROBES, Changed, Objects
from storage.waiting import each

_SHADOW = "shadow.json"
_NO_SHADOW = b"null"
"""In place of a shadow that became the champion: an object can be replaced on a condition, and not deleted."""
_LOOKS = 5
"""So often the pointer is compared with the history before it is told that it lags."""
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
        self._versions = ObjectVersions(self._objects, self._claims)

    @property
    def place(self) -> str:
        """See Registry."""
        return self._objects.address

    def is_there(self) -> bool:
        """See Registry."""
        return bool(self._objects.folders())

    def versions(self) -> list[str]:
        """See Registry."""
        return self._versions.ids()

    def champion(self) -> Champion | None:
        """See Registry."""
        return self._history.champion()

    def history(self) -> list[Event]:
        """See Registry."""
        return self._history.events()

    def open(self, version: str, *, compact: bool = False) -> PublishedModel:
        """See Registry; raises StoreAway where nothing can be read, which says nothing of the version."""
        self._see_that_it_is_an_id(version)
        try:
            return self._checked(verified(version, partial(self._versions.read, version), compact=compact))
        except StoreAway:
            raise
        except FileNotFoundError as error:
            if error.filename == f"{self._versions.place_of(version)}/{MANIFEST_FILE}":
                raise self._unknown(version) from error
            raise ModelRefused(f"version {version} cannot be read: {error}") from error
        except OSError as error:
            raise ModelRefused(f"version {version} cannot be read: {error}") from error

    def file(self, version: str, name: str) -> bytes:
        """See Registry."""
        if name == MANIFEST_FILE:
            self._see_that_it_is_an_id(version)
            try:
                return self._versions.read(version, name, None)
            except FileNotFoundError as error:
                raise self._unknown(version) from error
        manifest = self.manifest(version)
        return self._versions.read(version, name, manifest.model if name == MODEL_FILE else manifest.report)

    def place_of(self, version: str) -> str:
        """See Registry."""
        self._see_that_it_is_an_id(version)
        if not self._versions.is_there(version):
            raise self._unknown(version)
        return self._versions.place_of(version)

    def admit(self, version: str, files: dict[str, bytes]) -> None:
        """See Registry; its manifest comes last, and with that it is there."""
        self._see_that_it_is_an_id(version)
        with self._writing(version):
            if not self._versions.is_there(version):
                self._checked(verified(version, lambda name, _: files[name]))
                self._versions.create(version, files)
            self.open(version)

    def adopt(self, events: list[Event], shadow: Shadow | None) -> None:
        """See Registry."""
        with self._writing():
            for event in self._not_yet_here(events):
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
                version
                for version in found
                if self._versions.remove(version, lambda v=version: v not in self.protected())
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
        if version is None or not is_id(version):
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

    def _problems_of_the_history(self) -> dict[str, str]:
        # A writer may be between the history and the pointer: it is given the time to follow.
        for _ in range(_LOOKS - 1):
            found = super()._problems_of_the_history()
            if not found:
                return found
            time.sleep(0.1)
        return super()._problems_of_the_history()

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

    def _see_that_it_is_an_id(self, version: str) -> None:
        if not is_id(version):
            raise self._unknown(version)

    def _sweep(self) -> None:
        long_ago = self._clock() - CLAIMED_FOR
        self._claims.sweep()
        self._versions.sweep(long_ago)
        self._shared.delete(*(one.name for one in self._shared.entries(f"{PROBES}/") if one.at < long_ago))

    def _each(self, make: Callable[[_Given], _Made], given: Iterable[_Given]) -> Iterator[_Made]:
        return each(make, given)
