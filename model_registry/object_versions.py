"""The versions in an object store: their files, each created once, the manifest last."""

import errno
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from model_registry.classifier import MANIFEST_FILE, MODEL_FILE, REPORT_FILE, ModelRefused, most_of
from model_registry.manifest import FileDigest, digest
from model_registry.object_claims import Claims
from storage.objects import Objects

_VERSIONS = "versions"
_ID = re.compile(r"[^/]*[^/.][^/]*")


def is_id(version: str) -> bool:
    """Whether a version may be called so: its name is a part of names."""
    return _ID.fullmatch(version) is not None


class ObjectVersions:
    """One market's versions; one is there with its manifest."""

    def __init__(self, objects: Objects, claims: Claims) -> None:
        """Nothing is asked of the store before the first call."""
        self._objects, self._claims = objects, claims

    def ids(self) -> list[str]:
        """All that are there, in alphabetical order."""
        names = (entry.name.split("/") for entry in self._objects.entries(f"{_VERSIONS}/"))
        return sorted(parts[1] for parts in names if parts[2:] == [MANIFEST_FILE])

    def is_there(self, version: str) -> bool:
        """Whether one is there."""
        return self._objects.exists(f"{_VERSIONS}/{version}/{MANIFEST_FILE}")

    def place_of(self, version: str) -> str:
        """Where one is, if it is there."""
        return f"{self._objects.address}/{_VERSIONS}/{version}"

    def read(self, version: str, name: str, published: FileDigest | None) -> bytes:
        """A version's file, not read where it is larger than what was published under its name."""
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

    def create(self, version: str, files: dict[str, bytes]) -> None:
        """Write a version's files, the manifest last; what is of the same content already is left.

        Raises ModelRefused where another model is there.
        """
        path = f"{_VERSIONS}/{version}"
        try:
            self._objects.create(f"{path}/{MODEL_FILE}", files[MODEL_FILE])
        except FileExistsError as error:
            raise ModelRefused(
                f"version {version} is refused: there is another {MODEL_FILE} of that name, of no version: remove "
                f"{self.place_of(version)}/{MODEL_FILE}"
            ) from error
        report = files[REPORT_FILE]
        try:
            self._objects.create(f"{path}/{REPORT_FILE}", report)
        except FileExistsError:
            self._objects.create(f"{path}/{_report(digest(report))}", report)
        # Where another writer's manifest is there by now, that one's version is.
        with suppress(FileExistsError):
            self._objects.create(f"{path}/{MANIFEST_FILE}", files[MANIFEST_FILE])

    def remove(self, version: str, may_be_removed: Callable[[], bool]) -> bool:
        """Remove a version, its manifest first, unless somebody writes about it or it may not be removed any more."""
        folder = f"{_VERSIONS}/{version}/"
        rest = [entry.name for entry in self._objects.entries(folder) if entry.name != folder + MANIFEST_FILE]
        return self._claims.remove(version, may_be_removed, [folder + MANIFEST_FILE, *rest])

    def sweep(self, long_ago: datetime) -> None:
        """Remove what was left before then of versions that have no manifest."""
        latest = dict[str, datetime]()
        for entry in self._objects.entries(f"{_VERSIONS}/"):
            version = entry.name.split("/")[1]
            latest[version] = max(latest.get(version, entry.at), entry.at)
        whole = set(self.ids())
        for version, at in latest.items():
            if version not in whole and at < long_ago:
                self.remove(version, lambda v=version: not self.is_there(v))


def _report(published: FileDigest) -> str:
    stem, _, suffix = REPORT_FILE.rpartition(".")
    return f"{stem}-{published.sha256[:12]}.{suffix}"
