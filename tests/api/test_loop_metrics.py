"""Figures counted by the event loop alone read as prometheus_client's own."""

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from api.loop_metrics import LoopCounter, LoopHistogram

ROUTES = st.sampled_from(["/classify", "/livez", 'a "quoted" one', "a\\b"])
BUCKETS = (0.0005, 0.01, 0.25, 1.0, 30.0)


def told(registry: CollectorRegistry) -> list[str]:
    """The page, without the times at which figures were begun."""
    lines = generate_latest(registry).decode().splitlines()
    return sorted(
        line for line in lines if not line.startswith("api_requests_created{") and "seconds_created" not in line
    )


@settings(deadline=None)
@given(st.lists(st.tuples(ROUTES, st.sampled_from(["200", "400"]), st.integers(1, 10_000)), max_size=20))
def test_a_counter(counted: list[tuple[str, str, int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    loop = LoopCounter("api_requests", "Requests answered.", ("route", "status"), registry=ours)
    plain = Counter("api_requests", "Requests answered.", ["route", "status"], registry=theirs)
    for route, status, count in counted:
        loop.inc((route, status), count)
        plain.labels(route, status).inc(count)
    assert told(ours) == told(theirs)


@settings(deadline=None)
@given(st.lists(st.tuples(ROUTES, st.one_of(st.sampled_from(BUCKETS), st.floats(0, 100))), max_size=30))
def test_a_histogram(observed: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    loop = LoopHistogram("api_seconds", "Time.", ("route",), buckets=BUCKETS, registry=ours)
    plain = Histogram("api_seconds", "Time.", ["route"], buckets=BUCKETS, registry=theirs)
    for route, seconds in observed:
        loop.observe((route,), seconds)
        plain.labels(route).observe(seconds)
    assert told(ours) == told(theirs)


def test_a_histogram_without_labels_is_there_from_the_start() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    LoopHistogram("api_seconds", "Time.", (), buckets=(1, 2), registry=ours).observe((), 2)
    Histogram("api_seconds", "Time.", buckets=(1, 2), registry=theirs).observe(2)
    assert told(ours) == told(theirs)
