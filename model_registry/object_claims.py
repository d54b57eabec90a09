"""Who writes about a version keeps it from being removed: an object store has no lock for that.

A writer claims the version and then looks whether it is being removed; whoever removes it says so and then looks
whether it is claimed. One of the two sees the other, whatever is killed when, and gives way. What a killed process left
of either counts for nothing after a while.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from uuid import uuid4

from model_registry.disk import RegistryBusy
from storage.errors import StoreAway
from storage.objects import Objects

CLAIMED_FOR = timedelta(hours=1)
"""So long a claim lasts: longer than any write."""
REMOVED_WITHIN = timedelta(minutes=5)
"""So long the removal of a version may take; the clocks of the machines and of the store are closer than that."""
_BEGUN_WITHIN = 20.0
"""In so many seconds the removal has to have begun to delete, or it gives up."""
_CLAIMS, _REMOVALS = "claims", "removals"


class Claims:
    """The claims to one market's versions."""

    def __init__(self, objects: Objects, clock: Callable[[], datetime], patience: float) -> None:
        """A writer waits `patience` seconds for the removal of a version to end."""
        self._objects, self._clock, self._patience = objects, clock, patience

    @contextmanager
    def held(self, version: str) -> Generator[None]:
        """Keep a version from being removed; raises RegistryBusy where that is under way and does not end."""
        with self._said(f"{_CLAIMS}/{version}"):
            self._wait(version)
            yield

    def remove(self, version: str, may_be_removed: Callable[[], bool], names: list[str]) -> bool:
        """Delete a version's objects in this order, unless somebody claims it or it may not be removed any more."""
        begun = time.monotonic()
        with self._said(f"{_REMOVALS}/{version}"):
            if self._young(f"{_CLAIMS}/{version}/", CLAIMED_FOR) or not may_be_removed():
                return False
            if time.monotonic() - begun > _BEGUN_WITHIN:
                return False
            self._objects.delete(*names)
            return True

    def sweep(self) -> None:
        """Delete what killed processes left and counts no more."""
        for prefix, lasting in ((f"{_CLAIMS}/", CLAIMED_FOR), (f"{_REMOVALS}/", REMOVED_WITHIN)):
            # By one list: what is missing in an earlier one may have been made since.
            now = self._clock()
            self._objects.delete(*(one.name for one in self._objects.entries(prefix) if now - one.at >= lasting))

    @contextmanager
    def _said(self, what: str) -> Generator[None]:
        said = f"{what}/{uuid4().hex}"
        self._objects.create(said, b"")
        try:
            yield
        finally:
            with suppress(StoreAway):  # what is done is done, and this counts no more after a while
                self._objects.delete(said)

    def _wait(self, version: str) -> None:
        deadline = time.monotonic() + self._patience
        while self._young(f"{_REMOVALS}/{version}/", REMOVED_WITHIN):
            if time.monotonic() >= deadline:
                raise RegistryBusy(
                    f"{version} has been under removal from {self._objects.address} for {self._patience:g} s: try "
                    "again in five minutes, for the `models prune` that removed it may have been killed"
                )
            time.sleep(0.1)

    def _young(self, prefix: str, lasting: timedelta) -> list[str]:
        now = self._clock()
        return [entry.name for entry in self._objects.entries(prefix) if now - entry.at < lasting]
