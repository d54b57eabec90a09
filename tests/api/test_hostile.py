"""What the service bears with nothing in front of it: slow, rude and broken peers, by the hundred.

`make test-hostile` runs these; the single cases of each kind are in test_connections.py.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

import httpx
import pytest

from model_registry.listing import EXAMPLE
from model_registry.store import Registry
from tests.api.server import Server, serving
from tests.making import PROMOTE, publish
from tests.waiting import until

pytestmark = pytest.mark.hostile

SECONDS = 8.0
"""How long each kind goes on while others are served."""
GRACE = 8
# Short, so that a test sees each of them at work.
SHORT = {
    "HEAD_SECONDS": "2",
    "BODY_SECONDS": "2",
    "ANSWER_SECONDS": "3",
    "IDLE_SECONDS": "3",
    "GRACE_SECONDS": str(GRACE),
    "ACCESS_LOG": "false",
}
MOST_MEGABYTES = 350
"""The process has about 110 MB at rest; BUFFER_LIMIT adds 64 that are held, and as much again while they are read."""


@pytest.fixture
def server(registry: Registry, tmp_path: Path) -> Iterator[Server]:
    """A service with a champion, its deadlines short."""
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    with serving(registry.folder, tmp_path / "api.log", **SHORT) as running:
        yield running


@contextmanager
def peers(kind: str, port: int, count: int) -> Iterator[dict[str, int]]:
    """So many hostile peers of a kind, from a process of their own; afterwards what they saw."""
    command = [sys.executable, str(Path(__file__).parent / "hostile.py"), kind, "127.0.0.1", str(port), str(count)]
    saw: dict[str, int] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        try:
            process.stdout.readline()
            yield saw
            process.terminate()
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()  # one that does not end by itself
    saw.update(json.loads(said))


def megabytes(process: int) -> float:
    """The memory that a process has resident."""
    [line] = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def sockets(process: int) -> int:
    """The sockets that a process has open; a descriptor that it closes while they are counted is none."""
    found = 0
    for file in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += str(file.readlink()).startswith("socket:")
    return found


def ready(client: httpx.Client) -> bool:
    """Whether it says so; asked once more where the client's idle connection had to go for the sake of another one."""
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return client.get("/readyz").status_code == 200


class Others:
    """Well-behaved clients, asking all the time: some keep a connection, some come anew each time."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/classify"
        self.served, self.denied, self.seconds = 0, list[str](), list[float]()
        self._done = Event()

    def _ask(self, client: httpx.Client, *, kept: bool) -> None:
        start = time.monotonic()
        try:
            answer = client.post(self.url, json=EXAMPLE)
        except httpx.TransportError as error:
            if kept:  # an idle connection may have to go for the sake of another: its client opens one more
                self._ask(client, kept=False)
            else:
                self.denied.append(repr(error))
            return
        self.seconds.append(time.monotonic() - start)
        if answer.status_code == 200:
            self.served += 1
        else:
            self.denied.append(answer.text)

    def _keep(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._done.is_set():
                self._ask(client, kept=True)

    def _come_anew(self) -> None:
        while not self._done.is_set():
            with httpx.Client(timeout=10) as client:
                self._ask(client, kept=False)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask as long as the context is open."""
        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask) for ask in (self._keep, self._keep, self._come_anew, self._come_anew)]
            try:
                yield
            finally:
                self._done.set()
            for one in asking:
                one.result()

    def share(self) -> float:
        """The share that was served."""
        return self.served / (self.served + len(self.denied))


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("idle", 5_000),
        ("kept", 3_000),
        ("dripping_head", 2_000),
        ("slow_body", 400),
        ("slow_batch", 40),
        ("large_head", 20),
        ("large_trailer", 20),
        ("large_body", 20),
        ("unread", 60),
        ("nested", 10),
        ("half_closed", 50),
        ("vanishing", 200),
        ("upgrading", 50),
        ("pipelined", 100),
    ],
)
def test_others_are_served_memory_is_bounded_nothing_stays_open_and_it_ends_in_time(
    kind: str, count: int, server: Server
) -> None:
    process, others, most = server.process.pid, Others(server.port), 0.0
    rest, open_before = megabytes(process), sockets(process)
    with peers(kind, server.port, count) as saw, others.asking():
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            most = max(most, megabytes(process))
            assert ready(server.client)
            time.sleep(0.1)
    slowest = sorted(others.seconds)[int(0.99 * len(others.seconds))]
    print(  # noqa: T201 (the purpose of `make test-hostile`)
        f"\n   {count} x {kind}: {others.served} of {others.served + len(others.denied)} others served, 99 % within "
        f"{1000 * slowest:.0f} ms; memory {rest:.0f} to {most:.0f} MB; the peers saw {saw}"
    )
    assert others.share() >= 0.999, others.denied[:3]
    assert most <= MOST_MEGABYTES
    until(lambda: sockets(process) <= open_before + 1, seconds=10)
    assert '"level":"error"' not in server.log.read_text()
    if kind in ("half_closed", "upgrading"):
        assert set(saw) == {"connected", "200"}

    with peers(kind, server.port, count):
        time.sleep(1.5)
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=GRACE + 5) == 0
        print(f"   SIGTERM meanwhile: ended after {time.monotonic() - start:.1f} s")  # noqa: T201
