"""What happens once listings are answered: they are logged, and the shadow is asked about a sample of them."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from api.champion import Champion
from api.predictions import Name, Predictions
from api.sampling import Sample
from api.shadow import Shadowing, ShadowModel
from model_registry.listing import CATEGORIES, Listing

Probabilities = NDArray[np.float32]


class Afterwards:
    """Takes what was answered; nobody waits for it, and nothing that goes wrong here is an answer's."""

    def __init__(self, predictions: Predictions, shadowing: Shadowing, sample: Sample) -> None:
        """Log here, and ask the shadows about a sample."""
        self._predictions, self._shadowing, self._sample = predictions, shadowing, sample

    def singles(
        self, champion: Champion, ids: Sequence[bytes], listings: Sequence[Listing], of_each: Probabilities
    ) -> None:
        """Take single listings that a champion answered together: their requests' ids and probabilities (n, 4)."""
        shadow = self._shadowing.beside(champion) if self._shadowing.models else None
        if shadow is None:
            self._predictions.log_soon(champion, ids, listings, of_each)
            return
        names: list[Name] = [(one, None) for one in ids]
        sampled = [self._sample.takes(one) for one in ids]
        self.unsampled(champion, names, listings, of_each, sampled)
        places = [place for place, taken in enumerate(sampled) if taken]
        if places:
            self.ask(
                shadow,
                champion,
                [names[place] for place in places],
                [listings[place] for place in places],
                of_each[places],
            )

    def batch(self, champion: Champion, request_id: bytes) -> "Batch":
        """What takes the listings of a batch."""
        shadow = self._shadowing.beside(champion) if self._shadowing.models else None
        return Batch(self, champion, request_id, shadow)

    def takes(self, name: Name) -> bool:
        """Whether the shadow is to be asked about a listing."""
        return self._sample.takes(name[0], name[1] or 0)

    def unsampled(
        self,
        champion: Champion,
        names: Sequence[Name],
        listings: Sequence[Listing],
        of_each: Probabilities,
        sampled: Sequence[bool],
    ) -> None:
        """Log those that the shadow is not to be asked about."""
        if not any(sampled):
            self._predictions.log(champion, names, listings, of_each)
            return
        places = [place for place, taken in enumerate(sampled) if not taken]
        if places:
            kept = [names[place] for place in places], [listings[place] for place in places], of_each[places]
            self._predictions.log(champion, *kept)

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
        done = partial(self._predictions.log, champion, names, listings, of_each)
        self._shadowing.ask(shadow, listings, categories, done)


class Batch:
    """Takes the listings of a batch, part by part, in whatever thread answers them; the event loop ends it."""

    def __init__(
        self, afterwards: Afterwards, champion: Champion, request_id: bytes, shadow: ShadowModel | None
    ) -> None:
        """The shadow that is there when the batch begins is asked about all of it."""
        self._afterwards, self._champion, self._request_id, self._shadow = afterwards, champion, request_id, shadow
        self._names, self._listings, self._of_each = list[Name](), list[Listing](), list[Probabilities]()

    def answered(self, places: Sequence[int], listings: Sequence[Listing], of_each: Probabilities) -> None:
        """Take listings with their places in the batch and their probabilities (n, 4)."""
        names: list[Name] = [(self._request_id, place) for place in places]
        sampled = [self._shadow is not None and self._afterwards.takes(name) for name in names]
        self._afterwards.unsampled(self._champion, names, listings, of_each, sampled)
        if any(sampled):
            self._names += [name for name, taken in zip(names, sampled, strict=True) if taken]
            self._listings += [listing for listing, taken in zip(listings, sampled, strict=True) if taken]
            self._of_each.append(of_each[sampled])

    def end(self) -> None:
        """Have the shadow asked about its sample."""
        if self._shadow is not None and self._names:
            of_each = np.concatenate(self._of_each)
            self._afterwards.ask(self._shadow, self._champion, self._names, self._listings, of_each)
