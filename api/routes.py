"""What the service answers."""

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import ClientException, HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE

from api.schemas import Answer, Health, Problem
from api.serving import Champion, Serving
from model_registry.listing import Listing

ApiRequest = Request[None, None, State]

_listing_decoder = msgspec.json.Decoder(Listing)  # strict: Litestar's own decoding would take "4" for 4


@post(
    "/classify",
    status_code=HTTP_200_OK,
    responses={
        400: ResponseSpec(Problem, description="The body is no listing; the detail names the field"),
        503: ResponseSpec(Problem, description="No model has been promoted yet"),
    },
    summary="The price category of a listing",
)
async def classify(request: ApiRequest, serving: NamedDependency[Serving]) -> Response[Answer]:
    """Answer with the most probable price category; the headers name the model that answered."""
    champion = _champion(serving)
    listing = read_listing(await request.body())
    # Inference takes a few hundredths of a millisecond: a thread would cost more than it.
    category = champion.classifier.classify(listing)
    return Response(Answer(listing.id, category), headers=champion.headers)


def read_listing(body: bytes) -> Listing:
    """The listing in a request's body; raises ClientException (400) naming what is wrong with it."""
    try:
        return _listing_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ClientException(f"Invalid JSON input: {error}") from error


@get("/livez", summary="Is the process alive?")
async def livez() -> Health:
    """Alive as long as it answers."""
    return Health("alive")


@get(
    ["/readyz", "/healthz"],
    responses={503: ResponseSpec(Health, description="No model can be served")},
    summary="Can it classify?",
)
async def readyz(serving: NamedDependency[Serving]) -> Response[Health]:
    """Ready once a verified champion is loaded."""
    if serving.champion is None:
        return Response(Health("not ready", detail=serving.problem), status_code=HTTP_503_SERVICE_UNAVAILABLE)
    return Response(Health("ready", model_version=serving.champion.version, detail=serving.problem))


def _champion(serving: Serving) -> Champion:
    if serving.champion is None:
        raise HTTPException(detail=serving.problem or "", status_code=HTTP_503_SERVICE_UNAVAILABLE)
    return serving.champion
