"""The champions in memory: follows the registry's markets, and swaps without dropping a request."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from api.champion import Champion
from api.live_following import LiveFollowing
from api.metrics import Metrics
from api.polling import Followed, Listed, Look, News, Outcome, Over, only, shadow_of, shadowed
from api.registry_errors import FORESEEN, RegistryHangs, in_words, sameness
from api.shadow_following import ShadowFollowing, ShadowOutcome
from model_registry.classifier import ModelRefused
from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries
from model_registry.store import UnknownVersion

POLL_SECONDS = 1.0
"""How often the pointers are looked at; file notifications do not cross every container's bind mount."""

FIRST_LOOK_SECONDS = 6.0
"""How long the start waits for the default market; after that the service is alive, and not ready."""
LAST_LOOK_SECONDS = 2.0
"""How long the end waits for a look that is under way."""
HANGING_SECONDS = 5.0
"""A look that gets no further for longer is told of, and another one is begun; a model is opened in a fraction."""
LONGEST_PATIENCE = 300.0
"""What hangs is looked at again after twice as long each time, up to this: what hangs is a thread."""
MOST_NAMES = 50
"""How many markets a sentence names."""

logger = logging.getLogger("api.serving")


class Hang:
    """What does not answer a look: since when, and when it is looked at again."""

    def __init__(self, since: float) -> None:
        """It has not answered since then, a monotonic time."""
        self.since = since
        self.patience = HANGING_SECONDS
        self.again_at = 0.0

    def goes_on(self) -> None:
        """Be twice as patient from now on."""
        self.patience = min(2 * self.patience, LONGEST_PATIENCE)
        self.again_at = time.monotonic() + self.patience


class Serving:
    """Holds the champion of each of the registry's markets, or the reason why there is none.

    A market's `champion` is replaced as a whole: a request that took it once is answered by one model. Whatever goes
    wrong with a market leaves its old one answering, is told by `problem_of` as long as it lasts, is tried again, and
    touches no other market.
    """

    def __init__(self, registries: Registries, metrics: Metrics, market: str | None = None) -> None:
        """Serve from these registries, first of all this market; nothing is read before `following`.

        Without one it is the only one there, or New York.
        """
        self._registries, self._wanted = registries, market
        self.metrics = metrics
        self.ending = False
        """Whether the process is about to end."""
        self._there: frozenset[str] | None = None
        """The markets that there are, once that is known."""
        self._followed: dict[str, Followed] = {}
        self.shadows = ShadowFollowing(metrics)
        self._lives = LiveFollowing(metrics)
        self.default = self._follow(market or DEFAULT_MARKET)
        """The market that the routes without one speak for."""
        self._problem: str | None = None
        self._logged: tuple[type, str] | None = None
        self._hangs: dict[str | None, Hang] = {}
        self._default_known = asyncio.Event()
        self._news: asyncio.Queue[tuple[Look, News]] = asyncio.Queue()
        self._looks: list[Look] = []
        self._look: Look | None = None
        self._number = 0
        self._last_good = time.monotonic()
        self._good = self._counted = self._loaded = False
        metrics.ready.set_function(lambda: self.default.champion is not None and not self.ending)
        # All markets or none: what cannot be promoted in one of them must not be hidden by the others that can.
        metrics.following.set_function(lambda: self._good and not self._hanging())
        metrics.look_age.set_function(lambda: time.monotonic() - self._last_good)

    @property
    def champion(self) -> Champion | None:
        """The default market's."""
        return self.default.champion

    @property
    def problem(self) -> str | None:
        """What is wrong at this moment with the default market, in words."""
        return self.problem_of(self.default)

    def market(self, name: str) -> Followed | None:
        """A market that the registry has, or had when it was last served."""
        return self._followed.get(name)

    def markets(self) -> list[Followed]:
        """All of them by name."""
        return [self._followed[name] for name in sorted(self._followed)]

    def champions(self) -> list[Champion]:
        """The champions that answer, by their markets' names."""
        return [one.champion for one in self.markets() if one.champion is not None]

    @property
    def listed(self) -> bool:
        """Whether it is known which markets there are."""
        return self._there is not None

    def is_served(self, name: str) -> bool:
        """Whether a market of that name is answered for."""
        one = self._followed.get(name)
        return one is not None and one.champion is not None

    def problem_of(self, one: Followed) -> str | None:
        """What is wrong at this moment, in words: with the registry, with what it names, or that it does not answer."""
        if self.ending:
            return "The service is ending."
        for at, since in self._hanging().items():
            if at in (None, one.name):
                return self._not_answered(at, since)
        if one.problem is not None or self._problem is not None:
            return one.problem or self._problem
        if one.champion is not None:
            return None
        return self._nothing_promoted(one) if one.looked else "The champion has not been loaded yet."

    def trouble_of(self, one: Followed) -> str | None:
        """What is wrong at this moment with a market that is served or its shadow, in words."""
        return self.problem_of(one) or self.shadows.problem_of(one.name)

    def served_in_words(self) -> str:
        """The names of the markets that are served, a long list cut off."""
        names = [champion.market.name for champion in self.champions()]
        more = [f"{len(names) - MOST_NAMES:,} more"] if len(names) > MOST_NAMES else []
        *firsts, last = [*names[:MOST_NAMES], *more] or ["none"]
        return f"{', '.join(firsts)} and {last}" if firsts else last

    async def look(self) -> bool:
        """Take up whichever champions are new; whatever goes wrong is told, not raised. Whether to go on at once.

        Who looks is a thread of its own, which nobody has to wait for: a file system that hangs would otherwise hold up
        the end of the process. Where one gets no further it is told of, and another one looks at the rest.
        """
        self._counted = self._loaded = False
        self._look = look = self._begin()
        try:
            while True:
                at, since = look.at
                hang = self._hangs.get(at)
                patience = hang.patience if at is None and hang is not None else HANGING_SECONDS
                told = await self._next_news(since + patience - time.monotonic())
                if told is None:
                    at, since = look.at
                    if time.monotonic() - since >= patience:
                        self._hung(at, since)
                        look.abandoned = True
                        self._look = look = self._begin()
                    continue
                told_by, news = told
                if isinstance(news, Outcome):
                    self._take(told_by.number, news)
                elif isinstance(news, ShadowOutcome):
                    if self.shadows.take(told_by.number, news):
                        self._hangs.pop(shadow_of(news.market), None)
                elif told_by is look:
                    if isinstance(news, Over):
                        self._end(news)
                        return self._loaded and not news.complete
                    self._take_list(news)
        finally:
            self._look = None

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[None]:
        """Keep up with the registry as long as the context is open.

        The first look at the default market is taken before it opens, unless the registry does not answer.
        """
        task = asyncio.create_task(self._keep_up())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._default_known.wait(), FIRST_LOOK_SECONDS)
        try:
            yield
        finally:
            for look in self._looks:
                look.abandoned = True
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            # A model that is just being opened is better not left to the end of the interpreter.
            patience = time.monotonic() + LAST_LOOK_SECONDS
            while any(look.alive for look in self._looks) and time.monotonic() < patience:
                await asyncio.sleep(0.01)

    async def _keep_up(self) -> None:
        while True:
            go_on = False
            try:
                go_on = await self.look()
            except Exception as error:
                self._failed(None, error)
            self._default_known.set()
            await asyncio.sleep(0 if go_on else POLL_SECONDS)

    async def _next_news(self, seconds: float) -> tuple[Look, News] | None:
        if not self._news.empty():
            return self._news.get_nowait()
        # Not wait_for: until Python 3.12 it takes news that come with a cancellation for a reason not to be cancelled.
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.001)):
                return await self._news.get()
        return None

    def _begin(self) -> Look:
        loop = asyncio.get_running_loop()

        def tell(look: Look, news: News) -> None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self._news.put_nowait, (look, news))

        now = time.monotonic()
        waited_for = frozenset(at for at, hang in self._hangs.items() if at is not None and now < hang.again_at)
        self._number += 1
        default = self._wanted, self.default.name
        look = Look(
            self._number, self._registries, default, dict(self._followed), self.shadows, self._lives, waited_for, tell
        )
        self._looks = [one for one in self._looks if one.alive] + [look]
        look.start()
        return look

    def _follow(self, market: str) -> Followed:
        one = self._followed.get(market)
        if one is None:
            one = self._followed[market] = Followed(market)
            self.metrics.follows(market)
        return one

    def _take_list(self, news: Listed) -> None:
        self._there = news.markets
        self._hangs.pop(None, None)
        for name in news.markets:
            self._follow(name)
        self._choose_default()
        for one in self.markets():
            if one.name not in news.markets and one.champion is None and one is not self.default:
                del self._followed[one.name]

    def _choose_default(self) -> None:
        # The only market there is meant where none was named. A second one that comes later changes nothing: what a
        # client is answered about must not change under it. Nor is who is answered for given up for one that cannot be.
        one = self._follow(self._wanted or only(self._there) or self.default.name)
        if one.champion is not None or self.default.champion is None:
            self.default = one

    def _take(self, number: int, outcome: Outcome) -> None:
        one = self._follow(outcome.market)
        if number < one.last_look:
            return  # of a look that hung: a later one has come to something
        one.last_look, one.looked = number, True
        self._hangs.pop(one.name, None)
        if outcome.error is not None:
            self._failed(one, outcome.error)
        else:
            one.problem = one.logged = None
        if outcome.champion is not None:
            one.champion, self._loaded = outcome.champion, True
            self.shadows.promoted(one.name, outcome.champion.version)
            self.metrics.loaded(outcome.champion.market.name, outcome.champion.model)
            logger.info("Serving %s of %s", outcome.champion.version, one.name)
            self._choose_default()
        if one is self.default:
            self._default_known.set()

    def _end(self, over: Over) -> None:
        self._hangs.pop(None, None)
        if over.error is not None:
            self._failed(None, over.error)
        else:
            self._problem = self._logged = None
        hang = any(shadowed(at) is None for at in self._hangs)
        if over.error or hang or any(one.problem is not None for one in self._followed.values()):
            self._good = False
        elif over.complete:
            self._last_good, self._good = time.monotonic(), True

    def _hung(self, at: str | None, since: float) -> None:
        hang = self._hangs.setdefault(at, Hang(since))
        hang.goes_on()
        error, of_shadow = RegistryHangs(self._not_answered(at, hang.since)), shadowed(at)
        if of_shadow is not None:
            self.shadows.failed(of_shadow, error)
            return
        self._counted = False
        self._failed(None if at is None else self._follow(at), error)
        if at in (None, self.default.name):
            self._default_known.set()

    def _failed(self, one: Followed | None, error: BaseException) -> None:
        # Of one market, or of the registry as a whole.
        self._good = False
        if not self._counted:
            self._counted = True
            self.metrics.look_failed()
        # Once as long as it lasts, whether a market meets it or the folder of all or both.
        words, logged = in_words(error), sameness(error)
        known = {self._logged, self.default.logged if one is None else one.logged}
        if one is None:
            self._problem, self._logged = words, logged
        else:
            one.problem, one.logged = words, logged
        if logged in known:
            return
        if one is not None and isinstance(error, (ModelRefused, UnknownVersion)):
            self.metrics.refused(one.name)
        of = "" if one is None or one is self.default else f" of {one.name}"
        shown = None if isinstance(error, FORESEEN) else error
        logger.error("The champion%s cannot be served: %s", of, words, exc_info=shown)

    def _hanging(self) -> dict[str | None, float]:
        # What does not answer at this moment, shadows aside, and since when.
        found = {at: hang.since for at, hang in self._hangs.items() if shadowed(at) is None}
        if self._look is not None:
            at, since = self._look.at
            if shadowed(at) is None and at not in found and time.monotonic() - since >= HANGING_SECONDS:
                found[at] = since
        return found

    def _not_answered(self, at: str | None, since: float) -> str:
        of = "" if at in (None, self.default.name) else f" about {at}"
        return f"The registry {self._registries.place} has not answered for {time.monotonic() - since:.0f} s{of}."

    def _nothing_promoted(self, one: Followed) -> str:
        place = self._registries.place
        if one is self.default and self._wanted is None and not self.champions():
            return f"No model has been promoted in {place} yet: run the pipeline."
        words = f"No model of {one.name} has been promoted in {place} yet: run the pipeline for it."
        if one is not self.default or not self.champions():
            return words
        return f"{words} Served: {self.served_in_words()}; MARKET chooses whom the routes without a market speak for."
