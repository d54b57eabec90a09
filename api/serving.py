"""The champion in memory: follows the registry, and swaps without dropping a request."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from api.metrics import Metrics
from api.schemas import Answer, Model, Probabilities
from model_registry.classifier import Classifier, ModelRefused, PublishedModel
from model_registry.history import HistoryDamaged
from model_registry.listing import CATEGORIES, Listing, encode_all
from model_registry.store import Registry, UnknownVersion

POLL_SECONDS = 1.0
"""How often the pointer is looked at; file notifications do not cross every container's bind mount."""

logger = logging.getLogger("api.serving")


@dataclass(frozen=True)
class Champion:
    """The model that answers, what a client may know of it, and the headers that tell where answers come from."""

    model: Model
    classifier: Classifier
    headers: dict[str, str]

    @classmethod
    def of(cls, published: PublishedModel) -> "Champion":
        """A verified version, warmed by the golden rows it was verified with."""
        manifest = published.manifest
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
            headers={
                "X-Model-Version": manifest.version,
                "X-Run-Id": manifest.run.run_id,
                "X-Snapshot": manifest.snapshot.sha256,
                "X-Synthetic": "true" if manifest.snapshot.synthetic else "false",
            },
        )

    @property
    def version(self) -> str:
        """The id of the version that answers."""
        return self.model.version

    def answers(self, listings: list[Listing], *, probabilities: bool) -> list[Answer]:
        """The answer to each listing, in order, with the probabilities where they are asked for."""
        if not listings:
            return []
        of_each = self.classifier.probabilities(encode_all(listings))
        codes = of_each.argmax(axis=1).tolist()
        if not probabilities:
            return [Answer(listing.id, CATEGORIES[code]) for listing, code in zip(listings, codes, strict=True)]
        return [
            Answer(listing.id, CATEGORIES[code], Probabilities(*row))
            for listing, code, row in zip(listings, codes, of_each.tolist(), strict=True)
        ]


class Serving:
    """Holds the registry's champion, or the reason why there is none.

    `champion` is replaced as a whole: a request that took it once is answered by one model. A champion that
    is refused leaves the old one answering and its reason in `problem`.
    """

    def __init__(self, registry: Registry, metrics: Metrics) -> None:
        """Serve from this registry; nothing is read before `refresh`."""
        self._registry = registry
        self._metrics = metrics
        self.champion: Champion | None = None
        self.problem: str | None = "The champion has not been loaded yet."
        self._refused: str | None = None

    def refresh(self) -> None:
        """Load the champion if the registry names another one than is held."""
        try:
            pointer = self._registry.champion()
            if pointer is None:
                self.problem = f"No model has been promoted in {self._registry.folder} yet: run the pipeline."
                return
            if self.champion is None or self.champion.version != pointer.version:
                published = self._registry.open(pointer.version)
                self.champion = Champion.of(published)
                self._metrics.loaded(published.manifest)
                logger.info("Serving %s", pointer.version)
            self.problem = self._refused = None
        except (ModelRefused, UnknownVersion, HistoryDamaged, OSError) as error:
            self.problem = str(error)
            if self._refused != self.problem:
                self._refused = self.problem
                self._metrics.refused()
                logger.error("The champion cannot be served: %s", error)  # noqa: TRY400 (the sentence says all)

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[None]:
        """Keep up with the registry as long as the context is open; the first look is taken before it opens."""
        await asyncio.to_thread(self.refresh)
        task = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await asyncio.to_thread(self.refresh)
