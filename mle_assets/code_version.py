"""Which code made an asset: a version that changes with the source, so that the UI shows what is stale."""

import hashlib
from pathlib import Path


def code_version(file: str) -> str:
    """The first 12 hex digits of the SHA-256 over the Python sources in the folder that `file` is in."""
    sources = sorted(Path(file).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:12]
