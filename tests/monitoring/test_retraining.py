"""The sensors ask for what is needed once, and say what they looked at."""

import functools
import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import msgspec
import pytest

from mle_assets.listings.downloading import validator
from mle_assets.monitoring import retraining
from mle_assets.monitoring.drift import Drift
from mle_assets.monitoring.feedback import Told
from mle_assets.monitoring.inputs import DriftReport
from mle_assets.monitoring.live import Estimate, Figures, Live
from mle_assets.monitoring.live import Verdict as LiveVerdict
from mle_assets.monitoring.live_report import LiveReport
from mle_assets.monitoring.newer import News, Seen, TimeLeft, feedback_news, snapshot_news
from mle_assets.monitoring.retraining import Cause, cause_of
from mle_assets.resources import make_resources
from model_registry.manifest import Snapshot
from model_registry.market import NEW_YORK
from tests.conftest import Pipeline, make_pipeline
from tests.making import manifest, model
from tests.monitoring.serving import publish_champion

OLD, NEW = b"the old snapshot", b"the new snapshot"


def of_bytes(content: bytes) -> Snapshot:
    return Snapshot("listings.csv", hashlib.sha256(content).hexdigest(), None, synthetic=False)


def drift_report(champion: str, *, drifted: bool) -> DriftReport:
    found = Drift("drift", "Far.", 500, 500) if drifted else Drift("no drift", "Near.", 500, 500)
    return DriftReport(0, 1, champion, {champion: found}, {})


def live_report(champion: str, verdict: LiveVerdict, priced: int = 0) -> LiveReport:
    live = Live(champion, verdict, "So many were right.", Figures(500, 400), (), Estimate(None, "None."))
    return LiveReport(0, 1, champion, {champion: live}, (), Told(), priced)


def test_a_cause_is_what_the_reports_of_the_champion_establish() -> None:
    assert cause_of("a", None, None) == Cause(None, "no report of a yet: run the job monitoring")
    assert cause_of("a", drift_report("b", drifted=True), None).word is None
    assert cause_of("a", drift_report("a", drifted=False), live_report("a", "as tested")) == Cause(
        None, "drift: no drift (Near.) accuracy: as tested (So many were right.)"
    )
    assert cause_of("a", drift_report("a", drifted=True), None) == Cause("drift", "drift: drift (Far.)")
    assert cause_of("a", None, live_report("a", "below its test")).word == "accuracy"
    both = cause_of("a", drift_report("a", drifted=True), live_report("a", "below its test"))
    assert both.word == "drift-and-accuracy"


def test_prices_are_news_where_they_are_trained_on_and_enough() -> None:
    assert feedback_news(live_report("a", "as tested", 500), used=False).name is None
    assert feedback_news(None, used=True) == News(None, "0 prices were told, and at least 100 are needed")
    assert feedback_news(live_report("a", "as tested", 100), used=True) == News("feedback", "100 prices were told")


def test_a_file_is_hashed_again_only_when_it_has_changed(tmp_path: Path) -> None:
    file, seen = tmp_path / "listings.csv", Seen()
    file.write_bytes(OLD)
    known = msgspec.structs.replace(manifest(model(0)), version="tree-1", snapshot=of_bytes(OLD))
    same = News(None, f"{file} still holds the snapshot that tree-1 learned from")
    assert snapshot_news(str(file), known, seen, 0, TimeLeft(40)) == same
    # As long and as old: whoever looks only at that sees no change.
    state = file.stat()
    file.write_bytes(NEW)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert snapshot_news(str(file), known, seen, 0, TimeLeft(40)) == same
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    found = snapshot_news(str(file), known, seen, 0, TimeLeft(40))
    assert found == News(hashlib.sha256(NEW).hexdigest(), f"{file} holds a snapshot that tree-1 did not learn from")


def test_what_cannot_be_looked_at_is_no_news_and_says_why(tmp_path: Path) -> None:
    known = manifest(model(0))
    assert "no snapshot is named" in snapshot_news(None, known, Seen(), 0, TimeLeft(40)).sentence
    assert "no snapshot is named" in snapshot_news("synthetic", known, Seen(), 0, TimeLeft(40)).sentence
    gone = snapshot_news(str(tmp_path / "gone.csv"), known, Seen(), 0, TimeLeft(40))
    assert gone.name is None
    assert "cannot be looked at" in gone.sentence


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a folder, and what was asked for."""
    asked = list[str]()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *_: object) -> None:
            asked.append(self.command)

    handler = functools.partial(Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/listings.csv", asked
        server.shutdown()
        thread.join()


def test_a_download_is_fetched_again_only_when_its_server_says_it_has_changed(
    tmp_path: Path, site: tuple[str, list[str]]
) -> None:
    address, asked = site
    file, seen = tmp_path / "listings.csv", Seen()
    file.write_bytes(OLD)
    known = msgspec.structs.replace(manifest(model(0)), snapshot=of_bytes(OLD))
    assert [snapshot_news(address, known, seen, 0, TimeLeft(40)).name for _ in range(3)] == [None, None, None]
    assert asked == ["HEAD", "GET", "HEAD", "HEAD"]
    file.write_bytes(NEW + b" longer")
    assert snapshot_news(address, known, seen, 0, TimeLeft(40)).name == hashlib.sha256(NEW + b" longer").hexdigest()


def test_a_server_that_says_nothing_of_a_version_has_none(site: tuple[str, list[str]]) -> None:
    address, _ = site
    assert validator(address, 5) == ""
    assert validator("http://127.0.0.1:1/listings.csv", 5) == ""


def store(pipeline: Pipeline, *reports: DriftReport | LiveReport) -> None:
    for report in reports:
        report.write(pipeline.assets / ("drift" if isinstance(report, DriftReport) else "live_performance"))


def resources(pipeline: Pipeline, *names: str) -> dict[str, object]:
    made = make_resources(pipeline.settings, {NEW_YORK.name: NEW_YORK})
    return {name: made[name] for name in names}


def tick(pipeline: Pipeline, cursor: str | None = None) -> tuple[list[dg.RunRequest], str, str | None]:
    """What the sensor asks for, why it does not, and its cursor."""
    sensor = pipeline.definitions.get_repository_def().get_sensor_def("train_when_needed")
    with dg.build_sensor_context(
        pipeline.instance,
        definitions=pipeline.definitions,
        cursor=cursor,
        resources=resources(pipeline, "release", "default_snapshot", "artefacts"),
    ) as context:
        told = sensor.evaluate_tick(context)
    return list(told.run_requests or ()), told.skip_message or "", told.cursor


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    file = tmp_path / "listings.csv"
    file.write_bytes(OLD)
    return file


@pytest.fixture
def served(pipeline: Pipeline, snapshot: Path) -> Pipeline:
    """A pipeline that has a champion and a snapshot to be read by default, which the champion learned from."""
    publish_champion(pipeline.registry, snapshot=of_bytes(OLD))
    return make_pipeline(pipeline.folder, pipeline.instance, snapshot=str(snapshot))


def champion(pipeline: Pipeline) -> str:
    pointer = pipeline.registry.champion()
    assert pointer
    return pointer.version


def test_nothing_is_asked_for_without_a_champion_a_report_or_a_cause(served: Pipeline) -> None:
    version = champion(served)
    assert tick(served)[1] == (
        f"new-york: nothing is established against {version} (no report of {version} yet: run the job monitoring)."
    )
    store(served, drift_report(champion(served), drifted=False))
    requests, why, _ = tick(served)
    assert requests == []
    assert "drift: no drift (Near.)" in why


def test_a_market_without_a_champion_is_left_alone(pipeline: Pipeline) -> None:
    assert tick(pipeline)[1] == "new-york: it has no champion yet."


def test_drift_without_anything_newer_asks_for_nothing(served: Pipeline, snapshot: Path) -> None:
    store(served, drift_report(champion(served), drifted=True))
    requests, why, _ = tick(served)
    assert requests == []
    assert why == (
        f"new-york: drift: drift (Far.) {snapshot} still holds the snapshot that {champion(served)} learned from; "
        "feedback is not trained on (TRAIN_ON_FEEDBACK): there is nothing newer to learn from."
    )


def test_drift_and_a_newer_snapshot_ask_for_one_training(
    served: Pipeline, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(served, drift_report(champion(served), drifted=True))
    snapshot.write_bytes(NEW + b", which is longer")
    [request], _, cursor = tick(served)
    assert (request.partition_key, request.tags["cause"], request.run_config) == ("new-york", "drift", {})
    requests, why, cursor = tick(served, cursor)
    assert requests == []
    assert "A training was asked for a while ago, and the next may be in 24.0 h" in why
    monkeypatch.setattr(retraining, "COOL_DOWN", 0.0)
    requests, why, cursor = tick(served, cursor)
    assert requests == []
    assert why.endswith(f"for all that a training was asked for, and {champion(served)} is still the champion.")
    # Another cause is another matter, and so is another snapshot.
    store(served, live_report(champion(served), "below its test"))
    [again], _, cursor = tick(served, cursor)
    snapshot.write_bytes(b"a third one")
    [third], _, _ = tick(served, cursor)
    assert len({request.run_key, again.run_key, third.run_key}) == 3


def test_a_cursor_that_was_lost_asks_under_the_same_key(served: Pipeline, snapshot: Path) -> None:
    store(served, drift_report(champion(served), drifted=True))
    snapshot.write_bytes(NEW + b", which is longer")
    [first], _, _ = tick(served)
    [again], _, _ = tick(served, "not what was written")
    assert first.run_key == again.run_key


def test_prices_are_enough_where_they_are_trained_on(served: Pipeline, snapshot: Path) -> None:
    store(served, live_report(champion(served), "below its test", priced=200))
    assert tick(served)[0] == []
    trusting = make_pipeline(served.folder, served.instance, snapshot=str(snapshot), train_on_feedback=True)
    [request], _, _ = tick(trusting)
    assert (request.run_key or "").endswith(":accuracy:feedback")
