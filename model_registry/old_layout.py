"""The registry folder from before there were several markets, and how it becomes that of one among them.

versions/, champion.json and history.jsonl lay in the folder itself, and so does what is written beside them before they
are taken over: shadow.json and live/. To take them over is to link and copy them into a hidden folder and to give that,
by one rename, the market's name. Only then the old ones go. Killed at any moment, the registry is the old one or the
new one; whatever is left of the old one beside the new is removed by the next writer.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from model_registry import disk
from model_registry.folder_store import FolderRegistry
from model_registry.history import HistoryDamaged
from model_registry.manifest import ManifestRefused
from model_registry.market import NEW_YORK
from model_registry.store import LIVE as _LIVE
from model_registry.store import UnknownVersion

_VERSIONS, _POINTER, _HISTORY, _SHADOW = "versions", "champion.json", "history.jsonl", "shadow.json"
_ASSEMBLING, _REMOVED = ".taking-over", ".taken-over"


class TwoRegistries(Exception):
    """Both layouts hold something for one market, and not the same."""


def market_of(folder: Path) -> str | None:
    """The market of the registry that lies in the folder itself; None where none does.

    It is what the champion's manifest says, or any version's; New York's where none can be read.
    """
    if not any((folder / part).exists() for part in (_POINTER, _HISTORY, _VERSIONS)):
        return None
    registry = FolderRegistry(folder)
    versions = registry.versions()
    with suppress(HistoryDamaged, OSError):
        champion = registry.champion()
        versions = [*([champion.version] if champion else []), *versions]
    for version in versions:
        with suppress(ManifestRefused, UnknownVersion):
            return registry.manifest(version).market.name
    return NEW_YORK.name


def take_over(folder: Path, patience: float) -> None:
    """Give a registry of the old layout the folder of its market; where none lies there, nothing is done.

    Waits `patience` seconds for another writer, then raises RegistryBusy. Raises TwoRegistries where the market has a
    registry already that holds something else.
    """
    hidden = [folder / _ASSEMBLING, folder / _REMOVED]
    if market_of(folder) is None and not any(leftover.exists() for leftover in hidden):
        return
    with (folder / ".lock").open("w") as lock:  # that of the old layout
        disk.lock(lock.fileno(), patience, folder)
        for leftover in hidden:
            shutil.rmtree(leftover, ignore_errors=True)
        market = market_of(folder)
        if market is None:
            return
        new = folder / market
        if not new.exists():
            _copy(folder, new)
        elif not _holds_all_of(FolderRegistry(folder), FolderRegistry(new)):
            raise TwoRegistries(
                f"the registry {folder} holds models of {market} in two places, {folder / _VERSIONS} and {new}, as "
                f"where an older version of this software has written to it since: move {_VERSIONS}, {_POINTER} and "
                f"{_HISTORY} out of {folder}, and take what is needed of them with `models import`"
            )
        _remove(folder)


def _copy(old: Path, new: Path) -> None:
    assembled = old / _ASSEMBLING / new.name
    (assembled / _VERSIONS).mkdir(parents=True)
    for version in FolderRegistry(old).versions():
        (assembled / _VERSIONS / version).mkdir()
        for file in (old / _VERSIONS / version).iterdir():
            _link(file, assembled / _VERSIONS / version / file.name)
        disk.sync_folder(assembled / _VERSIONS / version)
    disk.sync_folder(assembled / _VERSIONS)
    for name in (_POINTER, _HISTORY, _SHADOW):
        with suppress(FileNotFoundError):
            # No link: the old file must not change with the new one.
            disk.write(assembled / name, (old / name).read_bytes())
    if (old / _LIVE).is_dir():
        (assembled / _LIVE).mkdir()
        for file in (old / _LIVE).glob("*.json"):
            disk.write(assembled / _LIVE / file.name, file.read_bytes())
        disk.sync_folder(assembled / _LIVE)
    disk.sync_folder(assembled)
    assembled.rename(new)
    disk.sync_folder(old)
    (old / _ASSEMBLING).rmdir()


def _link(file: Path, to: Path) -> None:
    # A version never changes, so that it may well be the same file; not every file system can do that.
    try:
        os.link(file, to)
    except OSError:
        disk.write(to, file.read_bytes())


def _holds_all_of(old: FolderRegistry, new: FolderRegistry) -> bool:
    events = old.history()
    return set(old.versions()) <= set(new.versions()) and new.history()[: len(events)] == events


def _remove(folder: Path) -> None:
    # By renames, and in this order what is left is at each moment the beginning of what the new one holds. The versions
    # go last: they say of which market the rest is.
    removed = folder / _REMOVED / uuid4().hex
    removed.mkdir(parents=True)
    for part in (_LIVE, _SHADOW, _POINTER, _HISTORY, "incoming", _VERSIONS):
        with suppress(FileNotFoundError):
            (folder / part).rename(removed / part)
            disk.sync_folder(folder)
    shutil.rmtree(folder / _REMOVED)
