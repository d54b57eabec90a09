"""Which listings a model learned from: none of them is ever missed."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.id_filter import IdFilter, filter_of

IDS = st.lists(st.integers(0, 2**63 - 1), max_size=200)


@given(IDS)
def test_whatever_was_put_in_is_held_also_after_json(ids: list[int]) -> None:
    held = np.array(ids, dtype=np.int64)
    read = msgspec.json.decode(msgspec.json.encode(filter_of(held)), type=IdFilter)
    assert read.may_hold(held).all()


@pytest.mark.parametrize("first", [1, 39_331_263, 2**62])
def test_of_ids_that_were_not_put_in_one_in_a_hundred_is_held(first: int) -> None:
    ids = first + np.arange(60_000, dtype=np.int64)
    held = filter_of(ids[::3])
    assert len(held.bits) == 25_000
    assert held.may_hold(ids[1::3]).mean() == pytest.approx(0.01, abs=0.005)


def test_the_bits_are_those_that_were_published() -> None:
    # What is read years later must be read as it was written.
    assert filter_of(np.array([39_331_263, 7, 2**63 - 1])) == IdFilter(7, bytes.fromhex("7f528529"))


def test_of_nothing_nothing_is_held() -> None:
    assert not filter_of(np.array([], dtype=np.int64)).may_hold(np.array([1, 2])).any()
