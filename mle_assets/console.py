"""What a run tells in a terminal and in a container's log: a line for each step, and at the end one sentence."""

import atexit
import logging
import multiprocessing
import time
from datetime import datetime
from functools import partial

import dagster as dg
from dagster._core.events import RunFailureReason
from dagster._core.execution.plan.objects import ErrorSource
from dagster._core.log_manager import get_log_record_event, get_log_record_metadata, has_log_record_event
from dagster_shared.error import SerializableErrorInfo

from mle_assets.failures import job_name, why
from mle_assets.terminal import Terminal

_terminal = Terminal()

_SKIPPED = "Dependencies for step"
"""How Dagster begins its message about each step after a failed one: there are dozens, and all say the same."""


class RunLines(logging.Handler):
    """Writes a run's events to standard error in plain lines, in place of Dagster's own console.

    dagster.yaml names it: loggers in the definitions are used only by runs whose config asks for them. The trace of
    a foreseen failure is kept in the event log, where the UI shows it; any other trace is written here too.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write what the record tells, if anything."""
        event = get_log_record_event(record) if has_log_record_event(record) else None
        text = of_event(event) if event else of_message(record)
        stamp = partial(_stamp, get_log_record_metadata(record)["run_id"] or "")
        if event and event.event_type == dg.DagsterEventType.STEP_START:
            _terminal.under_way(event.step_key or "", stamp)
        elif event and (event.is_step_success or event.is_step_failure or event.is_job_event):
            _terminal.nothing_under_way()
        if text:
            _terminal.line(stamp(record.created) + text)
        if event and event.is_job_failure:
            write_last(why(event), stamp(record.created))
        # Dagster hands the record on to its own console after this; below every level, that leaves it alone.
        record.levelno = logging.NOTSET


def of_event(event: dg.DagsterEvent) -> str | None:
    """The text for an event, or None for one that a reader of the console can do without."""
    step, job = event.step_key or "", job_name(event.job_name)
    match event.event_type:
        case dg.DagsterEventType.RUN_START:
            return f"{job} begins"
        case dg.DagsterEventType.RUN_SUCCESS:
            return f"{job} succeeded"
        case dg.DagsterEventType.RUN_CANCELED:
            return f"{job} was cancelled"
        case dg.DagsterEventType.RUN_FAILURE:
            data = event.job_failure_data
            interrupted = data.failure_reason == RunFailureReason.UNEXPECTED_TERMINATION
            trace = "" if data.first_step_failure_event or interrupted else _trace(data.error)
            return f"{job} failed; the UI shows all of it under the run's id{trace}"
        case dg.DagsterEventType.STEP_SUCCESS:
            return f"{step:<44} {event.step_success_data.duration_ms / 1000:>7.1f} s"
        case dg.DagsterEventType.STEP_FAILURE:
            data = event.step_failure_data
            foreseen = data.user_failure_data or data.error_source == ErrorSource.INTERRUPT
            return f"{step:<44}    failed{'' if foreseen else _trace(data.error)}"
        case _:
            return None


def of_message(record: logging.LogRecord) -> str | None:
    """The text for a message of a step's or Dagster's own, or None for one of no interest."""
    data = get_log_record_metadata(record)
    if record.levelno < logging.INFO or data["orig_message"].startswith(_SKIPPED):
        return None
    trace = f"\n{logging.Formatter().formatException(record.exc_info)}" if record.exc_info else ""
    return f"{data['step_key'] or data['job_name']}: {data['orig_message']}{trace}"


def _trace(error: SerializableErrorInfo | None) -> str:
    return f"\n{error.to_string()}" if error else ""


def _stamp(run_id: str, at: float | None = None) -> str:
    # What each line begins with.
    moment = datetime.fromtimestamp(time.time() if at is None else at)  # noqa: DTZ006 (the reader's own time)
    return f"{moment:%Y-%m-%d %H:%M:%S} {run_id[:8]} "


def write_last(reason: str, stamp: str) -> None:
    """Say why a run failed, as the last that is heard of it."""
    # In a process that a code server started for the run, this is one line of its log. In one that a person started,
    # the reason must come after the words of `dagster job execute` itself, which are only that the run failed.
    if multiprocessing.parent_process():
        _terminal.line(stamp + reason)
    else:
        atexit.register(_terminal.line, reason)
