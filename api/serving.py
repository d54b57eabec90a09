"""The champion in memory: follows the registry, and swaps without dropping a request."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from api.metrics import Metrics
from api.schemas import Answer, Model, Probabilities
from api.validation import Reader, reader_of
from model_registry.classifier import Classifier, ModelRefused, PublishedModel
from model_registry.history import HistoryDamaged
from model_registry.listing import CATEGORIES, Listing, encode_all
from model_registry.market import Market
from model_registry.store import Registry, UnknownVersion

POLL_SECONDS = 1.0
"""How often the pointer is looked at; file notifications do not cross every container's bind mount."""

FIRST_LOOK_SECONDS = 6.0
"""How long the start waits for the registry; after that the service is alive, and not ready."""
LAST_LOOK_SECONDS = 2.0
"""How long the end waits for a look that is under way."""
HANGING_SECONDS = 5.0
"""A look that takes longer is told of, and another one is begun; a model is opened in a fraction of it."""
LONGEST_PATIENCE = 300.0
"""Each further one is begun after twice as long, up to this: what hangs is a thread."""
MOST_WORDS = 500

logger = logging.getLogger("api.serving")


class RegistryHangs(Exception):
    """A look at the registry does not come back."""


class PointerGone(Exception):
    """The registry named a champion before and names none any more."""


FORESEEN = (ModelRefused, UnknownVersion, HistoryDamaged, PointerGone, RegistryHangs, OSError)
"""What can be wrong with a registry and says so in a sentence; anything else is logged with its traceback."""

Look = tuple[BaseException | None, PublishedModel | None]
"""What a look ended with: an error, or the champion where there is a new one."""


@dataclass(frozen=True, eq=False)
class Champion:
    """The model that answers, what a client may know of it, and the headers that tell where answers come from."""

    model: Model
    classifier: Classifier
    market: Market
    neighbourhoods: Mapping[str, int]
    """The market's codes; looked up once, for each listing is answered with them."""
    reader: Reader
    """Of listings of that market."""
    headers: dict[str, str]
    raw_headers: tuple[tuple[bytes, bytes], ...]
    """The same as ASGI has them."""

    @classmethod
    def of(cls, published: PublishedModel) -> "Champion":
        """A verified version, warmed by the golden rows it was verified with."""
        manifest = published.manifest
        headers = {
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
        )

    @property
    def version(self) -> str:
        """The id of the version that answers."""
        return self.model.version

    def answers(self, listings: Sequence[Listing], *, probabilities: Sequence[bool]) -> list[Answer]:
        """The answer to each listing, in order, with the probabilities where they are asked for."""
        if not listings:
            return []
        of_each = self.classifier.probabilities(encode_all(listings, self.neighbourhoods))
        codes = of_each.argmax(axis=1).tolist()
        if not any(probabilities):
            return [Answer(listing.id, CATEGORIES[code]) for listing, code in zip(listings, codes, strict=True)]
        return [
            Answer(listing.id, CATEGORIES[code], Probabilities(*row) if asked_for else None)
            for listing, code, row, asked_for in zip(listings, codes, of_each.tolist(), probabilities, strict=True)
        ]


class Serving:
    """Holds the registry's champion, or the reason why there is none.

    `champion` is replaced as a whole: a request that took it once is answered by one model. Whatever goes wrong with
    the registry leaves the old one answering, is told by `problem` as long as it lasts, and is tried again.
    """

    def __init__(self, registry: Registry, metrics: Metrics) -> None:
        """Serve from this registry; nothing is read before `look`."""
        self._registry = registry
        self.metrics = metrics
        self.champion: Champion | None = None
        self.ending = False
        """Whether the process is about to end."""
        self._problem: str | None = None
        self._logged: tuple[type, str] | None = None
        self._looked = asyncio.Event()
        self._threads: list[threading.Thread] = []
        self._last_good = time.monotonic()
        self._good = False
        self._looking_since: float | None = None
        metrics.ready.set_function(lambda: self.champion is not None and not self.ending)
        metrics.following.set_function(lambda: self._good and not self._hangs())
        metrics.look_age.set_function(lambda: time.monotonic() - self._last_good)

    @property
    def problem(self) -> str | None:
        """What is wrong at this moment, in words: with the registry, with what it names, or that it does not answer."""
        if self.ending:
            return "The service is ending."
        if self._hangs():
            return self._not_answered()
        if self.champion is None and self._problem is None:
            return "The champion has not been loaded yet."
        return self._problem

    async def look(self) -> None:
        """Take up the champion if the registry names another one; whatever goes wrong is told, not raised.

        Who looks is a thread of its own, which nobody has to wait for: a file system that hangs would otherwise hold up
        the end of the process. One that does not come back is told of, and after a while another one looks.
        """
        self._looking_since = time.monotonic()
        looks = [self._begin()]
        patience = HANGING_SECONDS
        while True:
            done, _ = await asyncio.wait(looks, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if done:
                break
            self._failed(RegistryHangs(self._not_answered()))
            patience = min(2 * patience, LONGEST_PATIENCE)
            looks.append(self._begin())
        self._looking_since = None
        error, published = done.pop().result()
        if error is not None:
            self._failed(error)
            return
        if published is not None:
            self.champion = Champion.of(published)
            self.metrics.loaded(published.manifest)
            logger.info("Serving %s", self.champion.version)
        self._last_good, self._good, self._logged = time.monotonic(), True, None
        nothing = f"No model has been promoted in {self._registry.folder} yet: run the pipeline."
        self._problem = None if self.champion is not None else nothing

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[None]:
        """Keep up with the registry as long as the context is open.

        The first look is taken before it opens, unless the registry does not answer.
        """
        task = asyncio.create_task(self._follow())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._looked.wait(), FIRST_LOOK_SECONDS)
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            # A model that is just being opened is better not left to the end of the interpreter.
            patience = time.monotonic() + LAST_LOOK_SECONDS
            while any(thread.is_alive() for thread in self._threads) and time.monotonic() < patience:
                await asyncio.sleep(0.01)

    async def _follow(self) -> None:
        while True:
            try:
                await self.look()
            except Exception as error:
                self._failed(error)
            self._looked.set()
            await asyncio.sleep(POLL_SECONDS)

    def _begin(self) -> asyncio.Future[Look]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Look] = loop.create_future()

        def tell(look: Look) -> None:
            if not future.done():
                future.set_result(look)

        def look() -> None:
            found: Look
            try:
                found = None, self._new()
            except BaseException as error:  # one that is let through here would end the following, silently
                found = error, None
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(tell, found)

        thread = threading.Thread(target=look, name="registry", daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()
        return future

    def _new(self) -> PublishedModel | None:
        # The champion, opened and verified, if it is another than the one that answers.
        pointer = self._registry.champion()
        if pointer is None:
            if self.champion is not None:
                raise PointerGone(
                    f"{self._registry.folder}/champion.json is gone: {self.champion.version} keeps answering until "
                    "it is there again"
                )
            return None
        if self.champion is not None and self.champion.version == pointer.version:
            return None
        return self._registry.open(pointer.version)

    def _failed(self, error: BaseException) -> None:
        self._good = False
        self.metrics.look_failed()
        foreseen = isinstance(error, FORESEEN)
        words = str(error) if foreseen else f"The registry cannot be followed: {type(error).__name__}: {error}"
        self._problem = words if len(words) <= MOST_WORDS else words[:MOST_WORDS] + " …"
        # Once as long as it lasts. The text of what was not foreseen may differ each time.
        logged = type(error), self._problem if foreseen and not isinstance(error, RegistryHangs) else ""
        if logged == self._logged:
            return
        self._logged = logged
        if isinstance(error, (ModelRefused, UnknownVersion)):
            self.metrics.refused()
        logger.error("The champion cannot be served: %s", self._problem, exc_info=None if foreseen else error)

    def _hangs(self) -> bool:
        since = self._looking_since
        return since is not None and time.monotonic() - since >= HANGING_SECONDS

    def _not_answered(self) -> str:
        seconds = time.monotonic() - (self._looking_since or time.monotonic())
        return f"The registry {self._registry.folder} has not answered for {seconds:.0f} s."
