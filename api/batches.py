"""Answering a batch: all of it by one model, in parts, so that it can be done beside the event loop.

One call of msgspec or of NumPy holds the interpreter until it returns: parts of a few hundred listings let the event
loop have its turn every millisecond.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from api.champion import Champion
from api.schemas import Answer, BadListing
from api.validation import Invalid
from model_registry.listing import Listing, PriceCategory

INLINE_BYTES = 8_192
"""A body up to this size (some thirty listings) is answered where it arrives: a thread would cost more than it."""
PART = 256
"""How many listings are answered and encoded at once."""
MOST_THREADS = 2
"""While one's model call runs, which needs no interpreter, the other reads; more would wait for each other."""

_encode = msgspec.json.Encoder().encode


class Kept(NamedTuple):
    """A listing in its place in a batch, from 0, and its answer."""

    place: int
    listing: Listing
    answer: Answer


@dataclass(frozen=True)
class AnsweredBatch:
    """The answer as it is sent, how many listings were given which category, and those that were to be kept."""

    content: bytes
    categories: Counter[PriceCategory]
    kept: Sequence[Kept]


def executor() -> ThreadPoolExecutor:
    """The threads that answer batches, and nothing else: no batch waits for other work, and none waits for a batch."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ThreadPoolExecutor(min(cores, MOST_THREADS), thread_name_prefix="batch")


def answer_batch(
    champion: Champion,
    body: bytes,
    *,
    probabilities: bool,
    partial: bool,
    keep: Callable[[int], bool] | None = None,
) -> AnsweredBatch:
    """The answers to a batch in order; `partial` answers the good listings among bad ones.

    Those that are answered and in a place to `keep` are kept. Raises Invalid where the body is no batch or, unless
    `partial`, a listing in it is wrong.
    """
    rows = champion.reader.rows(body) if partial else champion.reader.batch(body)
    parts, categories, kept = list[bytes](), Counter[PriceCategory](), list[Kept]()
    for start in range(0, len(rows), PART):
        part = rows[start : start + PART]
        good = [row for row in part if isinstance(row, Listing)]
        answers = champion.answers(good, probabilities=[probabilities] * len(good))
        categories.update(answer.price_category for answer in answers)
        if keep is not None:
            places = [place for place, row in enumerate(part, start) if isinstance(row, Listing)]
            kept += [Kept(*one) for one in zip(places, good, answers, strict=True) if keep(one[0])]
        parts.append(_encode(_in_place(part, answers))[1:-1])
    return AnsweredBatch(b"[%b]" % b",".join(parts), categories, kept)


def _in_place(part: list[Listing | Invalid] | list[Listing], answers: list[Answer]) -> list[Answer | BadListing]:
    answer = iter(answers)
    return [BadListing(row.problem()) if isinstance(row, Invalid) else next(answer) for row in part]
