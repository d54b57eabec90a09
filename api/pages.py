"""The interactive documentation, which asks for nothing from elsewhere."""

from functools import cache
from importlib.resources import files

from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Listing price category</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
_START = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#docs", validatorUrl: null, deepLinking: true});\n'
_ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


async def root() -> Redirect:
    """Lead to the documentation."""
    return Redirect("/docs")


async def docs() -> Response[str]:
    """The page."""
    return Response(_PAGE, media_type="text/html", headers=PAGE_HEADERS)


async def docs_asset(name: FromPath[str]) -> Response[bytes]:
    """A script or style sheet of the page, from an installed package."""
    if name == "start.js":
        return Response(_START.encode(), media_type="text/javascript", headers=PAGE_HEADERS)
    if name not in _ASSETS:
        raise NotFoundException
    headers = {**PAGE_HEADERS, "Cache-Control": "public, max-age=86400"}
    return Response(_asset(name), media_type=_ASSETS[name], headers=headers)


async def openapi(request: Request[None, None, State]) -> Response[bytes]:
    """The OpenAPI document."""
    return Response(request.app.state.openapi, media_type="application/json")


@cache
def _asset(name: str) -> bytes:
    return files("litestar_offline_docs").joinpath("static", name).read_bytes()
