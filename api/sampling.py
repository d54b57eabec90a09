"""A sample of the listings: decided by the request's id, so that whoever knows the id knows what was decided."""

from zlib import crc32

_ALL = 2**32
_STEP = 2_654_435_769
"""A golden section of all: in steps of it, places are spread as evenly as can be, however many there are."""


class Sample:
    """Takes a share of the listings; a smaller share takes some of those that every larger one takes."""

    def __init__(self, share: float) -> None:
        """Take this share, from 0 to 1."""
        self._below = share * _ALL

    def takes(self, request_id: bytes, index: int = 0) -> bool:
        """Whether it takes a request's listing, or that in a place of its batch (from 0)."""
        return (crc32(request_id) + index * _STEP) % _ALL < self._below
