"""From an error in words to a failed run that says only those words."""

import inspect
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar, cast

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.events import RunFailureReason
from dagster_shared.error import SerializableErrorInfo

_Given = ParamSpec("_Given")
_Results = TypeVar("_Results", bound=dg.AssetCheckResult | Iterable[dg.AssetCheckResult])


class Refused(dg.Failure):
    """The end of a run that is nobody's mistake in the code: one sentence says what was wrong and how to cure it."""

    # The UI and tracebacks put a class's name before its message, and its module before that, but not this one:
    # so the sentence comes first but for one word.
    __module__ = "builtins"

    def __init__(self, sentence: str) -> None:
        super().__init__(description=sentence, allow_retries=False)


@contextmanager
def failing_on(*expected: type[Exception]) -> Generator[None]:
    """Turn an expected error into the end of the run with the same sentence, not to be retried."""
    try:
        yield
    except expected as error:
        raise Refused(str(error)) from error


def refusing(check: Callable[_Given, _Results]) -> Callable[_Given, _Results]:
    """A blocking check's function that also ends the run in words: claim, figure and limit of what failed.

    Without it the run ends with Dagster's «1 blocking asset check failed», which names none of them. It stands
    between the check's function and Dagster's decorator.
    """

    @wraps(check)
    def recorded_then_refused(*args: _Given.args, **kwargs: _Given.kwargs) -> Iterator[dg.AssetCheckResult]:
        told = check(*args, **kwargs)
        failures: list[str] = []
        for result in [told] if isinstance(told, dg.AssetCheckResult) else told:
            yield result
            if not result.passed and result.severity == dg.AssetCheckSeverity.ERROR:
                failures.append(sentence(result, claim=inspect.getdoc(check) or check.__name__))
        if failures:
            raise Refused(" ".join(failures))

    # Dagster runs a check that yields its results as well as one that returns one; its types know only the latter.
    return cast("Callable[_Given, _Results]", recorded_then_refused)


def sentence(result: dg.AssetCheckResult, claim: str) -> str:
    """What a failed check says: its description, or else its claim with the figures of its metadata."""
    if result.description:
        return result.description
    figures = [f"{name} {value.value}" for name, value in (result.metadata or {}).items() if _is_figure(value.value)]
    return f"It is not so that: {claim} ({', '.join(figures)})" if figures else f"It is not so that: {claim}"


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float | str)


def why(failure: dg.DagsterEvent) -> str:
    """Why a run failed, in one line: from the event RUN_FAILURE, as it happens or out of the event log."""
    data = failure.job_failure_data
    step = data.first_step_failure_event
    if data.failure_reason == RunFailureReason.UNEXPECTED_TERMINATION:
        return f"The run of {job_name(failure.job_name)} was interrupted before its end."
    if step is None:
        return _on_one_line(_of_user(data.error).message if data.error else failure.message or "Nothing is known.")
    foreseen = step.step_failure_data.user_failure_data
    if foreseen and foreseen.description:
        return _on_one_line(foreseen.description)
    error = step.step_failure_data.error
    what = _of_user(error).message if error else "nothing more is known"
    return _on_one_line(f"The step {step.step_key} failed on an error that nobody foresaw: {what}")


def job_name(name: str) -> str:
    """A job by its name; Dagster's own for assets that were chosen one by one is no name for people."""
    return "assets" if name == IMPLICIT_ASSET_JOB_NAME else name


def _of_user(error: SerializableErrorInfo) -> SerializableErrorInfo:
    """The error that our code raised, out of those that Dagster wraps it in."""
    while error.cause and (error.cls_name or "").startswith("Dagster"):
        error = error.cause
    return error


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
