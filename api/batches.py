"""Answering a batch: all of it by one model, in parts, so that it can be done beside the event loop.

One call of msgspec or of NumPy holds the interpreter until it returns: parts of a few hundred listings let the event
loop have its turn every millisecond.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.champion import Champion
from api.champion import answers as answers_to
from api.microbatch import nowhere
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


@dataclass(frozen=True)
class AnsweredBatch:
    """The answer as it is sent, and how many listings were given which category."""

    content: bytes
    categories: Counter[PriceCategory]


def executor() -> ThreadPoolExecutor:
    """The threads that answer batches, and nothing else: no batch waits for other work, and none waits for a batch."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ThreadPoolExecutor(min(cores, MOST_THREADS), thread_name_prefix="batch")


Log = Callable[[Sequence[int], Sequence[Listing], NDArray[np.float32]], None]
"""Told of listings that were answered: their places in the batch, themselves and their probabilities (n, 4)."""


def answer_batch(
    champion: Champion, body: bytes, *, probabilities: bool, partial: bool, log: Log = nowhere
) -> AnsweredBatch:
    """The answers to a batch in order; `partial` answers the good listings among bad ones.

    Raises Invalid where the body is no batch or, unless `partial`, a listing in it is wrong.
    """
    rows = champion.reader.rows(body) if partial else champion.reader.batch(body)
    parts, categories = list[bytes](), Counter[PriceCategory]()
    for start in range(0, len(rows), PART):
        part = rows[start : start + PART]
        places = [place for place, row in enumerate(part, start) if not isinstance(row, Invalid)]
        good = [row for row in part if not isinstance(row, Invalid)]
        answers = list[Answer]()
        if good:
            of_each = champion.probabilities(good)
            answers = answers_to(good, of_each, probabilities=[probabilities] * len(good))
            log(places, good, of_each)
        categories.update(answer.price_category for answer in answers)
        parts.append(_encode(_in_place(part, answers))[1:-1])
    return AnsweredBatch(b"[%b]" % b",".join(parts), categories)


def _in_place(part: list[Listing | Invalid] | list[Listing], answers: list[Answer]) -> list[Answer | BadListing]:
    answer = iter(answers)
    return [BadListing(row.problem()) if isinstance(row, Invalid) else next(answer) for row in part]
