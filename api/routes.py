"""What the service answers."""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial as bound
from typing import cast

import msgspec
from litestar import MediaType, Request, Response
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromQuery
from litestar.status_codes import HTTP_503_SERVICE_UNAVAILABLE
from litestar.types import HTTPScope, Receive, Send

from api.asgi import answer_other_method, flag, send_json
from api.batches import INLINE_BYTES, answer_batch, executor
from api.bodies import json_body
from api.concurrency import ConcurrencyLimit
from api.microbatch import Microbatch
from api.schemas import Health, Model
from api.serving import Champion, Serving
from api.settings import Settings

ApiRequest = Request[None, None, State]

_encode = msgspec.json.Encoder().encode


class Service:
    """What the handlers share: the champion, the figures, the limits."""

    def __init__(self, serving: Serving, settings: Settings) -> None:
        """Answer nothing yet."""
        self.serving, self.metrics, self.settings = serving, serving.metrics, settings
        self.microbatch = Microbatch(self.metrics)
        self.answering = ConcurrencyLimit(settings.concurrency_limit, self.metrics)
        # The gateway sends a replica at most two fifths of its limit in large requests.
        self.answering_large = ConcurrencyLimit((settings.concurrency_limit + 1) // 2, self.metrics)
        self.executor: ThreadPoolExecutor | None = None
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
        try:
            async with self.serving.following():
                yield
        finally:
            self.executor.shutdown(wait=False, cancel_futures=True)

    def champion(self) -> Champion:
        """The model that answers; raises 503 in words where there is none."""
        if self.serving.champion is None:
            raise HTTPException(detail=self.serving.problem or "", status_code=HTTP_503_SERVICE_UNAVAILABLE)
        return self.serving.champion


async def classify(scope: HTTPScope, receive: Receive, send: Send) -> None:
    """Answer with the most probable price category; the headers name the model that answered.

    Plain ASGI: what Litestar does for its own handlers took a third of an answer's time.
    """
    if scope["method"] != "POST":
        await answer_other_method(scope, send)
        return
    service = Service.of(scope)
    probabilities = flag(scope, "probabilities")
    champion = service.champion()
    body = await json_body(scope, receive, limit=service.settings.body_limit, seconds=service.settings.body_seconds)
    with service.answering:
        answer = await service.microbatch.answer(champion, champion.reader.listing(body), probabilities=probabilities)
    service.metrics.predicted(answer.price_category, champion.version)
    await send_json(send, _encode(answer), champion.raw_headers)


async def classify_batch(
    request: ApiRequest,
    service: NamedDependency[Service],
    probabilities: FromQuery[bool] = False,
    partial: FromQuery[bool] = False,
) -> Response[bytes]:
    """Answer up to 10,000 listings in order, all from one model; `partial` answers the good ones among bad ones."""
    champion = service.champion()
    settings = service.settings
    body = await json_body(
        request.scope, request.receive, limit=settings.batch_body_limit, seconds=settings.body_seconds
    )
    work = bound(answer_batch, champion, body, probabilities=probabilities, partial=partial)
    with service.answering:
        if len(body) <= INLINE_BYTES:
            batch = work()
        else:
            with service.answering_large:
                batch = await asyncio.get_running_loop().run_in_executor(service.executor, work)
    for category, listings in batch.categories.items():
        service.metrics.predicted(category, champion.version, listings)
    return Response(batch.content, headers=champion.headers, media_type=MediaType.JSON)


async def model(service: NamedDependency[Service]) -> Response[Model]:
    """What is known of the model that answers."""
    champion = service.champion()
    return Response(champion.model, headers=champion.headers)


async def livez() -> Health:
    """Alive as long as it answers."""
    return Health("alive")


async def readyz(service: NamedDependency[Service]) -> Response[Health]:
    """Ready from the first verified champion until SIGTERM; the detail tells of a newer one that was refused."""
    serving = service.serving
    if serving.champion is None or serving.ending:
        return Response(Health("not ready", detail=serving.problem), status_code=HTTP_503_SERVICE_UNAVAILABLE)
    model = serving.champion.model
    return Response(Health("ready", model_version=model.version, synthetic=model.synthetic, detail=serving.problem))


async def metrics(service: NamedDependency[Service]) -> Response[bytes]:
    """The figures in Prometheus' text format."""
    return Response(service.metrics.page(), media_type="text/plain; version=0.0.4")
