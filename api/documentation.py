"""The interactive documentation, which asks for nothing from elsewhere and is no secret."""

import asyncio
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.status_codes import HTTP_304_NOT_MODIFIED

from api.openapi import document
from api.routes import Service
from api.settings import Settings
from model_registry.listing import PriceCategory
from model_registry.market import NEW_YORK, Market

ApiRequest = Request[None, None, State]

_POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_ASK_AGAIN = "no-cache"
_FOR_A_DAY = "public, max-age=86400"

# Addresses are relative, for a proxy may have put the service under a path of its own.
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Listing price category</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{folder}swagger-ui.css">
<div id="docs"></div>
<script src="{folder}swagger-ui-bundle.js"></script>
<script src="{folder}start.js"></script>
</html>
"""
_START = """const address = new URL("../openapi.json", document.currentScript.src).href;
SwaggerUIBundle({
  url: address, dom_id: "#docs", validatorUrl: null, deepLinking: true, tryItOutEnabled: true,
  persistAuthorization: false,
});
"""
_ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


@dataclass(frozen=True)
class Page:
    """A content that stays as it is, as it is and compressed, and how long a browser may keep it."""

    content: bytes
    compressed: bytes
    tag: str
    media_type: str
    caching: str

    @classmethod
    def of(cls, content: bytes, media_type: str, caching: str = _ASK_AGAIN) -> "Page":
        """The page with this content, compressed once."""
        tag = hashlib.sha256(content).hexdigest()[:16]
        return cls(content, gzip.compress(content, mtime=0), tag, media_type, caching)

    def answer(self, request: ApiRequest) -> Response[bytes | None]:
        """The page, compressed for who takes that; 304 for who has it already."""
        compressed = takes_gzip(request.headers.get("Accept-Encoding", ""))
        tag = f'"{self.tag}-gzip"' if compressed else f'"{self.tag}"'
        headers = {**_POLICY, "Cache-Control": self.caching, "ETag": tag}
        known = {one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")}
        if tag in known or "*" in known:
            return Response(None, status_code=HTTP_304_NOT_MODIFIED, headers=headers)
        if compressed:
            headers["Content-Encoding"] = "gzip"
        return Response(self.compressed if compressed else self.content, media_type=self.media_type, headers=headers)


def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header lets an answer be compressed with gzip."""
    weights: dict[str, float] = {}
    for one in accepted.lower().split(","):
        coding, _, weight = one.partition(";")
        try:
            weights[coding.strip()] = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            weights[coding.strip()] = 0
    return weights.get("gzip", weights.get("*", 0)) > 0


async def root() -> Redirect:
    """Lead to the documentation."""
    return Redirect("docs")


async def docs(request: ApiRequest) -> Response[bytes | None]:
    """The page."""
    # The router takes /docs/ for /docs, a browser does not.
    path = request.scope.get("raw_path") or request.scope["path"].encode()
    return _page("" if path.endswith(b"/") else "docs/").answer(request)


async def docs_asset(request: ApiRequest, name: FromPath[str]) -> Response[bytes | None]:
    """A script or style sheet of the page, from an installed package."""
    if name == "start.js":
        return _start().answer(request)
    if name not in _ASSETS:
        raise NotFoundException
    # The first to ask waits a tenth of a second for the largest to be compressed, and nobody else with it.
    page = await asyncio.to_thread(_asset, name)
    return page.answer(request)


async def openapi(request: ApiRequest, service: NamedDependency[Service]) -> Response[bytes | None]:
    """The OpenAPI document; its example is answered with what the model says that answers now."""
    champion = service.serving.champion
    market, category = NEW_YORK, PriceCategory.MID
    if champion is not None:
        market = champion.market
        listing = msgspec.convert(market.example(), market.listing)
        category = champion.answers([listing], probabilities=[False])[0].price_category
    return _document(request.app.state.settings, market, category).answer(request)


@cache
def _page(folder: str) -> Page:
    return Page.of(_PAGE.format(folder=folder).encode(), "text/html")


@cache
def _start() -> Page:
    return Page.of(_START.encode(), "text/javascript")


@cache
def _asset(name: str) -> Page:
    content = files("litestar_offline_docs").joinpath("static", name).read_bytes()
    return Page.of(content, _ASSETS[name], _FOR_A_DAY)


@cache
def _document(settings: Settings, market: Market, category: PriceCategory) -> Page:
    return Page.of(msgspec.json.encode(document(settings, market, category)), "application/json")
