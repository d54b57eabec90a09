"""A sample: the decision is the request id's, and the share is what it is said to be."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.sampling import Sample

IDS = st.binary(min_size=1, max_size=128)
INDICES = st.integers(0, 9_999)


@given(IDS, INDICES)
def test_a_share_of_0_takes_none_and_of_1_takes_all(request_id: bytes, index: int) -> None:
    assert not Sample(0).takes(request_id, index)
    assert Sample(1).takes(request_id, index)


@given(IDS, INDICES, st.floats(0, 1), st.floats(0, 1))
def test_what_a_smaller_share_takes_a_larger_one_takes_too(request_id: bytes, index: int, a: float, b: float) -> None:
    smaller, larger = sorted((a, b))
    assert Sample(smaller).takes(request_id, index) <= Sample(larger).takes(request_id, index)


def test_the_same_id_is_decided_alike_in_every_process() -> None:
    assert [number for number in range(30) if Sample(0.1).takes(b"request-%d" % number)] == [10, 14, 18]
    assert [index for index in range(30) if Sample(0.1).takes(b"request-0", index)] == [2, 15, 23]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_of_many_requests_the_share_is_taken_however_they_are_named(share: float) -> None:
    chance = random.Random(1)  # noqa: S311 (no secret)
    for named in ([b"%032x" % chance.getrandbits(128) for _ in range(20_000)], [b"id-%d" % n for n in range(20_000)]):
        taken = sum(Sample(share).takes(name) for name in named)
        assert abs(taken - share * 20_000) < 5 * (share * (1 - share) * 20_000) ** 0.5


@given(IDS, st.sampled_from([0.01, 0.1, 0.5]), st.sampled_from([100, 1_000, 10_000]))
def test_of_a_batch_the_share_is_taken_but_for_a_few(request_id: bytes, share: float, listings: int) -> None:
    taken = sum(Sample(share).takes(request_id, index) for index in range(listings))
    assert abs(taken - share * listings) <= 3
