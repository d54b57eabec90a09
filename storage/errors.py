"""What can be wrong with an object store; here, that it can be told without loading the store's client."""

import errno


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
