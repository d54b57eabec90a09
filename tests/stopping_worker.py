"""A worker that is told to stop while it is at a run: `python stopping_worker.py`; prints what it answered meanwhile.

All in one process, over Celery's in-memory broker: the worker in the main thread, which signals need, who asks in
another one.
"""

import json
import os
import signal
import sys
import threading

from celery.signals import worker_ready

from mle_assets.celery_launcher import WatchedCeleryRunLauncher
from mle_assets.worker import finish_first

app = WatchedCeleryRunLauncher("memory://stopping").celery
ready, begun, end = threading.Event(), threading.Event(), threading.Event()


@app.task(name="run")
def run() -> None:
    """What the worker is at, until it is told to end."""
    begun.set()
    assert end.wait(30)
    sys.stdout.write("the run ended\n")


def ask() -> None:
    """Give it a run, tell it to stop, ask what it is at, give it another run, and have the first one end."""
    assert ready.wait(30)
    task = run.apply_async(queue="dagster", routing_key="dagster.1")
    assert begun.wait(30)
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)  # told twice, it does not hurry
    inspect = app.control.inspect(timeout=10, limit=1)
    while (inspect.active_queues() or {}).get("worker@stopping") != []:  # until it takes no more
        pass
    run.apply_async(queue="dagster", routing_key="dagster.2")
    [active] = inspect.active(safe=True).values()
    sys.stdout.write(json.dumps({"at its run": [one["id"] for one in active] == [task.id]}) + "\n")
    end.set()


worker_ready.connect(finish_first)
worker_ready.connect(lambda **_: ready.set(), weak=False)
threading.Thread(target=ask, daemon=True).start()
app.worker_main(
    [
        "worker",
        *("--queues", "dagster", "--hostname", "worker@stopping", "--pool", "threads", "--concurrency", "1"),
        *("--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
)
