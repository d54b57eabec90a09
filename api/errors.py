"""One shape for every error."""

import logging
from typing import Any

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_500_INTERNAL_SERVER_ERROR

from api.schemas import Problem, WrongField
from api.validation import Invalid

logger = logging.getLogger("api.errors")


def answer_invalid(_: Request[Any, Any, Any], error: Invalid) -> Response[Problem]:
    """A refused body as a Problem with every wrong field."""
    return _answer(error.problem())


def answer_http_exception(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """An HTTP error as a Problem, with the error's own headers."""
    wrong: list[WrongField] = []
    if isinstance(error.extra, list):
        # What Litestar found wrong with a query parameter.
        wrong = [WrongField(str(one.get("message")), one.get("key")) for one in error.extra]
    return _answer(Problem(error.status_code, error.detail, wrong or None), error.headers)


def answer_unexpected(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """A fault of ours as a Problem that tells nothing of the inside; the log tells the rest."""
    logger.error("Unexpected error", exc_info=error)
    return _answer(Problem(HTTP_500_INTERNAL_SERVER_ERROR, "The service failed; its log says why."))


def _answer(problem: Problem, headers: dict[str, str] | None = None) -> Response[Problem]:
    return Response(problem, status_code=problem.status_code, headers=headers, media_type=MediaType.JSON)
