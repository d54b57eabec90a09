"""The snapshots that lie in the watched folder, or beneath the watched URL, and why what else is there is none."""

import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mle_assets.listings.content import ENDINGS

KNOWN_ENDINGS = ", ".join(ENDINGS)
_SETTLED_SECONDS = 5


class Arrived(NamedTuple):
    """A snapshot: its name in the folder, its market, its path or URL, and what changes when its content does."""

    name: str
    market: str
    source: str
    state: str


class Arrivals(NamedTuple):
    """The snapshots that are there, and why each other entry is none."""

    snapshots: list[Arrived]
    left_alone: dict[str, str]


def look_into_folders(address: str, watched: Mapping[str, str]) -> Arrivals:
    """The snapshots in a folder and in those in it; `watched` names the market of each, "" is the folder itself."""
    now, folder = time.time(), Path(address)
    places = {folder / name: market for name, market in watched.items()}
    arrivals = Arrivals([], {})
    for place, market in places.items():
        found = look_into(place, now)
        for file, state in found.settled.items():
            name, told = str(file.relative_to(folder)), f"{state.st_size}:{state.st_mtime_ns}"
            arrivals.snapshots.append(Arrived(name, market, str(file), told))
        arrivals.left_alone.update(
            (str(file.relative_to(folder)), reason) for file, reason in found.left_alone.items() if file not in places
        )
    return arrivals


def look_at_store(address: str, watched: Mapping[str, str]) -> Arrivals:
    """The same beneath a URL, listed at once. An object is there whole or not at all; raises StoreAway."""
    from storage.objects import Objects  # here: whoever has folders needs no client of a store

    objects, arrivals = Objects(address), Arrivals([], {})
    for entry in objects.entries():
        place, _, name = entry.name.rpartition("/")
        reason = _of_the_name(name) if place in watched else "in a folder, and no market's"
        if reason:
            arrivals.left_alone[entry.name] = reason
        else:
            state = f"{entry.size}:{entry.at.isoformat()}"
            arrivals.snapshots.append(Arrived(entry.name, watched[place], f"{objects.address}/{entry.name}", state))
    return arrivals


@dataclass(frozen=True)
class Found:
    """What lies in a folder: the snapshots with their states, and why each other entry is none."""

    settled: dict[Path, os.stat_result]
    left_alone: dict[Path, str]


def look_into(folder: Path, now: float) -> Found:
    """The snapshots of a folder that have not changed for some seconds (a copy may be under way), and the rest."""
    settled, left_alone = dict[Path, os.stat_result](), dict[Path, str]()
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        try:
            state = file.stat()
        except FileNotFoundError:
            left_alone[file] = "no longer there, or a link to nothing"
            continue
        reason = _why_not(file, state, now)
        if reason:
            left_alone[file] = reason
        else:
            settled[file] = state
    return Found(settled, left_alone)


def _why_not(file: Path, state: os.stat_result, now: float) -> str | None:
    if file.name.startswith("."):
        return "hidden"
    if stat.S_ISDIR(state.st_mode):
        return "a folder, and no market's"
    if not stat.S_ISREG(state.st_mode):
        return "no file"
    if reason := _of_the_name(file.name):
        return reason
    return "changed a moment ago" if now - state.st_mtime < _SETTLED_SECONDS else None


def _of_the_name(name: str) -> str | None:
    if name.startswith("."):
        return "hidden"
    return None if name.lower().endswith(ENDINGS) else f"its name ends in none of {KNOWN_ENDINGS}"
