"""What happens once listings are answered: they are logged, and the shadow is asked about a sample of them."""

from collections.abc import Sequence
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from api.champion import Champion
from api.predictions import Name, Predictions
from api.sampling import Sample
from api.shadow import Shadowing, ShadowModel
from model_registry.listing import CATEGORIES, Listing

Probabilities = NDArray[np.float32]
Part = tuple[list[Name], list[Listing], Probabilities]
"""Some of the listings that were answered: the answers' names, themselves and their probabilities (n, 4)."""


class Afterwards:
    """Takes what was answered; nobody waits for it, and nothing that goes wrong here is an answer's."""

    def __init__(self, predictions: Predictions, shadowing: Shadowing, sample: Sample) -> None:
        """Log here, and ask the shadows about a sample."""
        self.predictions = predictions
        self._shadowing, self._sample = shadowing, sample

    def singles(
        self, champion: Champion, ids: Sequence[bytes], listings: Sequence[Listing], of_each: Probabilities
    ) -> None:
        """Take single listings that a champion answered together: their requests' ids and probabilities (n, 4)."""
        names: list[Name] = [(one, None) for one in ids]
        shadow = self._beside(champion)
        if shadow is None:
            self.predictions.log_soon(champion, names, listings, of_each)
            return
        asked, others = self.split(names)
        if others:
            self.predictions.log_soon(champion, *_part(names, listings, of_each, others))
        if asked:
            self.ask(shadow, champion, *_part(names, listings, of_each, asked))

    def batch(self, champion: Champion, request_id: bytes) -> "Batch":
        """What takes the listings of a batch."""
        return Batch(self, champion, request_id, self._beside(champion))

    def split(self, names: Sequence[Name]) -> tuple[list[int], list[int]]:
        """The places of those that a shadow is to be asked about, and of the others."""
        asked, others = list[int](), list[int]()
        for place, (id_, index) in enumerate(names):
            (asked if self._sample.takes(id_, index or 0) else others).append(place)
        return asked, others

    def ask(
        self,
        shadow: ShadowModel,
        champion: Champion,
        names: Sequence[Name],
        listings: Sequence[Listing],
        of_each: Probabilities,
    ) -> None:
        """Have the shadow asked, and log both answers together."""
        categories = [CATEGORIES[code] for code in of_each.argmax(axis=1).tolist()]
        done = partial(self.predictions.log, champion, names, listings, of_each)
        self._shadowing.ask(shadow, listings, categories, done)

    def _beside(self, champion: Champion) -> ShadowModel | None:
        return self._shadowing.beside(champion) if self._shadowing.models else None


class Batch:
    """Takes the listings of a batch, part by part, in whatever thread answers them; the event loop ends it."""

    def __init__(
        self, afterwards: Afterwards, champion: Champion, request_id: bytes, shadow: ShadowModel | None
    ) -> None:
        """The shadow that is there when the batch begins is asked about all of it."""
        self._afterwards, self._champion, self._request_id, self._shadow = afterwards, champion, request_id, shadow
        self._asked = list[Part]()

    def answered(self, places: Sequence[int], listings: Sequence[Listing], of_each: Probabilities) -> None:
        """Take listings with their places in the batch and their probabilities (n, 4)."""
        names: list[Name] = [(self._request_id, place) for place in places]
        log = partial(self._afterwards.predictions.log, self._champion)
        if self._shadow is None:
            log(names, listings, of_each)
            return
        asked, others = self._afterwards.split(names)
        if others:
            log(*_part(names, listings, of_each, others))
        if asked:
            self._asked.append(_part(names, listings, of_each, asked))

    def end(self) -> None:
        """Have the shadow asked about its sample, all or none of it."""
        if self._shadow is not None and self._asked:
            names, listings, of_each = zip(*self._asked, strict=True)
            together = list(chain(*names)), list(chain(*listings)), np.concatenate(of_each)
            self._afterwards.ask(self._shadow, self._champion, *together)


def _part(names: Sequence[Name], listings: Sequence[Listing], of_each: Probabilities, places: list[int]) -> Part:
    return [names[place] for place in places], [listings[place] for place in places], of_each[places]
