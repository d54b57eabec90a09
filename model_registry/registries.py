"""The registries of all markets: in a folder, or in an object store, each under its market's name."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from model_registry.classifier import PublishedModel
from model_registry.folder_store import PATIENCE, FolderRegistry
from model_registry.history import Champion, Event
from model_registry.manifest import Manifest
from model_registry.market import is_market_name
from model_registry.old_layout import market_of, take_over
from model_registry.shadow import Shadow
from model_registry.store import MarketRegistry
from storage.address import is_url

_Read = TypeVar("_Read")


class UnknownMarket(Exception):
    """What was named cannot be a market."""


class Shared(ABC):
    """Where the registries of all markets lie."""

    @property
    @abstractmethod
    def place(self) -> Path | str:
        """A folder or a URL."""

    @abstractmethod
    def markets(self) -> list[str]:
        """The markets that have a registry, in alphabetical order."""

    @abstractmethod
    def of(self, market: str) -> MarketRegistry:
        """A market's registry, which need not be there yet."""


class Registries:
    """The registries of all markets, each beneath its market's name.

    Before there were several, the one market's lay in the folder itself. Such a folder is read as that market's, and
    the first writer takes it over: whole or not at all.
    """

    def __init__(self, place: Path | str, *, patience: float | None = None) -> None:
        """Look after a folder, which the first writer makes, or a URL; a writer waits `patience` seconds for another.

        Raises BadAddress for a URL that cannot be used.
        """
        waits = PATIENCE if patience is None else patience
        self._shared: Shared
        if isinstance(place, str) and is_url(place):
            # Here, for whoever has a folder need not load the client of an object store.
            from model_registry.object_store import SharedObjects

            self._shared = SharedObjects(place, patience=waits)
        else:
            self._shared = _SharedFolder(Path(place), patience=waits)

    @property
    def place(self) -> Path | str:
        """Where they lie: a folder or a URL."""
        return self._shared.place

    def markets(self) -> list[str]:
        """The markets that have a registry, in alphabetical order."""
        return self._shared.markets()

    def of(self, market: str) -> MarketRegistry:
        """A market's registry, which need not be there yet; raises UnknownMarket for what is no market's name."""
        if not is_market_name(market):
            raise UnknownMarket(f"{market!r} is no market's name: see `models markets`")
        return self._shared.of(market)


class _SharedFolder(Shared):
    def __init__(self, folder: Path, patience: float) -> None:
        self._folder, self._patience = folder, patience

    @property
    def place(self) -> Path:
        return self._folder

    def markets(self) -> list[str]:
        try:
            found = {entry.name for entry in self._folder.iterdir() if is_market_name(entry.name) and entry.is_dir()}
        except FileNotFoundError:
            return []
        old = market_of(self._folder)
        return sorted(found if old is None else {*found, old})

    def of(self, market: str) -> MarketRegistry:
        return FolderOfMarket(self._folder, market, patience=self._patience)


class FolderOfMarket(FolderRegistry, MarketRegistry):
    """One market's registry in the folder of all; as long as no one has written to it, in the old place too."""

    market: str

    def __init__(self, shared: Path, market: str, *, patience: float) -> None:
        """Open the registry of a market in the folder that all share."""
        super().__init__(shared / market, market=market, patience=patience)
        self._shared = shared

    @property
    def folder(self) -> Path:
        """Where it lies: its own folder, or that of all where it was not taken over yet."""
        if not self._folder.exists() and market_of(self._shared) == self.market:
            return self._shared
        return self._folder

    def versions(self) -> list[str]:
        """See Registry."""
        return self._in_one_place(super().versions)

    def champion(self) -> Champion | None:
        """See Registry."""
        return self._in_one_place(super().champion)

    def shadow(self) -> Shadow | None:
        """See Registry."""
        return self._in_one_place(super().shadow)

    def history(self) -> list[Event]:
        """See Registry."""
        return self._in_one_place(super().history)

    def open(self, version: str, *, compact: bool = False) -> PublishedModel:
        """See Registry."""
        return self._in_one_place(lambda: super(FolderOfMarket, self).open(version, compact=compact))

    def manifest(self, version: str) -> Manifest:
        """See Registry."""
        return self._in_one_place(lambda: super(FolderOfMarket, self).manifest(version))

    def _in_one_place(self, read: Callable[[], _Read]) -> _Read:
        # What was half read when another process took the registry over is read again, where it lies now; from there
        # it goes nowhere, and is not asked again: with hundreds of markets every question counts.
        while True:
            place = self.folder
            try:
                result = read()
            except Exception:
                if self._stayed(place):
                    raise
            else:
                if self._stayed(place):
                    return result

    def _stayed(self, place: Path) -> bool:
        return self._folder == place or self.folder == place

    @contextmanager
    def _writing(self, version: str | None = None) -> Generator[None]:
        take_over(self._shared, self._patience)
        with super()._writing(version):
            yield
