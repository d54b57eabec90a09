"""The champion in memory: follows the registry, and swaps without dropping a request."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from model_registry.classifier import Classifier, ModelRefused, PublishedModel
from model_registry.history import HistoryDamaged
from model_registry.store import Registry, UnknownVersion

POLL_SECONDS = 1.0
"""How often the pointer is looked at; file notifications do not cross every container's bind mount."""

logger = logging.getLogger("api.serving")


@dataclass(frozen=True)
class Champion:
    """The model that answers, and the response headers that tell where its answers come from."""

    version: str
    classifier: Classifier
    headers: dict[str, str]

    @classmethod
    def of(cls, published: PublishedModel) -> "Champion":
        """A verified version, ready to answer."""
        manifest = published.manifest
        return cls(
            version=manifest.version,
            classifier=published.classifier,
            headers={
                "X-Model-Version": manifest.version,
                "X-Run-Id": manifest.run.run_id,
                "X-Snapshot": manifest.snapshot.sha256,
            },
        )


class Serving:
    """Holds the registry's champion, or the reason why there is none.

    `champion` is replaced as a whole: a request that took it once is answered by one model. A champion that
    is refused leaves the old one answering and its reason in `problem`.
    """

    def __init__(self, registry: Registry) -> None:
        """Serve from this registry; nothing is read before `refresh`."""
        self._registry = registry
        self.champion: Champion | None = None
        self.problem: str | None = "The champion has not been loaded yet."

    def refresh(self) -> None:
        """Load the champion if the registry names another one than is held."""
        try:
            pointer = self._registry.champion()
            if pointer is None:
                self.problem = f"No model has been promoted in {self._registry.folder} yet: run the pipeline."
            elif self.champion is None or self.champion.version != pointer.version:
                self.champion = Champion.of(self._registry.open(pointer.version))
                self.problem = None
                logger.info("Serving %s", pointer.version)
            else:
                self.problem = None
        except (ModelRefused, UnknownVersion, HistoryDamaged, OSError) as error:
            if self.problem != str(error):
                logger.error("The champion cannot be served: %s", error)  # noqa: TRY400 (the sentence says all)
            self.problem = str(error)

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
