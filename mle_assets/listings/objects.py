"""A snapshot on an object store: its content, or in one sentence why there is none. Loaded only for such a URL."""

import errno
import time
from typing import BinaryIO

from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.downloading import MOST_BYTES
from storage.errors import StoreAway
from storage.objects import Objects


def copy_object(source: str, file: BinaryIO, total_seconds: float) -> None:
    """Write what an object holds to a file; raises BadSnapshot where it does not arrive whole and in time."""
    objects, name = _named(source)
    received, deadline = 0, time.monotonic() + total_seconds
    try:
        for block in objects.blocks(name):
            received += len(block)
            if received > MOST_BYTES:
                raise BadSnapshot(source, f"is larger than {MOST_BYTES:,} bytes, the most that is read.")
            if time.monotonic() > deadline:
                raise BadSnapshot(
                    source,
                    f"takes longer than {total_seconds:g} s to arrive: fetch it by other means and give its path.",
                )
            file.write(block)
        file.flush()
    except FileNotFoundError as error:
        raise BadSnapshot(source, "is not there: check the address, its bucket and its name.") from error
    except StoreAway as error:
        if received:
            raise BadSnapshot(source, f"broke off after {received:,} bytes: try again. {error}.") from error
        raise BadSnapshot(source, f"cannot be fetched: {error}.") from error
    except OSError as error:
        reason = (
            "does not fit on the disk for temporary files: make room, or set TMPDIR to a folder on another disk."
            if error.errno == errno.ENOSPC
            else f"cannot be copied to the disk for temporary files ({error.strerror or error}): see to that disk."
        )
        raise BadSnapshot(source, reason) from error


def version(source: str) -> str:
    """What changes when an object does: when it was written, and its bytes; empty where it cannot be asked about."""
    try:
        objects, name = _named(source)
        found = next((entry for entry in objects.entries(name) if entry.name == name), None)
    except (BadSnapshot, OSError):
        return ""
    return f"{found.at.isoformat()} {found.size}" if found else ""


def _named(source: str) -> tuple[Objects, str]:
    scheme, _, rest = source.strip().partition("://")
    address, _, name = rest.rpartition("/")
    if not address.partition("/")[0] or not name:
        raise BadSnapshot(source, f"names no object: give {scheme.lower()}://bucket/name.")
    try:
        return Objects(f"{scheme.lower()}://{address}"), name
    except StoreAway as error:
        raise BadSnapshot(source, f"cannot be fetched: {error}.") from error
