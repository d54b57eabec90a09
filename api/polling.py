"""One look at the registry: a thread of its own goes over all markets, and tells what is new as soon as it knows.

First over the champions; then, of markets where nothing is new or wrong, over how they fare and who is asked beside
them.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from api.asking import ask_all
from api.champion import Champion
from api.live_following import LiveFollowing
from api.registry_errors import PointerGone
from api.shadow_following import ShadowFollowing, ShadowOutcome
from model_registry.history import Champion as Pointer
from model_registry.registries import Registries
from model_registry.shadow import Shadow
from model_registry.store import MarketRegistry

TURN_SECONDS = 0.5
"""How long a look goes on opening models, and how long it goes over the shadows; the rest is left to the next, which
begins with the default market again, and with the shadow that has waited longest. Where asking who has a new champion
took longer, models are opened for as long as that, or most of the time would go into asking again."""

AT_ONCE = 8
"""So many markets' pointers are asked for at the same time where the registry is in an object store: one after the
other, hundreds of answers of some milliseconds would take longer than the second between two looks."""

_SHADOW = "the shadow of "


def shadow_of(market: str) -> str:
    """Where a look is while it is at a market's shadow: no market can be called so."""
    return f"{_SHADOW}{market}"


def shadowed(at: str | None) -> str | None:
    """The market at whose shadow a look is, if it is at one."""
    return at.removeprefix(_SHADOW) if at is not None and at.startswith(_SHADOW) else None


class Followed:
    """One market: its champion, or what is wrong, and what the looks at it have come to."""

    def __init__(self, name: str) -> None:
        """Nothing is known of it yet."""
        self.name = name
        self.champion: Champion | None = None
        self.problem: str | None = None
        """What was wrong at the last look, in words."""
        self.looked = False
        """Whether any look at it has come back."""
        self.last_look = 0
        """The number of the latest look whose outcome was taken."""
        self.logged: tuple[type, str] | None = None
        """What the log tells of already."""


@dataclass(frozen=True)
class Listed:
    """The markets that the registry has."""

    markets: frozenset[str]


@dataclass(frozen=True)
class Outcome:
    """What a market's registry named: a new champion, nothing new, or an error."""

    market: str
    champion: Champion | None = None
    error: BaseException | None = None


@dataclass(frozen=True)
class Over:
    """The look has ended; with `error`, the registry's folder itself could not be read."""

    error: BaseException | None = None
    complete: bool = True
    """Whether no market is left to the next look."""


News = Listed | Outcome | ShadowOutcome | Over


def only(markets: frozenset[str] | None) -> str | None:
    """The only market there is, where it is the only one."""
    return next(iter(markets)) if markets is not None and len(markets) == 1 else None


class Look:
    """A thread that goes over the markets once: the default one first, then who has a new champion, then the rest.

    Whatever it meets is told and ends at most its look at that market.
    """

    def __init__(
        self,
        number: int,
        registries: Registries,
        default: tuple[str | None, str],
        followed: Mapping[str, Followed],
        shadows: ShadowFollowing,
        lives: LiveFollowing,
        left_out: frozenset[str],
        tell: Callable[["Look", News], None],
    ) -> None:
        """Look at all but `left_out`; `default` is the market of the settings, if any, and the one spoken for now.

        `followed`, `shadows` and `lives` are what is known of the markets, of who is asked beside their champions, and
        of how these fare.
        """
        self.number = number
        self.at: tuple[str | None, float] = (None, time.monotonic())
        """The market (or `shadow_of` one) it is at, None for the folder of all, and since when.

        Of several that it asks about at once it is at the one that it asked first and that has not answered.
        """
        self.abandoned = False
        """Whether it is to end with what it is at."""
        self._registries, self._default = registries, default
        self._asks_a_store = isinstance(registries.place, str)
        self._followed, self._shadows, self._lives = followed, shadows, lives
        self._left_out, self._tell = left_out, tell
        self._looked_at = dict[str, MarketRegistry]()
        self._pointers = dict[str, Pointer | BaseException | None]()
        """What was asked ahead, until it is looked at."""
        self._told_of = set[str]()
        """The markets whose champion is new, or with which something is wrong."""
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)

    def start(self) -> None:
        """Begin; raises RuntimeError where there can be no further thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    def _run(self) -> None:
        over = Over()
        try:
            over = self._over_all()
        except BaseException as error:  # one that is let through here would end the following, silently
            over = Over(error)
        self._tell(self, over)

    def _over_all(self) -> Over:
        wanted, default = self._default
        listed, failure = None, None
        # Which market comes first has to be asked of the registry only where none was named.
        if wanted is None:
            listed, failure = self._list()
            default = only(listed) or default
        if self._is_new(default):
            self._open(default)
        if listed is None:
            listed, failure = self._list()
        kept = {name for name, one in self._followed.items() if one.champion is not None}
        others = ((listed or frozenset()) | kept) - {default}
        asking = time.monotonic()
        self._ask_ahead(others)
        new = [market for market in others if self._is_new(market)]
        opening = time.monotonic()
        turn = max(TURN_SECONDS, opening - asking)
        complete, loaded = True, False
        for count, market in enumerate(sorted(new, key=self._urgency)):
            if count and time.monotonic() - opening > turn:
                complete = False
                break
            loaded |= self._open(market)
        # Refused champions are new in every look: the shadows wait for those that can be loaded alone.
        if failure is None and (complete or not loaded):
            self._over_shadows()
        return Over(failure, complete=complete)

    def _list(self) -> tuple[frozenset[str] | None, BaseException | None]:
        # The markets that there are, or why they cannot be told.
        self.at = (None, time.monotonic())
        try:
            listed = frozenset(self._registries.markets())
        except BaseException as error:
            return None, error
        self._tell(self, Listed(listed))
        return listed, None

    def _ask_ahead(self, markets: Collection[str]) -> None:
        # Of a folder nothing: it answers at once, and where one market's hangs the others' are not to.
        if self._asks_a_store and len(markets) > 1 and not self.abandoned:
            registries = {market: self._registry(market) for market in markets if market not in self._left_out}

            def waits(market: str, since: float) -> None:
                self.at = (market, since)

            left = (market for market in registries if not self.abandoned)
            self._pointers = ask_all(lambda market: registries[market].champion(), left, AT_ONCE, waits)

    def _is_new(self, market: str) -> bool:
        # Whether the market's pointer names another version than the one that answers.
        if self.abandoned or market in self._left_out:
            return False
        self.at = (market, time.monotonic())
        one = self._followed.get(market)
        try:
            pointer = self._pointer(self._registry(market))
        except BaseException as error:
            self._told_of.add(market)
            self._tell(self, Outcome(market, error=error))
            return False
        if pointer is not None and (one is None or one.champion is None or one.champion.version != pointer.version):
            return True
        if one is None or not one.looked or one.problem is not None:
            self._tell(self, Outcome(market))
        return False

    def _open(self, market: str) -> bool:
        # Whether it has a champion to tell of.
        if self.abandoned:
            return False
        self.at = (market, time.monotonic())
        try:
            registry = self._registry(market)
            pointer = self._pointer(registry)
            outcome = Outcome(market, pointer and Champion.of(registry.open(pointer.version, compact=True)))
        except BaseException as error:
            outcome = Outcome(market, error=error)
        self._told_of.add(market)
        self._tell(self, outcome)
        return outcome.champion is not None

    def _over_shadows(self) -> None:
        begun = time.monotonic()
        left = sorted(
            (
                market
                for market in self._looked_at.keys() - self._told_of
                if self._champion_of(market) is not None and shadow_of(market) not in self._left_out
            ),
            key=self._shadows.urgency,
        )
        at_once = AT_ONCE if self._asks_a_store else 1

        def waits(market: str, since: float) -> None:
            self.at = (shadow_of(market), since)

        while left and not self.abandoned and time.monotonic() - begun <= TURN_SECONDS:
            some, left = left[:at_once], left[at_once:]
            pointers, asked = ask_all(self._beside, some, at_once, waits), time.monotonic()
            for market, pointer in pointers.items():
                self.at = (shadow_of(market), time.monotonic())
                outcome = self._shadows.look(self._looked_at[market], pointer)
                if outcome is not None:
                    self._tell(self, outcome)
                if time.monotonic() - asked > TURN_SECONDS:
                    return  # it opened models, and the next look's champions do not wait for more of them

    def _beside(self, market: str) -> Shadow | None:
        # Who is asked beside a market's champion, after a look at how that one fares.
        registry, champion = self._looked_at[market], self._champion_of(market)
        if champion is not None:
            self._lives.look(registry, champion.version)
        return registry.shadow()

    def _champion_of(self, market: str) -> Champion | None:
        one = self._followed.get(market)
        return one and one.champion

    def _registry(self, market: str) -> MarketRegistry:
        registry = self._looked_at.get(market)
        if registry is None:
            registry = self._looked_at[market] = self._registries.of(market)
        return registry

    def _pointer(self, registry: MarketRegistry) -> Pointer | None:
        pointer = self._pointers.pop(registry.market) if registry.market in self._pointers else registry.champion()
        if isinstance(pointer, BaseException):
            raise pointer
        one = self._followed.get(registry.market)
        if pointer is None and one is not None and one.champion is not None:
            raise PointerGone(
                f"{registry.place}/champion.json is gone: {one.champion.version} keeps answering until it is there "
                "again"
            )
        return pointer

    def _urgency(self, market: str) -> tuple[bool, int, str]:
        # Promotions come before markets that have no champion yet or a refused one; of those, who has waited longest.
        one = self._followed.get(market)
        if one is None:
            return True, 0, market
        return one.champion is None or one.problem is not None, one.last_look, market
