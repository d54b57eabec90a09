"""Requests that are sent when they are due, however the server keeps up: an open loop, in a process of its own.

    python -m benchmarks.serving.open_loop PORT RATE SECONDS CONNECTIONS REQUEST [REQUEST ...]

Each REQUEST is a file with the bytes of one; they take turns. A request that is due takes the connection that has been
free the longest, and waits where none is. Its latency is from when it was due until its answer was there, so that
waiting counts. Prints JSON: for each REQUEST its figures, in milliseconds. What this client itself is late counts too:
it has a core of its own, and looks without pause while the next request is less than two milliseconds away.
"""

import gc
import json
import re
import select
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path

PATIENCE = 10.0
"""Seconds past the last due time after which what is not answered has failed."""
NEAR = 0.002
"""Seconds; a sleep may last one millisecond longer than it was meant to."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True)
class Figures:
    """Of one kind of request: how many were due, how many failed, and milliseconds from due to answered."""

    due: int
    failed: int
    p50: float
    p99: float
    max: float
    sent_late_p99: float
    """From due to sent."""


class Connection:
    """One connection, and the request that is under way on it."""

    def __init__(self, port: int) -> None:
        """Connect to the port."""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.number = 0
        """Of the request, in the order they are due."""
        self.received = b""

    def read(self) -> bytes | None:
        """The status of the answer once all of it is there, else none; raises where the server has closed."""
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("The server has closed a connection.")
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        if not end or (length and len(body) < int(length[1])):
            return None
        if not length:
            raise ConnectionError(f"The answer has no Content-Length: {head!r}")
        self.received = b""
        return head[9:12]


def run(port: int, requests: list[bytes], rate: float, seconds: float, connections: int) -> list[Figures]:
    """Send so many requests a second, in turn, over so many connections; the figures of each."""
    count, gap = int(rate * seconds), 1 / rate
    opened = {one.socket.fileno(): one for one in (Connection(port) for _ in range(connections))}
    free = deque(opened.values())
    poll = select.epoll()
    for file in opened:
        poll.register(file, select.EPOLLIN)
    clock = time.perf_counter
    latencies, late, failed = [float("inf")] * count, [float("inf")] * count, set(range(count))
    sent = answered = 0
    start = clock() + 0.05
    while answered < count and clock() < start + count * gap + PATIENCE:
        while sent < count and free and (waited := clock() - start - sent * gap) >= 0:
            one = free.popleft()
            one.number = sent
            one.socket.send(requests[sent % len(requests)])
            late[sent] = waited
            sent += 1
        if sent == count or not free:
            timeout = 0.1
        else:
            until_due = start + sent * gap - clock()
            timeout = until_due - NEAR / 2 if until_due > NEAR else 0
        for file, _ in poll.poll(timeout):
            one = opened[file]
            status = one.read()
            if status is not None:
                latencies[one.number] = clock() - start - one.number * gap
                if status == b"200":
                    failed.discard(one.number)
                answered += 1
                free.append(one)
    kinds = len(requests)
    return [figures(latencies[n::kinds], late[n::kinds], sum(i % kinds == n for i in failed)) for n in range(kinds)]


def figures(latencies: list[float], late: list[float], failed: int) -> Figures:
    """Milliseconds out of seconds."""
    ordered = sorted(latencies)
    return Figures(
        due=len(ordered),
        failed=failed,
        p50=1e3 * percentile(ordered, 0.5),
        p99=1e3 * percentile(ordered, 0.99),
        max=1e3 * ordered[-1],
        sent_late_p99=1e3 * percentile(sorted(late), 0.99),
    )


def percentile(ordered: list[float], share: float) -> float:
    """The smallest value that this share of all are not above."""
    return ordered[ceil(share * len(ordered)) - 1]


def main() -> None:
    """Measure as the arguments say."""
    port, rate, seconds, connections, *files = sys.argv[1:]
    requests = [Path(file).read_bytes() for file in files]
    gc.disable()
    measured = run(int(port), requests, float(rate), float(seconds), int(connections))
    print(json.dumps([asdict(one) for one in measured]))


if __name__ == "__main__":
    main()
