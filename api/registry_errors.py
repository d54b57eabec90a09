"""What can be wrong with a registry that is followed, in words."""

from model_registry.classifier import ModelRefused
from model_registry.history import HistoryDamaged
from model_registry.shadow import ShadowDamaged
from model_registry.store import UnknownVersion

MOST_WORDS = 500


class PointerGone(Exception):
    """The registry named a champion before and names none any more."""


class RegistryHangs(Exception):
    """A look at the registry does not come back."""


FORESEEN = (ModelRefused, UnknownVersion, HistoryDamaged, ShadowDamaged, PointerGone, RegistryHangs, OSError)
"""What says so in a sentence; anything else is logged with its traceback."""


def in_words(error: BaseException) -> str:
    """What is wrong, cut off where it is long."""
    foreseen = isinstance(error, FORESEEN)
    words = str(error) if foreseen else f"The registry cannot be followed: {type(error).__name__}: {error}"
    return words if len(words) <= MOST_WORDS else words[:MOST_WORDS] + " …"


def sameness(error: BaseException) -> tuple[type, str]:
    """What two errors have in common that the log tells of once.

    The text of what was not foreseen may differ each time.
    """
    return type(error), in_words(error) if isinstance(error, FORESEEN) and not isinstance(error, RegistryHangs) else ""
