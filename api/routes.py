"""What the service answers."""

import asyncio
from dataclasses import dataclass

from litestar import MediaType, Request, Response
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromQuery
from litestar.status_codes import (
    HTTP_408_REQUEST_TIMEOUT,
    HTTP_415_UNSUPPORTED_MEDIA_TYPE,
    HTTP_503_SERVICE_UNAVAILABLE,
)

from api.metrics import Metrics
from api.schemas import Answer, BadListing, Health, Model
from api.serving import Champion, Serving
from api.validation import Invalid, read_batch, read_listing, read_rows
from model_registry.listing import Listing

ApiRequest = Request[None, None, State]

INLINE_LISTINGS = 100
"""A batch up to this size is answered where it arrives; a larger one in a thread, so that others are not held up."""


@dataclass(frozen=True)
class Service:
    """What the handlers share: the champion, the figures, and how long a body may take to arrive."""

    serving: Serving
    metrics: Metrics
    body_seconds: float

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
    listing = read_listing(await json_body(request, service.body_seconds))
    # Inference takes a few hundredths of a millisecond: a thread would cost more than it.
    [answer] = champion.answers([listing], probabilities=probabilities)
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
    body = await json_body(request, service.body_seconds)
    size = body.count(b"}")

    def work() -> list[Answer | BadListing]:
        rows = read_rows(body) if partial else read_batch(body)
        good = [row for row in rows if isinstance(row, Listing)]
        answers = iter(champion.answers(good, probabilities=probabilities))
        return [BadListing(row.problem()) if isinstance(row, Invalid) else next(answers) for row in rows]

    answered = work() if size <= INLINE_LISTINGS else await asyncio.to_thread(work)
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
    """Ready once a verified champion is loaded; the detail tells of a newer one that was refused."""
    serving = service.serving
    if serving.champion is None:
        return Response(Health("not ready", detail=serving.problem), status_code=HTTP_503_SERVICE_UNAVAILABLE)
    model = serving.champion.model
    return Response(Health("ready", model_version=model.version, synthetic=model.synthetic, detail=serving.problem))


async def metrics(service: NamedDependency[Service]) -> Response[bytes]:
    """The figures in Prometheus' text format."""
    return Response(service.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def json_body(request: ApiRequest, seconds: float) -> bytes:
    """The body of a request that says it is JSON; raises 415 for another kind and 408 for one that does not come."""
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type != MediaType.JSON:
        raise HTTPException(
            detail=f"Send Content-Type: application/json, not {content_type or 'none'}.",
            status_code=HTTP_415_UNSUPPORTED_MEDIA_TYPE,
        )
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise HTTPException(
            detail="Send the body as it is, without a Content-Encoding.", status_code=HTTP_415_UNSUPPORTED_MEDIA_TYPE
        )
    try:
        async with asyncio.timeout(seconds):
            return await request.body()
    except TimeoutError:
        raise HTTPException(
            detail=f"The body did not arrive within {seconds:g} s.", status_code=HTTP_408_REQUEST_TIMEOUT
        ) from None
