"""`python -m mle_assets.worker [QUEUE ...]`: takes runs from the broker, one at a time, until it is told to stop.

SIGTERM lets it finish its run first, and answer for it meanwhile.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from types import FrameType

import dagster as dg
from celery import Celery
from celery.signals import worker_process_init, worker_ready
from celery.worker import state
from celery.worker.consumer import Consumer
from dagster._utils.interrupts import setup_interrupt_handlers
from dagster_celery.tasks import create_execute_job_task

from mle_assets.celery_launcher import DEFAULT_QUEUE, WatchedCeleryRunLauncher

_GIVES_WAY = 10
_LOOK_SECONDS = 0.5
"""How often a worker that is told to stop looks whether its run has ended."""


def worker_name() -> str:
    """This worker's name: a container's is that of its host, the same when it is started again."""
    return f"worker@{socket.gethostname()}"


def make_worker_app(instance: dg.DagsterInstance) -> Celery:
    """The Celery app of an instance's launcher, with the task that executes a run."""
    launcher = instance.run_launcher
    if not isinstance(launcher, WatchedCeleryRunLauncher):
        raise SystemExit("There is no broker to take runs from: set CELERY_BROKER, such as redis://machine:6379/0.")
    create_execute_job_task(launcher.celery)
    return launcher.celery


def main(arguments: list[str]) -> None:
    """Start the worker of some queues."""
    # What every run needs is loaded once, before a process is made for each.
    import_module("mle_assets.definitions")
    with dg.DagsterInstance.get() as instance:
        app = make_worker_app(instance)
    worker_process_init.connect(_prepare)
    worker_ready.connect(finish_first)
    queues = ",".join(arguments or [DEFAULT_QUEUE])
    app.worker_main(
        [
            "worker",
            *("--queues", queues, "--hostname", worker_name()),
            *("--pool", "prefork", "--concurrency", "1", "--loglevel", "INFO"),
            # Workers need not know of each other.
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
    )


def _prepare(**_: object) -> None:
    """Make a process ready for its run."""
    # It gives way to the one that answers for it: silence is what a lost worker is known by.
    os.nice(_GIVES_WAY)
    # A run that is cancelled says so itself before it ends: Celery would end it without a word.
    setup_interrupt_handlers()


class StopsAfterItsRun:
    """What SIGTERM does to a worker that is at a run: it takes no other one, answers for this one, and then stops.

    Celery's own way of stopping finishes the run too, but answers nobody meanwhile: by its silence it would count as
    lost, and its run would be begun again on another worker.
    """

    def __init__(self, consumer: Consumer, stop: Callable[[int, FrameType | None], object]) -> None:
        """Take over from `stop`, the handler that stops the worker at once where it is at nothing."""
        self._consumer, self._stop = consumer, stop
        self._told = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Stop, or see to it that the worker does after its run."""
        if not state.reserved_requests:
            self._stop(number, frame)
        elif not self._told:
            self._told = True
            self._consumer.call_soon(self._take_no_more)
            threading.Thread(target=self._stop_afterwards, name="stop", daemon=True).start()

    def _take_no_more(self) -> None:
        # Without a connection there is nothing to be cancelled, and a later one is for the queues that are left: none.
        queues = self._consumer.app.amqp.queues
        for name in list(queues.consume_from):
            if self._consumer.task_consumer is None:
                queues.deselect(name)
            else:
                self._consumer.cancel_task_queue(name)

    def _stop_afterwards(self) -> None:
        # From a thread, for the event loop may be waiting for a broker that is away.
        while state.reserved_requests:
            time.sleep(_LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)


def finish_first(sender: Consumer, **_: object) -> None:
    """Have SIGTERM wait for the worker's run; called again whenever the worker has found back to its broker."""
    stop = signal.getsignal(signal.SIGTERM)
    if callable(stop) and not isinstance(stop, StopsAfterItsRun):
        signal.signal(signal.SIGTERM, StopsAfterItsRun(sender, stop))


if __name__ == "__main__":
    main(sys.argv[1:])
