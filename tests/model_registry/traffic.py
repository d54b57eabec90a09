"""Writers and readers for processes of their own; imports nothing that is slow to import."""

import random
import time
from multiprocessing.queues import Queue
from pathlib import Path

from model_registry.folder_store import FolderRegistry
from model_registry.history import Decision
from model_registry.manifest import Manifest

Models = list[tuple[Manifest, bytes]]
_DECISION = Decision(promote=True, reason="For the test.")


def write_for(seconds: float, folder: Path, models: Models, number: int, failures: "Queue[str]") -> None:
    """Publish, promote and refuse by chance."""
    registry, chance, end = FolderRegistry(folder), random.Random(number), time.monotonic() + seconds  # noqa: S311 (no secret)
    try:
        while time.monotonic() < end:
            manifest, model = chance.choice(models)
            version = registry.publish(manifest, model, b"report")
            if chance.random() < 0.7:
                registry.promote(version, _DECISION, run_id=None, actor=f"writer {number}")
            else:
                registry.refuse(version, _DECISION, run_id=None, actor=f"writer {number}")
    except Exception as error:
        failures.put(f"writer: {error!r}")


def read_for(seconds: float, folder: Path, failures: "Queue[str]") -> None:
    """Look at the champion and the history, all the time."""
    registry, end, seen = FolderRegistry(folder), time.monotonic() + seconds, 0
    try:
        while time.monotonic() < end:
            champion = registry.champion()
            assert champion is not None
            assert registry.open(champion.version).manifest.version == champion.version
            events = registry.history()
            assert [event.sequence for event in events] == list(range(1, len(events) + 1))
            assert len(events) >= seen
            seen = len(events)
    except Exception as error:
        failures.put(f"reader: {error!r}")
