"""A service that is killed while it answers: what its prediction log has lost, and what not."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from model_registry.listing import EXAMPLE
from model_registry.store import Registry
from prediction_log.files import log_files
from tests.api.server import serving
from tests.making import PROMOTE, publish
from tests.prediction_log.log import ids_and_cut

FLUSH = 1.0
"""Seconds: the service's own."""
CLIENTS = 4


def answered_until_killed(port: int, name: str) -> list[tuple[str, float]]:
    """The ids of the requests that were answered to one client, and when each answer was there."""
    answered = list[tuple[str, float]]()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        try:
            while True:
                id_ = f"{name}-{len(answered)}"
                client.post("/classify", json=EXAMPLE, headers={"X-Request-Id": id_}).raise_for_status()
                answered.append((id_, time.monotonic()))
        except httpx.TransportError:
            return answered


@pytest.mark.parametrize("kills", [pytest.param(5, marks=pytest.mark.slow), pytest.param(500, marks=pytest.mark.kills)])
def test_a_service_killed_under_load_has_logged_every_answer_but_those_of_its_last_second(
    kills: int, registry: Registry, tmp_path: Path
) -> None:
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    folder, chance = tmp_path / "predictions", random.Random(17)  # noqa: S311 (no secret)
    all_answered, all_lost, all_cut = 0, 0, 0
    for kill in range(kills):
        with (
            serving(registry.folder, tmp_path / "api.log", PREDICTION_LOG=str(folder)) as server,
            ThreadPoolExecutor(CLIENTS) as clients,
        ):
            asked = [
                clients.submit(answered_until_killed, server.port, f"{kill}-{client}") for client in range(CLIENTS)
            ]
            killing = threading.Timer(chance.uniform(0, 2.5 * FLUSH), server.process.kill)
            killing.start()
            while killing.is_alive() or server.process.poll() is None:
                ids_and_cut(folder)  # beside the service
                time.sleep(0.1)
            answered = {id_: at for one in asked for id_, at in one.result()}
        # An answer of after the kill cannot be: the last one's time is the latest that it can have been.
        killed = max(answered.values(), default=0.0)
        ids, cut = ids_and_cut(folder)
        found = set(ids)
        missing = {id_: at for id_, at in answered.items() if id_ not in found}
        assert [id_ for id_, at in missing.items() if at < killed - FLUSH] == []
        all_answered, all_lost, all_cut = all_answered + len(answered), all_lost + len(missing), all_cut + cut
        # The last one's file is left for the next service to take over.
        for file in log_files(folder):
            if not file.open:
                file.path.unlink()
    assert all_answered > 100 * kills
    print(f"{kills} kills: {all_answered:,} answers, {all_lost:,} of a last second lost, {all_cut} lines cut")  # noqa: T201
