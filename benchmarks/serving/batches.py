"""Clients that post one batch after the other, until their standard input ends.

    python -m benchmarks.serving.batches PORT CLIENTS LISTINGS

Prints a line once each of them has been answered, and at the end JSON: batches answered, failed, and for how long.
"""

import http.client
import json
import os
import sys
import threading
import time

from model_registry.listing import EXAMPLE


def batch(listings: int) -> bytes:
    """A body of so many listings, not all alike."""
    return json.dumps([{**EXAMPLE, "id": n, "accommodates": 1 + n % 16} for n in range(listings)]).encode()


def main() -> None:
    """Post as the arguments say."""
    os.nice(10)  # whoever measures on the same core goes first
    port, clients, listings = map(int, sys.argv[1:])
    body = batch(listings)
    end, all_answered = threading.Event(), threading.Barrier(clients + 1)
    statuses: list[int] = []

    def post() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        first = True
        while not end.is_set():
            connection.request("POST", "/classify/batch", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if not end.is_set():
                statuses.append(answer.status)
            if first:
                all_answered.wait()
                first = False

    threads = [threading.Thread(target=post, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    all_answered.wait(120)
    print("begun", flush=True)
    start, before = time.perf_counter(), len(statuses)
    sys.stdin.read()
    end.set()
    counted, seconds = statuses[before:], time.perf_counter() - start
    answered = counted.count(200)
    print(json.dumps({"answered": answered, "failed": len(counted) - answered, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
