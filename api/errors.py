"""One shape for every error."""

import logging
from typing import Any

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.status_codes import HTTP_500_INTERNAL_SERVER_ERROR

from api.schemas import Problem, WrongField
from api.validation import Invalid
from api.validation_errors import cut

FAILED = Problem(HTTP_500_INTERNAL_SERVER_ERROR, "The service failed; its log says why.")

logger = logging.getLogger("api.errors")


def answer_invalid(_: Request[Any, Any, Any], error: Invalid) -> Response[Problem]:
    """A refused body as a Problem with every wrong field."""
    return _answer(error.problem())


def answer_http_exception(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """An HTTP error as a Problem, with the error's own headers."""
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        # A query parameter. Litestar's own text shows the whole address, as long as the client made it.
        wrong = [WrongField(_lowered(str(one.get("message"))), one.get("key")) for one in error.extra]
        told = "; ".join(f"{one.field}: {one.message}" for one in wrong)
        return _answer(Problem(error.status_code, f"Invalid query parameter: {told}", wrong))
    return _answer(Problem(error.status_code, error.detail), error.headers)


def answer_unexpected(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """A fault of ours as a Problem that tells nothing of the inside; the log tells the rest."""
    logger.error("Unexpected error", exc_info=error)
    return _answer(FAILED)


def _answer(problem: Problem, headers: dict[str, str] | None = None) -> Response[Problem]:
    return Response(problem, status_code=problem.status_code, headers=headers, media_type=MediaType.JSON)


def _lowered(message: str) -> str:
    return cut(message[:1].lower() + message[1:]).replace("`", "")
