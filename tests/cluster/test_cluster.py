"""Several markets trained by workers that share no volume, and whatever is killed meanwhile: nothing is lost.

The tests share one deployment and come in the order of its life: nothing, first trainings, faults.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.cluster import FOLDERS, MARKETS, NOTICED_SECONDS, SEVERAL, Cluster, cluster
from tests.containers.stack import reason_to_skip, say, told
from tests.waiting import until

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster as it is after the first start: everything healthy, nothing trained."""
    if reason := reason_to_skip():
        pytest.skip(f"no containers here: {reason}")
    with cluster(tmp_path_factory.mktemp("markets")) as stack:
        yield stack


@pytest.fixture(scope="module")
def trained(empty: Cluster) -> Cluster:
    """The cluster with a champion of each market."""
    if not any(run.job == "promotion" for run in empty.runs().values()):
        for run in [empty.launch("training", market=market) for market in MARKETS]:
            empty.trained(run)
        until(empty.settled, seconds=120, every=1)
    until(empty.ready, seconds=30)
    return empty


@contextmanager
def nothing_lost(stack: Cluster) -> Iterator[None]:
    """What is done within harms no market: it has the champion it had, promoted once, and everything works again.

    A training on the same listings makes the same model, so the version's name tells whether it is whole.
    """
    until(stack.settled, seconds=240, every=1)
    before = {market: stack.promotions(market) for market in MARKETS}
    champions = stack.champions()
    yield
    until(stack.works, seconds=120, every=1)
    until(stack.settled, seconds=240, every=1)
    until(lambda: stack.champions() == champions, seconds=60, every=1)
    assert {market: stack.promotions(market) for market in MARKETS} == before
    stack.inside("code", "models", "verify", "--all")
    say(f"kept: {', '.join(f'{market} {version}' for market, version in champions.items())}; promoted once each")


def test_from_nothing_three_markets_are_trained_by_two_workers_at_once_and_answered_for(empty: Cluster) -> None:
    start = time.monotonic()
    runs = empty.start_training(*MARKETS[:2])
    workers = {market: empty.worker_of(run) for market, run in runs.items()}
    assert set(workers.values()) == set(empty.workers())
    say(f"under way at once: {workers}")
    runs[MARKETS[2]] = empty.launch("training", market=MARKETS[2])
    for run in runs.values():
        assert empty.trained(run).id == run
    until(empty.settled, seconds=120, every=1)
    until(empty.ready, seconds=30)
    for market in MARKETS:
        answer = empty.classify(market)
        say(f"{market}: {answer.json()['price_category']} by {answer.headers['X-Model-Version']}")
        assert empty.promotions(market) == [answer.headers["X-Model-Version"]]
    say(f"from nothing to answers for {len(MARKETS)} markets in {time.monotonic() - start:.0f} s")


def test_workers_share_no_volume(trained: Cluster) -> None:
    mounts = [mount for worker in trained.workers().values() for mount in worker["Mounts"] if mount["Type"] == "volume"]
    assert len({mount["Name"] for mount in mounts}) == len(mounts)
    named = {mount["Name"] for mount in mounts if mount["Name"].startswith(trained.project)}
    assert named == set()


def test_what_steps_print_is_read_in_the_ui_from_every_worker(trained: Cluster) -> None:
    run = next(run for run in trained.runs().values() if run.job == "training" and run.status == "SUCCESS")
    printed = trained.printed(run.id)
    say(f"{len(printed)} characters of step logs of run {run.id[:8]} of {run.market}")
    assert "validation: fold 1 of 3" in printed


def test_a_worker_that_is_killed_in_mid_run_is_noticed_and_its_run_begun_again_on_the_other(trained: Cluster) -> None:
    with nothing_lost(trained):
        [run] = trained.start_training("lisbon").values()
        name = trained.worker_of(run)
        killed, other = trained.workers()[name], next(iter(set(trained.workers()) - {name}))
        # As a machine that is gone: the engine does not start again what `docker kill` has killed.
        told("docker", "kill", "--signal=KILL", killed["Id"])
        start = time.monotonic()
        trained.wait_for_status(run, "FAILURE", seconds=NOTICED_SECONDS)
        say(f"{name} killed: noticed after {time.monotonic() - start:.0f} s; {trained.messages(run)[-1]}")
        ended = trained.trained(run)
        assert ended.id != run
        assert any(other in message for message in trained.messages(run))
        told("docker", "start", killed["Id"])


def test_a_worker_that_is_told_to_stop_ends_its_run_first_and_it_is_not_begun_again(trained: Cluster) -> None:
    with nothing_lost(trained):
        [run] = trained.start_training("lisbon").values()
        stopping = trained.workers()[trained.worker_of(run)]
        start = time.monotonic()
        told("docker", "stop", "--time=300", stopping["Id"])
        say(f"told to stop: ended after {time.monotonic() - start:.0f} s")
        assert trained.trained(run).id == run
        told("docker", "start", stopping["Id"])


def test_a_run_that_is_cancelled_ends_and_its_worker_takes_the_next(trained: Cluster) -> None:
    [run] = trained.start_training("oslo").values()
    trained.cancel(run)
    assert trained.wait_for_status(run, "CANCELED", seconds=90).status == "CANCELED"
    with nothing_lost(trained):
        trained.trained(trained.launch("training", market="oslo"))


@pytest.mark.parametrize("service", ["redis", "objects", "postgres", "daemon", "code"])
def test_a_part_that_is_killed_while_two_markets_are_trained_loses_nothing(trained: Cluster, service: str) -> None:
    with nothing_lost(trained):
        runs = trained.start_training("lisbon", "oslo")
        trained.kill(service)
        waiting = trained.launch_when_possible("training", "new-york")
        for run in (*runs.values(), waiting):
            trained.trained(run)


def test_a_broker_that_is_away_for_a_minute_fails_no_run_and_loses_none(trained: Cluster) -> None:
    with nothing_lost(trained):
        runs = trained.start_training("lisbon", "oslo")
        with stopped(trained, "redis"):
            waiting = trained.launch("training", market="new-york")
            time.sleep(60)
        for run in (*runs.values(), waiting):
            assert trained.trained(run).id == run


def test_a_worker_cut_off_for_a_minute_does_no_harm_by_its_late_run(trained: Cluster) -> None:
    with nothing_lost(trained):
        [run] = trained.start_training("new-york").values()
        container = trained.workers()[trained.worker_of(run)]
        network = f"{trained.project}_pipeline"
        told("docker", "network", "disconnect", network, container["Id"])
        start = time.monotonic()
        trained.wait_for_status(run, "FAILURE", seconds=NOTICED_SECONDS)
        time.sleep(max(0.0, 60 - (time.monotonic() - start)))
        told("docker", "network", "connect", network, container["Id"])
        say("the worker is back in the network after a minute")
        trained.trained(run)
        # Its late run goes on, and ends while the other has ended as well.
        until(lambda: trained.idle(), seconds=240, every=2)


def test_a_store_that_is_read_only_fails_runs_in_words_and_serves_on(trained: Cluster) -> None:
    with nothing_lost(trained):
        with read_only(trained):
            run = trained.launch("training", market="lisbon")
            assert trained.wait_for_status(run, "FAILURE", seconds=300).status == "FAILURE"
            told_of = next(message for message in trained.messages(run) if "s3://pipeline" in message)
            say(told_of.splitlines()[0])
            assert trained.classify("lisbon").status_code == 200
        trained.trained(trained.launch("training", market="lisbon"))


def test_runs_of_a_large_market_wait_for_a_worker_of_their_own(trained: Cluster) -> None:
    with nothing_lost(trained), trained.changed(LARGE_MARKETS="oslo"):
        large = trained.launch("training", market="oslo")
        trained.trained(trained.launch("training", market="lisbon"))
        assert trained.runs()[large].status == "QUEUED"
        trained.settings["LARGE_WORKERS"] = "1"
        trained.compose("up", "--no-build", "--no-deps", "--detach", "large-worker")
        trained.wait_for_start(large)
        assert trained.worker_of(large) in trained.workers("large-worker")
        assert trained.trained(large).id == large
        until(trained.settled, seconds=240, every=1)


def test_further_machines_take_runs_and_answer(trained: Cluster) -> None:
    with nothing_lost(trained), trained.further_machine() as further:
        further.up("--no-deps", "worker")
        trained.compose("stop", "worker")
        [run] = trained.start_training("lisbon").values()
        assert trained.worker_of(run) in further.workers()
        assert trained.trained(run).id == run
        further.up("--no-deps", "api", "gateway")
        until(lambda: further.ready() and further.champions() == trained.champions(), seconds=60)
        trained.compose("start", "worker")


def test_a_deployment_moves_to_folders_and_back_and_keeps_its_champions_and_history(trained: Cluster) -> None:
    store, folder = "s3://pipeline/registry", "/app/var/registry"
    champions = trained.champions()
    histories = {market: trained.events(market) for market in MARKETS}
    say(trained.inside("code", "models", "copy", store, folder).stdout.strip())
    trained.move(FOLDERS)
    assert trained.champions() == champions
    assert {market: trained.events(market) for market in MARKETS} == histories
    # Something happens there: other listings, about which the gate decides.
    trained.launch("training", market="new-york")
    until(lambda: len(trained.events("new-york")) > len(histories["new-york"]), seconds=400, every=2)
    histories = {market: trained.events(market) for market in MARKETS}
    champions = {market: trained.promotions(market)[-1] for market in MARKETS}
    until(lambda: trained.champions() == champions, seconds=60, every=0.5)  # the API follows a moment later
    trained.move(SEVERAL)
    say(trained.inside("code", "models", "copy", folder, store).stdout.strip())
    until(lambda: trained.champions() == champions, seconds=30, every=0.5)
    assert {market: trained.events(market) for market in MARKETS} == histories


@contextmanager
def stopped(stack: Cluster, service: str) -> Iterator[None]:
    """A service is killed and not started again meanwhile."""
    stack.compose("kill", service)
    try:
        yield
    finally:
        stack.compose("start", service)


@contextmanager
def read_only(stack: Cluster) -> Iterator[None]:
    """The bucket is over its quota meanwhile, by which SeaweedFS refuses to write into it."""
    shell: Callable[[str], object] = lambda command: stack.inside(  # noqa: E731 (the one command within)
        "objects", "sh", "-c", f"echo '{command}' | weed shell -master=objects:9333"
    )
    shell("s3.bucket.quota -name=pipeline -op=set -sizeMB=1")
    shell("s3.bucket.quota.enforce -apply")
    try:
        yield
    finally:
        shell("s3.bucket.quota -name=pipeline -op=remove")
        shell("s3.bucket.quota.enforce -apply")
