"""One shape for every error."""

from typing import Any

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_500_INTERNAL_SERVER_ERROR

from api.schemas import Problem


def answer_http_exception(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """An HTTP error as a Problem, with the error's own headers."""
    return Response(
        Problem(status_code=error.status_code, detail=error.detail),
        status_code=error.status_code,
        headers=error.headers,
        media_type=MediaType.JSON,
    )


def answer_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """A fault of ours as a Problem that tells nothing of the inside; the log tells the rest."""
    request.logger.error("Unexpected error", exc_info=error)
    return Response(
        Problem(HTTP_500_INTERNAL_SERVER_ERROR, "The service failed; its log says why."),
        status_code=HTTP_500_INTERNAL_SERVER_ERROR,
        media_type=MediaType.JSON,
    )
