"""What a registry is made of wherever it lies: the few things that a folder and an object store do each in its way."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from model_registry.classifier import PublishedModel
from model_registry.history import Champion, Event
from model_registry.shadow import Shadow


class Present(NamedTuple):
    """What a decision is about: the number of the last event, and the champion that the history leads to."""

    sequence: int
    champion: Champion | None

    @property
    def version(self) -> str | None:
        """The champion's."""
        return None if self.champion is None else self.champion.version


class Primitives(ABC):
    """What `Registry` asks of the place that it lies in."""

    @property
    @abstractmethod
    def place(self) -> Path | str:
        """Where it lies: a folder or a URL."""

    @abstractmethod
    def is_there(self) -> bool:
        """Whether anybody has ever written to it."""

    @abstractmethod
    def versions(self) -> list[str]:
        """The ids of all published versions, in alphabetical order."""

    @abstractmethod
    def champion(self) -> Champion | None:
        """The pointer to the version in production, or None before the first promotion; raises HistoryDamaged."""

    @abstractmethod
    def history(self) -> list[Event]:
        """Every promotion, refusal and rollback, oldest first; raises HistoryDamaged."""

    @abstractmethod
    def open(self, version: str, *, compact: bool = False) -> PublishedModel:
        """A published model, verified, and `compact` where it is to be kept (see Classifier).

        Raises UnknownVersion or ModelRefused.
        """

    @abstractmethod
    def file(self, version: str, name: str) -> bytes:
        """One of a version's files, unverified; raises UnknownVersion, and FileNotFoundError where it is missing."""

    @abstractmethod
    def place_of(self, version: str) -> Path | str:
        """Where a published version lies; raises UnknownVersion."""

    @abstractmethod
    def admit(self, version: str, files: dict[str, bytes]) -> None:
        """Store a version's files, whole and verified; where it is there already, verify that one.

        Raises ModelRefused for files that do not belong together, and stores nothing then.
        """

    @abstractmethod
    def adopt(self, events: list[Event], shadow: Shadow | None) -> None:
        """Record the events of another registry, with their numbers, and its shadow; the versions are here already.

        The own history has to be the beginning of theirs, or NotTheBeginning is raised. The champion's pointer comes
        after all events.
        """

    @abstractmethod
    def prune(self, keep: int) -> list[str]:
        """Remove versions that are neither protected nor among the `keep` newest; their ids, oldest first.

        A version whose manifest cannot be read stays, for a person to look at.
        """

    @abstractmethod
    def ledgers(self) -> dict[str, bool]:
        """What is kept beside the versions (champion's pointer, history, shadow's pointer), and whether it is there."""

    @abstractmethod
    def live_bytes(self, version: str) -> bytes | None:
        """The content of a version's live figures, or None where there are none."""

    @abstractmethod
    def live_state(self, version: str) -> object:
        """What is another one when a version's live figures have changed, and cheap to ask for."""

    @abstractmethod
    def live_place(self, version: str) -> Path | str:
        """Where a version's live figures are, if there are any."""

    @abstractmethod
    def put_live(self, version: str, content: bytes) -> None:
        """Put a version's live figures in place of the last ones; raises UnknownVersion."""

    @abstractmethod
    def _writing(self, version: str | None = None) -> AbstractContextManager[None]:
        """What holds as long as something is written; `version` is not removed meanwhile.

        What a killed writer left unfinished is completed first.
        """

    @abstractmethod
    def _present(self) -> Present:
        """What is decided about; for writers."""

    @abstractmethod
    def _record(self, event: Event) -> bool:
        """Make an event the next of the history, and have the pointer follow; False where another one came first."""

    @abstractmethod
    def _shadow_bytes(self) -> bytes | None:
        """The content of shadow.json, or None where there is no shadow."""

    @abstractmethod
    def _put_shadow(self, shadow: Shadow) -> None:
        """Put a shadow's pointer in place of any other."""

    @abstractmethod
    def _remove_shadow(self) -> None:
        """Remove the pointer to a shadow, whatever it holds."""

    @abstractmethod
    def _remove_promoted_shadow(self) -> None:
        """Remove the pointer to a shadow that is the champion; one that cannot be read stays, for a person to see."""
