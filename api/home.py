"""The page for people: a listing is described, and answered while it is. Open to all; its questions may need a key."""

from functools import cache
from importlib.resources import files
from pathlib import PurePath

from litestar import Response
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from api.pages import ApiRequest, Page

_TYPES = {".css": "text/css", ".js": "text/javascript"}


async def home(request: ApiRequest) -> Response[bytes | None]:
    """The page."""
    return _file("index.html", "text/html").answer(request)


async def home_asset(request: ApiRequest, name: FromPath[str]) -> Response[bytes | None]:
    """A module or the style sheet of the page."""
    media_type = _TYPES.get(PurePath(name).suffix)
    if media_type is None or name not in _names():
        raise NotFoundException
    return _file(name, media_type).answer(request)


@cache
def _names() -> frozenset[str]:
    return frozenset(file.name for file in files("api").joinpath("web").iterdir())


@cache
def _file(name: str, media_type: str) -> Page:
    return Page.of(files("api").joinpath("web", name).read_bytes(), media_type)
