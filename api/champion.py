"""The model that answers for a market, and all that an answer needs of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.inputs import Inputs
from api.pages import Page
from api.schemas import Answer, Explanation, Model, Probabilities
from api.validation import Reader, reader_of
from model_registry.classifier import Classifier, PublishedModel
from model_registry.explanation import explain
from model_registry.listing import CATEGORIES, Listing, encode_all
from model_registry.market import Market

NO_BACKGROUND = (
    "The version {version} was published without the listings that explanations compare with: the next other model "
    "that is promoted has them."
)


@dataclass(frozen=True, eq=False)
class Champion:
    """The model that answers, what a client may know of it, and the headers that tell where answers come from."""

    model: Model
    classifier: Classifier
    market: Market
    neighbourhoods: Mapping[str, int]
    """The market's codes; looked up once, for each listing is answered with them."""
    reader: Reader[Listing]
    """Of listings of that market."""
    headers: dict[str, str]
    raw_headers: tuple[tuple[bytes, bytes], ...]
    """The same as ASGI has them."""
    background: NDArray[np.float32]
    """The feature rows that explanations compare with; none where the version was published without."""
    inputs: Inputs
    """What the model takes."""
    card: Page
    """The report that was published with it."""

    @classmethod
    def of(cls, published: PublishedModel) -> "Champion":
        """A verified version, warmed by the golden rows it was verified with."""
        manifest = published.manifest
        headers = {
            "X-Market": manifest.market.name,
            "X-Model-Version": manifest.version,
            "X-Run-Id": manifest.run.run_id,
            "X-Snapshot": manifest.snapshot.sha256,
            "X-Synthetic": "true" if manifest.snapshot.synthetic else "false",
        }
        return cls(
            model=Model(
                version=manifest.version,
                candidate=manifest.candidate,
                created_at=manifest.created_at,
                run_id=manifest.run.run_id,
                snapshot=manifest.snapshot.sha256,
                snapshot_date=manifest.snapshot.date,
                synthetic=manifest.snapshot.synthetic,
                features=manifest.signature.features,
                classes=manifest.signature.classes,
                metrics=manifest.metrics.get("test", {}),
            ),
            classifier=published.classifier,
            market=manifest.market,
            neighbourhoods=manifest.market.codes,
            reader=reader_of(manifest.market),
            headers=headers,
            raw_headers=tuple((name.lower().encode(), value.encode()) for name, value in headers.items()),
            background=encode_all(manifest.background, manifest.market.codes),
            inputs=Inputs.of(manifest),
            card=Page.of(published.report, "text/html"),
        )

    @property
    def version(self) -> str:
        """The id of the version that answers."""
        return self.model.version

    def probabilities(self, listings: Sequence[Listing]) -> NDArray[np.float32]:
        """What the model says of each listing, in order: (n, 4), n at least 1."""
        return self.classifier.probabilities(encode_all(listings, self.neighbourhoods))

    def answers(self, listings: Sequence[Listing], *, probabilities: Sequence[bool]) -> list[Answer]:
        """The answer to each listing, in order, with the probabilities where they are asked for."""
        return answers(listings, self.probabilities(listings), probabilities=probabilities) if listings else []

    def explained(self, listing: Listing, answer: Answer) -> Answer:
        """The answer to a listing with the reasons for it: tens of milliseconds of work, beside the event loop."""
        if not len(self.background):
            return msgspec.structs.replace(answer, no_explanation=NO_BACKGROUND.format(version=self.version))
        row = encode_all([listing], self.neighbourhoods)[0]
        category = CATEGORIES.index(answer.price_category)
        found = explain(self.classifier.probabilities, row, self.background, category)
        return msgspec.structs.replace(answer, explanation=Explanation(found.base, found.contributions))


def answers(
    listings: Sequence[Listing], of_each: NDArray[np.float32], *, probabilities: Sequence[bool]
) -> list[Answer]:
    """The answer to each listing, by the probabilities (n, 4) that a model gave, with them where they are asked for."""
    codes = of_each.argmax(axis=1).tolist()
    if not any(probabilities):
        return [Answer(listing.id, CATEGORIES[code]) for listing, code in zip(listings, codes, strict=True)]
    return [
        Answer(listing.id, CATEGORIES[code], Probabilities(*row) if asked_for else None)
        for listing, code, row, asked_for in zip(listings, codes, of_each.tolist(), probabilities, strict=True)
    ]
