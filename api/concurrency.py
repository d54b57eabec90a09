"""How many requests may be answered at once."""

from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_503_SERVICE_UNAVAILABLE

from api.metrics import Metrics
from api.schemas import Problem

TOO_MANY = Problem(HTTP_503_SERVICE_UNAVAILABLE, "Too many requests are under way: try again in a second.")


class ConcurrencyLimit:
    """As a context, room for one request; raises 503 where there is none."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        """All of it is free."""
        self._limit, self._metrics = limit, metrics
        self.taken = 0

    def __enter__(self) -> None:
        if self.taken >= self._limit:
            self._metrics.turned_away()
            raise HTTPException(
                detail=TOO_MANY.detail, status_code=HTTP_503_SERVICE_UNAVAILABLE, headers={"Retry-After": "1"}
            )
        self.taken += 1

    def __exit__(self, *_: object) -> None:
        self.taken -= 1
