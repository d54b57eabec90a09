"""The sensor `new_answers` asks for one look at what came in, and asks again when that failed."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from mle_assets.automation import new_answers_sensor
from mle_assets.resources import make_resources
from model_registry.market import NEW_YORK
from prediction_log.erasing import forget
from tests.asked import failed_run, recorded_run
from tests.conftest import Pipeline
from tests.monitoring.log import answered, being_written, write
from tests.monitoring.serving import publish_champion


def tick(pipeline: Pipeline, log: str | None = None) -> list[dg.RunRequest | dg.SkipReason]:
    made = make_resources(pipeline.settings, {NEW_YORK.name: NEW_YORK})
    chosen = {name: made[name] for name in ("release", "artefacts")}
    address = pipeline.settings.prediction_log if log is None else log
    with dg.build_sensor_context(pipeline.instance, definitions=pipeline.definitions, resources=chosen) as context:
        return list(new_answers_sensor(address, [NEW_YORK.name, "lisbon", "porto"])(context))  # pyright: ignore


def asked(pipeline: Pipeline) -> dg.RunRequest:
    [request] = tick(pipeline)
    assert isinstance(request, dg.RunRequest)
    return request


def skipped(pipeline: Pipeline, log: str | None = None) -> str:
    [reason] = tick(pipeline, log)
    assert isinstance(reason, dg.SkipReason)
    return reason.skip_message or ""


@pytest.fixture
def log(pipeline: Pipeline) -> Path:
    """The log of a pipeline that has a champion: a file that is done."""
    publish_champion(pipeline.registry)
    folder = Path(pipeline.settings.prediction_log)
    write(folder, [answered("a")])
    return folder


def test_a_file_of_the_log_that_is_done_is_looked_at_once(pipeline: Pipeline) -> None:
    log = Path(pipeline.settings.prediction_log)
    write(log, [answered("a")])
    assert skipped(pipeline) == "No market has a model yet, so nobody was answered."
    publish_champion(pipeline.registry)
    request, again = asked(pipeline), asked(pipeline)
    assert (request.partition_key, request.run_key) == ("new-york", again.run_key)
    assert pipeline.run("monitoring").success
    with being_written(log, [answered("b")]):
        assert skipped(pipeline).endswith("is done that was not looked at.")


def test_without_a_log_nobody_looks(pipeline: Pipeline) -> None:
    publish_champion(pipeline.registry)
    assert "PREDICTION_LOG" in skipped(pipeline, "")
    assert skipped(pipeline).endswith("is done that was not looked at.")


def test_while_a_run_waits_its_turn_no_other_is_asked_for_whatever_comes_meanwhile(
    pipeline: Pipeline, log: Path
) -> None:
    waiting = recorded_run(pipeline.instance, "monitoring", asked(pipeline))
    for request_id in ("b", "c"):
        write(log, [answered(request_id)])
        assert skipped(pipeline) == "A run of the job monitoring is waited for, of new-york."
    pipeline.instance.report_run_canceled(waiting)
    assert asked(pipeline).partition_key == "new-york"


def test_a_market_whose_run_waits_keeps_no_other_market_from_being_asked_for(pipeline: Pipeline, log: Path) -> None:
    recorded_run(pipeline.instance, "monitoring", asked(pipeline))
    Path(pipeline.settings.model_registry, "lisbon").mkdir()
    write(log, [answered("b", market="lisbon")])
    assert asked(pipeline).partition_key == "lisbon"


def test_an_erasure_whose_run_failed_is_asked_for_again_less_and_less_often(pipeline: Pipeline, log: Path) -> None:
    assert pipeline.run("monitoring").success
    forget(log, request_id="a", settle=0)
    keys = list[str]()
    # It failed so many minutes ago, and the next may be asked for after 10, 20, 40, 80, 160 and 320.
    for minutes in (11, 21, 41, 81, 161, 321):
        request = asked(pipeline)
        keys.append(str(request.run_key))
        failed_run(pipeline.instance, "monitoring", request, minutes)
    assert keys[1:] == [f"{keys[0]}-{number}" for number in range(1, 6)]
    failed_run(pipeline.instance, "monitoring", asked(pipeline), 60 * 24 * 30)
    assert skipped(pipeline).startswith("The job monitoring failed for new-york; it is asked for again after ten ")
    write(log, [answered("b")])
    assert asked(pipeline).partition_key == "new-york"


@pytest.mark.usefixtures("log")
def test_a_look_that_failed_just_now_is_not_asked_for_again_and_one_markets_failure_is_not_anothers(
    pipeline: Pipeline,
) -> None:
    Path(pipeline.settings.model_registry, "lisbon").mkdir()
    requests = {str(one.partition_key): one for one in tick(pipeline) if isinstance(one, dg.RunRequest)}
    assert requests["lisbon"].tags == requests["new-york"].tags
    failed_run(pipeline.instance, "monitoring", requests["new-york"], 9)
    assert asked(pipeline).run_key == requests["lisbon"].run_key


@contextmanager
def statements() -> Generator[list[str]]:
    """What is asked of any database meanwhile."""
    seen = list[str]()

    def see(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", see)


@pytest.mark.usefixtures("log")
def test_three_markets_take_no_more_statements_than_one(pipeline: Pipeline) -> None:
    tick(pipeline)
    with statements() as of_one:
        assert len(tick(pipeline)) == 1
    for market in ("lisbon", "porto"):
        Path(pipeline.settings.model_registry, market).mkdir()
    with statements() as of_three:
        assert len(tick(pipeline)) == 3
    assert len(of_one) == len(of_three)
