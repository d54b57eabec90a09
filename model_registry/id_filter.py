"""Which listings a model learned from: enough to leave them out of a later comparison, in a byte or so for each."""

import msgspec
import numpy as np
from numpy.typing import NDArray

_BITS_FOR_EACH = 10
_HASHES = 7


class IdFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Bloom filter of listings' ids (Bloom, 1970): it holds each that was put in, and one in a hundred others.

    An id's bits are (a + i * b) mod the number of bits, i from 0 to hashes - 1, with a and b two SplitMix64 hashes of
    it (Kirsch and Mitzenmacher, 2006); bit 0 is the highest of the first byte.
    """

    hashes: int
    bits: bytes

    def may_hold(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each of the ids (n,) was put in; of those that were not, True for one in a hundred. (n,) bool."""
        bits = np.unpackbits(np.frombuffer(self.bits, dtype=np.uint8))
        if not len(bits):
            return np.zeros(len(ids), dtype=np.bool_)
        return np.logical_and.reduce(bits[_places(ids, self.hashes, len(bits))] > 0, axis=0)


def filter_of(ids: NDArray[np.int64]) -> IdFilter:
    """The filter that holds these ids (n,)."""
    bits = np.zeros((len(ids) * _BITS_FOR_EACH + 7) // 8 * 8, dtype=np.uint8)
    if len(ids):
        bits[_places(ids, _HASHES, len(bits))] = 1
    return IdFilter(_HASHES, np.packbits(bits).tobytes())


def _places(ids: NDArray[np.int64], hashes: int, bits: int) -> NDArray[np.uint64]:
    # (hashes, n): the places of each id's bits.
    first = _hashed(ids.astype(np.uint64))
    second = _hashed(first)
    turns = np.arange(hashes, dtype=np.uint64)[:, np.newaxis]
    return (first + turns * (second | np.uint64(1))) % np.uint64(bits)


def _hashed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # SplitMix64 (Steele, Lea and Flood, 2014).
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
