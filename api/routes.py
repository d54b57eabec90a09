"""What the service answers."""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial as bound
from typing import cast

import msgspec
from litestar import MediaType, Response
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromPath, FromQuery
from litestar.status_codes import HTTP_202_ACCEPTED, HTTP_404_NOT_FOUND, HTTP_503_SERVICE_UNAVAILABLE
from litestar.types import HTTPScope, Receive, Send

from api.afterwards import Afterwards
from api.asgi import answer_other_method, flag, send_json
from api.batches import INLINE_BYTES, answer_batch, executor
from api.bodies import json_body
from api.champion import Champion
from api.concurrency import ConcurrencyLimit
from api.examples import NO_LOG
from api.explanations import Explainer
from api.feedback import Accepted, read_feedback
from api.inputs import Inputs
from api.microbatch import Microbatch
from api.middleware import parts_of, request_id_of
from api.pages import ApiRequest
from api.polling import Followed
from api.predictions import Predictions
from api.sampling import Sample
from api.schemas import Health, MarketHealth, Model, ServedMarket
from api.serving import Serving
from api.settings import Settings
from api.shadow import Shadowing
from api.validation_errors import cut

DEFAULT_ROUTES = frozenset({"/classify", "/classify/batch", "/model", "/model/card", "/model/inputs"})
"""Those that speak for the default market."""
MARKET_ROUTE = "/markets/{market}/"
"""How those begin that speak for the market that they name."""

_encode = msgspec.json.Encoder().encode


class Service:
    """What the handlers share: the champions, the figures, the limits."""

    def __init__(self, serving: Serving, settings: Settings) -> None:
        """Answer nothing yet."""
        self.serving, self.metrics, self.settings = serving, serving.metrics, settings
        self.predictions = Predictions(settings)
        self.metrics.log.states, self.metrics.log.uploads = self.predictions.states, self.predictions.uploads
        self.answering = ConcurrencyLimit(settings.concurrency_limit, self.metrics)
        # The gateway sends a replica at most two fifths of its limit in large requests.
        self.answering_large = ConcurrencyLimit((settings.concurrency_limit + 1) // 2, self.metrics)
        self.executor: ThreadPoolExecutor | None = None
        self.explainer = Explainer(settings.explanation_limit, self.metrics)
        self.shadowing = Shadowing(serving.shadows.models, self.metrics)
        self.afterwards = Afterwards(self.predictions, self.shadowing, Sample(settings.shadow_sample))
        self.microbatch = Microbatch(self.metrics, self.afterwards.singles)
        self.metrics.being_answered.set_function(lambda: self.answering.taken)
        self.metrics.concurrency_limit.set(settings.concurrency_limit)

    @classmethod
    def of(cls, scope: HTTPScope) -> "Service":
        """The one that a plain ASGI route was declared with."""
        return cast("Service", scope["route_handler"].opt["service"])

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Follow the registry and answer batches as long as the context is open."""
        self.executor = executor()
        self.predictions.start()
        try:
            async with self.serving.following():
                yield
        finally:
            self.executor.shutdown(wait=False, cancel_futures=True)
            self.explainer.end()
            await self.shadowing.end()
            self.predictions.end()  # with what the shadow answered last

    def champion(self, market: str | None = None) -> Champion:
        """The model that answers for a market, by default the default one.

        Raises 404 where there is no such market, and 503 where it has no model, each in words.
        """
        one = self.serving.default if market is None else self.serving.market(market)
        if one is not None and one.champion is not None:
            return one.champion
        if one is None and self.serving.listed:
            detail = f"No market is called {cut(market or '')!r} here; served: {self.serving.served_in_words()}."
            raise HTTPException(detail=detail, status_code=HTTP_404_NOT_FOUND)
        detail = self.serving.problem_of(one or Followed(market or ""))
        raise HTTPException(detail=detail or "", status_code=HTTP_503_SERVICE_UNAVAILABLE)

    def is_frequent(self, path: str) -> bool:
        """Whether so many requests may have this path that it is worth remembering: one of each market that is served.

        A market that was served once is served to the end, so that all of them are few.
        """
        if path == "/classify":
            return True
        named = path.removeprefix("/markets/").removesuffix("/classify")
        return path == f"/markets/{named}/classify" and self.serving.is_served(named)

    def market_of(self, route: str, path: str) -> str:
        """The market that was asked about, if it is served or the default; empty where none was."""
        if route in DEFAULT_ROUTES:
            return self.serving.default.name
        if not route.startswith(MARKET_ROUTE):
            return ""
        named = parts_of(path)[1]
        return named if self.serving.is_served(named) or named == self.serving.default.name else ""


async def classify(scope: HTTPScope, receive: Receive, send: Send) -> None:
    """Answer with the most probable price category; the headers name the model that answered.

    Plain ASGI: what Litestar does for its own handlers took a third of an answer's time.
    """
    if scope["method"] != "POST":
        await answer_other_method(scope, send)
        return
    service = Service.of(scope)
    probabilities, explain = flag(scope, "probabilities"), flag(scope, "explain")
    champion = service.champion(scope["path_params"].get("market"))
    body = await json_body(scope, receive, limit=service.settings.body_limit, seconds=service.settings.body_seconds)
    with service.answering:
        listing = champion.reader.one(body)
        answering = service.microbatch.answer(
            champion, listing, probabilities=probabilities, request_id=request_id_of(scope)
        )
        answer = await (service.explainer.explain(champion, listing, answering) if explain else answering)
    service.metrics.predicted(champion.market.name, answer.price_category, champion.version)
    await send_json(send, _encode(answer), champion.raw_headers)


async def classify_batch(
    request: ApiRequest,
    service: NamedDependency[Service],
    probabilities: FromQuery[bool] = False,
    partial: FromQuery[bool] = False,
) -> Response[bytes]:
    """Answer up to 10,000 listings in order, all from one model; `partial` answers the good ones among bad ones."""
    return await _batch(request, service, None, probabilities=probabilities, partial=partial)


async def classify_batch_of(
    request: ApiRequest,
    service: NamedDependency[Service],
    market: FromPath[str],
    probabilities: FromQuery[bool] = False,
    partial: FromQuery[bool] = False,
) -> Response[bytes]:
    """The same for the market that is named."""
    return await _batch(request, service, market, probabilities=probabilities, partial=partial)


async def _batch(
    request: ApiRequest, service: Service, market: str | None, *, probabilities: bool, partial: bool
) -> Response[bytes]:
    champion = service.champion(market)
    settings = service.settings
    body = await json_body(
        request.scope, request.receive, limit=settings.batch_body_limit, seconds=settings.body_seconds
    )
    after = service.afterwards.batch(champion, request_id_of(request.scope))
    work = bound(answer_batch, champion, body, probabilities=probabilities, partial=partial, log=after.answered)
    with service.answering:
        if len(body) <= INLINE_BYTES:
            batch = work()
        else:
            with service.answering_large:
                batch = await asyncio.get_running_loop().run_in_executor(service.executor, work)
    for category, listings in batch.categories.items():
        service.metrics.predicted(champion.market.name, category, champion.version, listings)
    after.end()
    return Response(batch.content, headers=champion.headers, media_type=MediaType.JSON)


async def feedback(request: ApiRequest, service: NamedDependency[Service]) -> Response[Accepted]:
    """Take down what turned out to be true of answers; which ones they were is looked up later."""
    if not service.predictions.on:
        raise HTTPException(detail=NO_LOG, status_code=HTTP_404_NOT_FOUND)
    settings = service.settings
    body = await json_body(
        request.scope, request.receive, limit=settings.batch_body_limit, seconds=settings.body_seconds
    )

    def take_down() -> tuple[int, bool]:
        told = read_feedback(body)
        return len(told), service.predictions.feedback(told)

    with service.answering:
        if len(body) <= INLINE_BYTES:
            count, kept = take_down()
        else:
            with service.answering_large:
                count, kept = await asyncio.get_running_loop().run_in_executor(service.executor, take_down)
    if not kept:
        problem = service.predictions.problem() or "too much waits to be written"
        raise HTTPException(
            detail=f"Feedback cannot be kept now ({problem}): send it again later.",
            status_code=HTTP_503_SERVICE_UNAVAILABLE,
            headers={"Retry-After": "5"},
        )
    return Response(Accepted(count), status_code=HTTP_202_ACCEPTED)


async def model(service: NamedDependency[Service]) -> Response[Model]:
    """What is known of the model that answers."""
    return _known(service.champion())


async def model_of(service: NamedDependency[Service], market: FromPath[str]) -> Response[Model]:
    """What is known of the model that answers for the market that is named."""
    return _known(service.champion(market))


async def card(request: ApiRequest, service: NamedDependency[Service]) -> Response[bytes | None]:
    """The card of the model that answers: a page that says what it is for, how well it does and where it comes from."""
    return service.champion().card.answer(request)


async def card_of(
    request: ApiRequest, service: NamedDependency[Service], market: FromPath[str]
) -> Response[bytes | None]:
    """The card of the model that answers for the market that is named."""
    return service.champion(market).card.answer(request)


async def inputs(service: NamedDependency[Service]) -> Response[Inputs]:
    """What the model that answers takes."""
    return _taken(service.champion())


async def inputs_of(service: NamedDependency[Service], market: FromPath[str]) -> Response[Inputs]:
    """What the model takes that answers for the market that is named."""
    return _taken(service.champion(market))


def _taken(champion: Champion) -> Response[Inputs]:
    return Response(champion.inputs, headers=champion.headers)


def _known(champion: Champion) -> Response[Model]:
    return Response(champion.model, headers=champion.headers)


async def markets(service: NamedDependency[Service]) -> list[ServedMarket]:
    """What is served: each market with a champion, by name."""
    serving = service.serving
    return [
        ServedMarket.of(champion.market, champion.model, default=champion is serving.champion)
        for champion in serving.champions()
    ]


async def livez() -> Health:
    """Alive as long as it answers."""
    return Health("alive")


async def readyz(service: NamedDependency[Service]) -> Response[Health]:
    """Ready from the default market's first verified champion until SIGTERM.

    The detail tells of a newer champion that was refused or a shadow that cannot be asked, and `markets` how the others
    are.
    """
    serving = service.serving
    others = {one.name: _health(serving, one) for one in serving.markets() if one is not serving.default} or None
    if serving.champion is None or serving.ending:
        return Response(
            Health("not ready", detail=serving.problem, markets=others, prediction_log=service.predictions.problem()),
            status_code=HTTP_503_SERVICE_UNAVAILABLE,
        )
    model = serving.champion.model
    return Response(
        Health(
            "ready",
            model_version=model.version,
            synthetic=model.synthetic,
            detail=serving.trouble_of(serving.default),
            markets=others,
            prediction_log=service.predictions.problem(),
        )
    )


def _health(serving: Serving, one: Followed) -> MarketHealth:
    if one.champion is None or serving.ending:
        return MarketHealth("not ready", detail=serving.problem_of(one))
    return MarketHealth("ready", model_version=one.champion.version, detail=serving.trouble_of(one))


async def metrics(service: NamedDependency[Service]) -> Response[bytes]:
    """The figures in Prometheus' text format."""
    return Response(service.metrics.page(), media_type="text/plain; version=0.0.4")
