"""What the project asks of an object store: whole objects, conditional writes, and errors in words.

obstore speaks to it, by the clients of storage/clients.py.
"""

import errno
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotModifiedError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from storage.clients import RETRY_SECONDS, Clients
from storage.errors import REFUSED, Changed, StoreAway, StoreRefuses, UnsafeStore, told
from storage.waiting import patiently

if TYPE_CHECKING:
    from obstore import GetResult, UpdateVersion

MOST = 4_000_000_000
"""The largest object that is read unless told otherwise, in bytes."""
CONFLICTS, CONFLICT_SECONDS = 8, 0.2
"""So often a conditional write is asked for that another one is in the way of, and so long after each time."""
PROBES = ".probe"
"""Where `probe` tries the store out."""


class Tag(NamedTuple):
    """What tells one content of an object from another."""

    e_tag: str | None
    version: str | None


class Content(NamedTuple):
    """An object as it was read."""

    content: bytes
    tag: Tag


class Entry(NamedTuple):
    """An object in a list: its name beneath the prefix of the `Objects`, its bytes, and when it was written."""

    name: str
    size: int
    at: datetime


class Objects:
    """The objects beneath a URL, by name; what is read of one is always one write's, whole.

    Nothing is asked of the store before the first call. Of any thread's use; raises StoreAway where the store does not
    do what it is asked.
    """

    def __init__(self, address: str, *, retry_seconds: float = RETRY_SECONDS) -> None:
        """Speak to the store of a URL: `s3://bucket/prefix`, gs:// or az://."""
        scheme, _, rest = address.partition("://")
        bucket, _, prefix = rest.strip("/").partition("/")
        self.address = f"{scheme}://{bucket}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        try:
            self._clients = Clients.of(f"{scheme}://{bucket}", retry_seconds)
        except BaseError as error:
            raise StoreAway(
                f"{self.address} cannot be used ({told(error)}): see to the variables that its store is set by"
            ) from error
        self._store = self._clients.quick

    def at(self, *names: str) -> "Objects":
        """The objects beneath a name, over the same connections."""
        beneath = object.__new__(Objects)
        beneath.address = "/".join([self.address, *names])
        beneath._prefix = self._prefix + "".join(f"{name}/" for name in names)
        beneath._clients, beneath._store = self._clients, self._store
        return beneath

    def read(self, name: str, most: int = MOST) -> bytes:
        """An object's content; raises FileNotFoundError, and OSError before reading one of more bytes than `most`."""
        content = self.read_if_changed(name, None, most)
        assert content is not None  # noqa: S101 (without a tag nothing is "not modified")
        return content.content

    @patiently
    def read_if_changed(self, name: str, tag: Tag | None, most: int = MOST) -> Content | None:
        """An object's content and tag, or None where `tag` is still that of its content; raises as `read` does."""
        with self._asked(name):
            try:
                found = obstore.get(
                    self._store, self._prefix + name, options={"if_none_match": tag.e_tag} if tag else None
                )
            except NotModifiedError:
                return None
            meta = found.meta
            if meta["size"] > most:
                raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes", self._named(name))
            return Content(bytes(found.bytes()), Tag(meta.get("e_tag"), meta.get("version")))

    def blocks(self, name: str, size: int = 1_000_000) -> Iterator[bytes]:
        """An object's content in blocks of about so many bytes; raises FileNotFoundError."""
        found = self._get(name)
        with self._asked(name):
            for block in found.stream(min_chunk_size=size):
                yield bytes(block)

    @patiently
    def _get(self, name: str) -> "GetResult":
        with self._asked(name):
            return obstore.get(self._store, self._prefix + name)

    def exists(self, name: str) -> bool:
        """Whether there is such an object."""
        return self.size(name) is not None

    @patiently
    def size(self, name: str) -> int | None:
        """An object's bytes, or None where there is none."""
        try:
            with self._asked(name):
                return obstore.head(self._store, self._prefix + name)["size"]
        except FileNotFoundError:
            return None

    @patiently
    def write(self, name: str, content: bytes) -> None:
        """Write an object, in place of any other of that name."""
        with self._asked(name):
            # In one request: an object of several parts would leave them behind where its writer is killed.
            obstore.put(self._clients.to_send(content), self._prefix + name, content, use_multipart=False)

    @patiently
    def create(self, name: str, content: bytes) -> Tag:
        """Write an object where there is none; raises FileExistsError, unless that one has the same content.

        So a writer that was not told of its success, and asks again, is told of it.
        """
        tag = self._put_in_place_of(None, name, content)
        if tag is None:
            raise FileExistsError(errno.EEXIST, "it is there already", self._named(name))
        return tag

    @patiently
    def replace(self, name: str, content: bytes, tag: Tag) -> Tag:
        """Write an object in place of the one with that tag; raises Changed where another is there, or none.

        Where that other one has the same content, it may have been written by this very request, and its tag is told.
        """
        new = self._put_in_place_of(tag, name, content)
        if new is None:
            raise Changed(f"{self._named(name)} is not any more what it was")
        return new

    def _put_in_place_of(self, before: Tag | None, name: str, content: bytes) -> Tag | None:
        """The tag of the object once it has this content, whoever wrote it; None where it is not `before` any more."""
        for _ in range(CONFLICTS):
            with self._asked(name):
                try:
                    put = obstore.put(
                        self._clients.to_send(content),
                        self._prefix + name,
                        content,
                        mode="create" if before is None else _update(before),
                        use_multipart=False,
                    )
                    return Tag(put["e_tag"], put["version"])
                except (AlreadyExistsError, PreconditionError):
                    pass
                except FileNotFoundError:
                    if before is None:
                        raise  # the bucket itself
            try:
                there = self.read_if_changed(name, None)
            except FileNotFoundError:
                there = None
            if there is not None and there.content == content:
                return there.tag
            if (None if there is None else there.tag) != before:
                return None
            # What was there still is. Amazon answers so (409) while another conditional write is under way, whoever
            # wins in the end.
            time.sleep(CONFLICT_SECONDS)
        raise StoreAway(
            f"{self._named(name)} cannot be written, for its store tells of another writer each time: see to who "
            "else writes there"
        )

    @patiently
    def delete(self, *names: str) -> None:
        """Remove objects; what is not there is no error."""
        for name in names:
            try:
                with self._asked(name):
                    obstore.delete(self._store, self._prefix + name)
            except FileNotFoundError:
                continue

    @patiently
    def entries(self, prefix: str = "", *, after: str | None = None) -> list[Entry]:
        """All objects whose names begin so, however deep, in the order of their names.

        Only those whose names come after another one, where one is given: the store lists no others.
        """
        return sorted(self.listed(prefix, after=after))

    def listed(self, prefix: str = "", *, after: str | None = None) -> Iterator[Entry]:
        """The same one by one as the store lists them, which is in the order of their names, and not waited for."""
        whole = self._prefix + prefix
        # The store lists beneath folders only: those that begin so are looked out of them.
        folder, _, _ = whole.rpartition("/")
        with self._asked(prefix):
            for batch in obstore.list(
                self._store, prefix=folder or None, offset=None if after is None else self._prefix + after
            ):
                for meta in batch:
                    if meta["path"].startswith(whole):
                        yield Entry(meta["path"].removeprefix(self._prefix), meta["size"], meta["last_modified"])

    @patiently
    def folders(self, *, beneath: str = "") -> list[str]:
        """The names up to the next slash of what is beneath a name, in alphabetical order."""
        folder = self._prefix + (f"{beneath}/" if beneath else "")
        with self._asked(beneath):
            found = obstore.list_with_delimiter(self._store, prefix=folder or None)
        return sorted(path.removeprefix(folder).rstrip("/") for path in found["common_prefixes"])

    def probe(self) -> None:
        """Try out that of two conditional writers one wins; raises UnsafeStore where both do.

        Some stores take the condition and do not keep it (SeaweedFS 4.16, RustFS, `rclone serve`).
        """
        name = f"{PROBES}/{uuid4().hex}"
        try:
            tag = self.create(name, b"first")
            if not self._is_refused(lambda: self.create(name, b"second"), FileExistsError):
                raise UnsafeStore(self._unsafe("to create one object"))
            self.replace(name, b"third", tag)
            if not self._is_refused(lambda: self.replace(name, b"fourth", tag), Changed):
                raise UnsafeStore(self._unsafe("to replace the same state of one object"))
        except NotSupportedError as error:
            raise UnsafeStore(f"{self.address} cannot be used, for its store has no conditional writes") from error
        finally:
            with suppress(StoreAway):  # of why it failed is told already
                self.delete(name)

    def _unsafe(self, what: str) -> str:
        return (
            f"{self.address} cannot be used: its store lets two writers win who both asked {what}. Take one that "
            "keeps the conditions of writes, as Amazon's, Google's and Azure's do, or SeaweedFS from 4.48 on"
        )

    @staticmethod
    def _is_refused(write: Callable[[], object], how: type[Exception]) -> bool:
        try:
            write()
        except how:
            return True
        return False

    def _named(self, name: str) -> str:
        return f"{self.address}/{name}" if name else self.address

    @contextmanager
    def _asked(self, name: str) -> Generator[None]:
        """Turn the store's errors into ours, with the address and the cure."""
        try:
            yield
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, "it is not there", self._named(name)) from error
        except NotSupportedError:
            raise
        except BaseError as error:
            said = told(error)
            if isinstance(error, PermissionDeniedError | UnauthenticatedError) or REFUSED.search(said):
                raise StoreRefuses(
                    f"{self._named(name)} is refused by its store ({said}): see to the credentials and what they may do"
                ) from error
            raise StoreAway(
                f"{self._named(name)} cannot be reached or its store fails ({said}): see to the store, the network "
                "and the variables that the store is set by"
            ) from error


def _update(tag: Tag) -> "UpdateVersion":
    """The condition that an object still has that tag: stores look at the one or the other half of it."""
    condition: UpdateVersion = {}
    if tag.e_tag is not None:
        condition["e_tag"] = tag.e_tag
    if tag.version is not None:
        condition["version"] = tag.version
    return condition
