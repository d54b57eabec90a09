"""What can be wrong with an object store; here, that it can be told without loading the store's client."""

import errno
import re

MOST_TOLD = 300
"""So many characters of what the store said are told on."""
REFUSED = re.compile(r"status code: 40[13]\b")
"""How a list is refused: not by an error of its own."""
_TIMING = re.compile(
    r" in [\d.]+(?:ns|µs|ms|s)\b|, after \d+ retries, max_retries: \d+, retry_timeout: [\d.]+\w+", re.IGNORECASE
)


class StoreAway(OSError):
    """The store cannot be reached, does not answer in time, fails, or refuses the request."""

    def __init__(self, sentence: str) -> None:
        """Say it in one sentence, with the store's address and the cure."""
        super().__init__(errno.EIO, sentence)

    def __str__(self) -> str:
        """The sentence alone."""
        return str(self.strerror)


class StoreRefuses(StoreAway):
    """The store does not take the credentials, or they may not do what was asked: waiting changes nothing."""


class Changed(Exception):
    """An object was to replace another one that is not there any more as it was seen."""


class UnsafeStore(Exception):
    """The store lets two conditional writers win: nothing can be decided on it."""


def told(error: Exception) -> str:
    """What obstore says, on one line: the same each time that the same is wrong, so without how long it took."""
    said = " ".join(_TIMING.sub("", str(error).partition("Debug source:")[0]).split()).rstrip(":")
    return said if len(said) <= MOST_TOLD else f"{said[:MOST_TOLD]} …"
