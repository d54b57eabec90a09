"""`python -m mle_assets.worker [QUEUE ...]`: takes runs from the broker, one at a time, until it is told to stop.

SIGTERM lets it finish its run first.
"""

import os
import socket
import sys
from importlib import import_module

import dagster as dg
from celery import Celery
from celery.signals import worker_process_init
from dagster._utils.interrupts import setup_interrupt_handlers
from dagster_celery.tasks import create_execute_job_task

from mle_assets.celery_launcher import DEFAULT_QUEUE, WatchedCeleryRunLauncher

_GIVES_WAY = 10


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


if __name__ == "__main__":
    main(sys.argv[1:])
