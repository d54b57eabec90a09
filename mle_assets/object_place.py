"""A place on an object store, each content one object. Loaded only where a setting is a URL."""

import errno
import io
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Self

from mle_assets.places import Place, Seen
from storage.errors import Changed, StoreAway
from storage.objects import Objects


class ObjectPlace(Place):
    """The objects beneath a URL."""

    def __init__(self, objects: Objects) -> None:
        """Lie beneath the URL of these."""
        self.objects, self.address = objects, objects.address

    @classmethod
    def of(cls, address: str) -> Self:
        """The place of a URL."""
        return cls(_objects(address))

    def at(self, *names: str) -> "ObjectPlace":
        """The place beneath a name, over the same connections."""
        return ObjectPlace(self.objects.at(*names))

    def read(self, name: str) -> bytes:
        """An object's content."""
        return self.objects.read(name)

    def source(self, name: str) -> io.BytesIO:
        """An object's content, all of it, so that it is one write's."""
        return io.BytesIO(self.read(name))

    def write(self, name: str, content: bytes) -> None:
        """Write an object by one request."""
        try:
            self.objects.write(name, content)
        except FileNotFoundError as error:
            raise StoreAway(
                f"{self.shown(name)} cannot be written, for its bucket is not there: make it, or name another"
            ) from error

    def see(self, name: str) -> Seen:
        """What an object holds, and its tag."""
        try:
            found = self.objects.read_if_changed(name, None)
        except FileNotFoundError:
            found = None
        return Seen(found.content, found.tag) if found else Seen(None, None)

    def replace(self, name: str, content: bytes, seen: Seen) -> None:
        """Write an object by one request that the store refuses where another is there by now.

        No lock of a store ends with its process, so nobody has a place on one to himself: this is what is done instead.
        """
        try:
            if seen.content is None:
                self.objects.create(name, content)
            else:
                self.objects.replace(name, content, seen.tag)
        except (Changed, FileExistsError) as error:
            raise OSError(
                errno.EBUSY, f"{self.shown(name)} was written by another run meanwhile; run it again"
            ) from error

    def remove(self, name: str) -> None:
        """Remove an object."""
        self.objects.delete(name)

    def exists(self, name: str) -> bool:
        """Whether there is such an object."""
        return self.objects.exists(name)

    def names(self) -> list[str]:
        """The objects that have no slash in the rest of their names."""
        return [entry.name for entry in self.objects.entries() if "/" not in entry.name]

    def places(self) -> list[str]:
        """What the rests of names have before a slash."""
        return self.objects.folders()

    def shown(self, name: str = "") -> str:
        """The URL."""
        return f"{self.address}/{name}" if name else self.address

    def alone(self) -> AbstractContextManager[object]:
        """Nobody is; see `replace`."""
        return nullcontext()


@cache
def _objects(address: str) -> Objects:
    """One client for each URL of a setting: it keeps its connections, and each new one would open its own."""
    return Objects(address)
