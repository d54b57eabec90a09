"""What a run tells in a terminal: a line for each step, then why it failed, and nothing of Dagster's insides."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance import DagsterInstance

from mle_assets.failures import failing_on, refusing, why
from mle_assets.terminal import Terminal

ROOT = Path(__file__).parents[1]
# Dagster says of dagster.yaml's python_logs that they are new; mle_assets/definitions.py keeps that from the terminal.
pytestmark = pytest.mark.filterwarnings("ignore:Handling yaml-defined logging")


class TooCold(Exception):
    """Something foreseen."""


@dg.op
def fine(context: dg.OpExecutionContext) -> None:
    context.log.info("a word of a step's own")


@dg.op(ins={"after": dg.In(dg.Nothing)})
def refused() -> None:
    with failing_on(TooCold):
        raise TooCold("It is -3 °C,\nand 10 are needed:\n  heat it.")


@dg.op(ins={"after": dg.In(dg.Nothing)})
def broken() -> None:
    raise ZeroDivisionError("first line\nsecond line")


@dg.op(ins={"after": dg.In(dg.Nothing)})
def never() -> None:
    pass


@dg.resource
def no_resource() -> None:
    raise ConnectionError("nobody\nanswers")


@dg.op(required_resource_keys={"no_resource"})
def needing() -> None:
    pass


@dg.asset
def stove() -> None: ...


@dg.asset_check(asset=stove, blocking=True)
@refusing
def is_warm() -> dg.AssetCheckResult:
    """A stove is at least 10 degrees warm."""
    return dg.AssetCheckResult(passed=False, metadata={"degrees": -3, "least": 10})


@dg.multi_asset_check(
    specs=[dg.AssetCheckSpec(name, asset=stove, blocking=True) for name in ("has_wood", "has_a_door", "is_new")]
)
@refusing
def is_whole() -> Iterator[dg.AssetCheckResult]:
    yield dg.AssetCheckResult(check_name="has_wood", passed=False, description="It has 0 logs, where 1 is needed.")
    yield dg.AssetCheckResult(check_name="has_a_door", passed=False, description="It has 0 doors, where 1 is needed.")
    yield dg.AssetCheckResult(check_name="is_new", passed=False, severity=dg.AssetCheckSeverity.WARN, description="No.")


@dg.job
def good() -> None:
    fine()


@dg.op(ins={"after": dg.In(dg.Nothing)})
def long() -> None:
    time.sleep(0.8)


@dg.job
def long_job() -> None:
    long(fine())


@dg.job
def refusing_job() -> None:
    never(refused(fine()))


@dg.job
def broken_job() -> None:
    broken(fine())


@dg.job(resource_defs={"no_resource": no_resource})
def without_resource() -> None:
    needing()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    """An instance with this project's dagster.yaml, in a folder of its own."""
    settings = (ROOT / "dagster.yaml").read_text().replace("var/dagster", str(tmp_path / "dagster"))
    (tmp_path / "dagster.yaml").write_text(settings)
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


@pytest.fixture
def last_words(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would be said when this process ends."""
    said: list[str] = []
    monkeypatch.setattr("mle_assets.console.write_last", lambda reason, _stamp: said.append(reason))
    return said


def run(job: dg.JobDefinition, instance: DagsterInstance) -> dg.ExecuteInProcessResult:
    return job.execute_in_process(instance=instance, raise_on_error=False)


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines without time and run."""
    out, err = capsys.readouterr()
    assert out == ""
    return [line[29:] if line[:2] == "20" else line for line in err.splitlines()]


def test_a_run_that_succeeds_tells_its_steps_and_their_own_words(
    instance: DagsterInstance, last_words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(good, instance).success
    begin, word, step, end = told(capsys)
    assert (begin, word, end) == ("good begins", "fine: a word of a step's own", "good succeeded")
    assert re.fullmatch(r"fine +\d+\.\d s", step)
    assert last_words == []


def test_a_step_that_says_nothing_for_a_while_is_told_to_be_under_way(
    instance: DagsterInstance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mle_assets.console._terminal", Terminal(quiet=0.2, redraw=0.02))
    assert run(long_job, instance).success
    lines = told(capsys)
    assert (lines[0], lines[-1]) == ("long_job begins", "long_job succeeded")
    assert any(re.fullmatch(r"long … [01] s", line) for line in lines), lines


def test_a_foreseen_failure_ends_with_its_sentence_on_one_line_and_no_trace(
    instance: DagsterInstance, last_words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run(refusing_job, instance).success
    lines = told(capsys)
    assert [line.split()[0] for line in lines] == ["refusing_job", "fine:", "fine", "refused", "refusing_job"]
    assert last_words == ["It is -3 °C, and 10 are needed: heat it."]


def test_an_unforeseen_failure_shows_its_trace_and_ends_with_its_error_on_one_line(
    instance: DagsterInstance, last_words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run(broken_job, instance).success
    shown = "\n".join(told(capsys))
    assert 'raise ZeroDivisionError("first line\\nsecond line")' in shown
    [word] = last_words
    assert word == ("The step broken failed on an error that nobody foresaw: ZeroDivisionError: first line second line")


def test_a_resource_that_cannot_be_made_is_named_by_its_error(
    instance: DagsterInstance, last_words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run(without_resource, instance).success
    assert "in no_resource" in "\n".join(told(capsys))
    assert last_words == ["ConnectionError: nobody answers"]


def test_a_failed_check_ends_the_run_with_claim_figure_and_limit_and_is_recorded(
    instance: DagsterInstance, last_words: list[str]
) -> None:
    result = dg.materialize([stove, is_warm], instance=instance, raise_on_error=False)
    [evaluation] = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert last_words == ["It is not so that: A stove is at least 10 degrees warm. (degrees -3, least 10)"]


def test_checks_that_fail_together_are_all_told_but_not_those_that_only_warn(
    instance: DagsterInstance, last_words: list[str]
) -> None:
    result = dg.materialize([stove, is_whole], instance=instance, raise_on_error=False)
    assert {evaluation.check_name for evaluation in result.get_asset_check_evaluations()} == {
        "has_wood",
        "has_a_door",
        "is_new",
    }
    assert last_words == ["It has 0 logs, where 1 is needed. It has 0 doors, where 1 is needed."]


def test_the_ui_is_given_the_sentence_first_and_the_trace_after_it(
    instance: DagsterInstance, last_words: list[str]
) -> None:
    result = run(refusing_job, instance)
    [entry] = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert entry.dagster_event
    error = entry.dagster_event.job_failure_data.error
    assert error
    assert error.message.startswith("Refused: It is -3 °C")
    assert error.cause
    assert "raise TooCold" in "".join(error.cause.stack)
    assert [why(entry.dagster_event)] == last_words


def execute(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`dagster job execute` as the README has it, with both streams in one."""
    (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    command = ["dagster", "job", "execute", "-m", "mle_assets.definitions", *arguments]
    environment = {**os.environ, "DAGSTER_HOME": str(home), **settings}
    return subprocess.run(
        command, cwd=home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


@pytest.mark.slow
def test_the_bare_dagster_command_ends_with_the_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.csv").touch()
    done = execute(tmp_path, "-j", "training", SNAPSHOT="x.csv")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "The snapshot x.csv is empty (0 bytes): check how it was downloaded."
    assert "Traceback" not in done.stdout
    assert len(done.stdout.splitlines()) < 10


@pytest.mark.slow
def test_the_bare_dagster_command_ends_with_the_sentence_of_a_wrong_setting(tmp_path: Path) -> None:
    done = execute(tmp_path, "-j", "training", GATE_CONFIDENCE="2")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "Error: GATE_CONFIDENCE='2' cannot be used: Expected `float` < 1.0"
    assert "Traceback" not in done.stdout


@pytest.mark.slow
def test_a_run_ended_by_ctrl_c_ends_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    command = [sys.executable, "-m", "dagster", "job", "execute", "-m", "mle_assets.definitions", "-j", "training"]
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path), "SYNTHETIC_LISTINGS": "20000"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line)
            if " listings  " in line:
                time.sleep(0.2)
                process.send_signal(2)
    assert lines[-1] == "The run of training was interrupted before its end.\n"
    assert "Stack Trace" not in "".join(lines)
