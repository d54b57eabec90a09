"""What the service answers."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from litestar import Request, Response
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromQuery
from litestar.status_codes import HTTP_503_SERVICE_UNAVAILABLE

from api.bodies import json_body
from api.schemas import Answer, BadListing, Health, Model, Problem
from api.serving import Champion, Serving
from api.settings import Settings
from api.validation import Invalid, read_batch, read_listing, read_rows
from model_registry.listing import Listing

ApiRequest = Request[None, None, State]

TOO_MANY = Problem(HTTP_503_SERVICE_UNAVAILABLE, "Too many requests are under way: try again in a second.")

INLINE_BYTES = 32_768
"""A batch up to this size (a hundred listings) is answered where it arrives; a larger one in a thread, so that others
are not held up."""


class Service:
    """What the handlers share: the champion, the figures, the limits."""

    def __init__(self, serving: Serving, settings: Settings) -> None:
        """Answer nothing yet."""
        self.serving, self.metrics, self.settings = serving, serving.metrics, settings
        self._being_answered = 0
        self.metrics.being_answered.set_function(lambda: self._being_answered)
        self.metrics.concurrency_limit.set(settings.concurrency_limit)

    @contextmanager
    def answering(self) -> Generator[None]:
        """Room for one request that is being answered; raises 503 where there is none."""
        if self._being_answered >= self.settings.concurrency_limit:
            self.metrics.turned_away()
            raise HTTPException(
                detail=TOO_MANY.detail,
                status_code=HTTP_503_SERVICE_UNAVAILABLE,
                headers={"Retry-After": "1"},
            )
        self._being_answered += 1
        try:
            yield
        finally:
            self._being_answered -= 1

    def champion(self) -> Champion:
        """The model that answers; raises 503 in words where there is none."""
        if self.serving.champion is None:
            raise HTTPException(detail=self.serving.problem or "", status_code=HTTP_503_SERVICE_UNAVAILABLE)
        return self.serving.champion


async def classify(
    request: ApiRequest, service: NamedDependency[Service], probabilities: FromQuery[bool] = False
) -> Response[Answer]:
    """Answer with the most probable price category; the headers name the model that answered."""
    champion = service.champion()
    body = await json_body(request, limit=service.settings.body_limit, seconds=service.settings.body_seconds)
    with service.answering():
        # Inference takes a few hundredths of a millisecond: a thread would cost more than it.
        [answer] = champion.answers([read_listing(body)], probabilities=probabilities)
    service.metrics.predicted(answer.price_category, champion.version)
    return Response(answer, headers=champion.headers)


async def classify_batch(
    request: ApiRequest,
    service: NamedDependency[Service],
    probabilities: FromQuery[bool] = False,
    partial: FromQuery[bool] = False,
) -> Response[list[Answer | BadListing]]:
    """Answer up to 10,000 listings in order, all from one model; `partial` answers the good ones among bad ones."""
    champion = service.champion()
    body = await json_body(request, limit=service.settings.batch_body_limit, seconds=service.settings.body_seconds)

    def work() -> list[Answer | BadListing]:
        rows = read_rows(body) if partial else read_batch(body)
        good = [row for row in rows if isinstance(row, Listing)]
        answers = iter(champion.answers(good, probabilities=probabilities))
        return [BadListing(row.problem()) if isinstance(row, Invalid) else next(answers) for row in rows]

    with service.answering():
        answered = work() if len(body) <= INLINE_BYTES else await asyncio.to_thread(work)
    for category in (answer.price_category for answer in answered if isinstance(answer, Answer)):
        service.metrics.predicted(category, champion.version)
    return Response(answered, headers=champion.headers)


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
