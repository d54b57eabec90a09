"""What the registry asks of the disk: a lock, and writes that survive a crash."""

import errno
import fcntl
import os
import time
from pathlib import Path


class RegistryBusy(Exception):
    """Another process kept the registry's write lock for longer than a writer waits."""


def lock(descriptor: int, patience: float, folder: Path) -> None:
    """Take the exclusive lock of an open file; the system releases it with the process, however that ends.

    Raises RegistryBusy after `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise RegistryBusy(
                    f"another process has been writing to the registry {folder} for {patience:g} s: "
                    "try again when it is done"
                ) from None
            time.sleep(0.02)
        else:
            return


def write(path: Path, content: bytes) -> None:
    """Write a new file and wait until it is on the disk."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path, most: int) -> bytes:
    """A file of at most so many bytes; raises OSError for a larger one, as for one that cannot be read."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes", str(path))
    return content


def sync_folder(folder: Path) -> None:
    """Wait until what was created, renamed and removed in a folder is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
