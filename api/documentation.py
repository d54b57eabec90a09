"""The interactive documentation, which asks for nothing from elsewhere and is no secret."""

import asyncio
from functools import cache
from importlib.resources import files

import msgspec
from litestar import Response
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from api.openapi import document
from api.pages import FOR_A_DAY, ApiRequest, Page
from api.routes import Service
from api.settings import Settings
from model_registry.listing import PriceCategory
from model_registry.market import NEW_YORK, Market

# Addresses are relative, for a proxy may have put the service under a path of its own.
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Listing price category</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{folder}swagger-ui.css">
<link rel="stylesheet" href="{folder}contrast.css">
<div id="docs"></div>
<script src="{folder}swagger-ui-bundle.js"></script>
<script src="{folder}start.js"></script>
</html>
"""
# A link within a button, as deep links are, is none for a screen reader; and one of its controls has no name.
_START = """const address = new URL("../openapi.json", document.currentScript.src).href;
SwaggerUIBundle({
  url: address, dom_id: "#docs", validatorUrl: null, deepLinking: false, tryItOutEnabled: true,
  persistAuthorization: false,
  onComplete: () => document.querySelector(".servers select")?.setAttribute("aria-label", "Server"),
});
"""
# Swagger UI's own letters are too faint on their grounds: WCAG 2.2 wants a contrast of 4.5 to 1.
_CONTRAST = """.swagger-ui .opblock.opblock-get .opblock-summary-method { background: #0b62b5; }
.swagger-ui .opblock.opblock-post .opblock-summary-method { background: #0b7048; }
.swagger-ui .info .title small { background: #4d5460; }
.swagger-ui .info .title small.version-stamp { background: #3d6600; }
.swagger-ui .info .url { color: #1c5ea8; }
.swagger-ui .json-schema-2020-12-expand-deep-button { color: #505050; }
"""
_OWN = {"start.js": (_START, "text/javascript"), "contrast.css": (_CONTRAST, "text/css")}
_ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


async def docs(request: ApiRequest) -> Response[bytes | None]:
    """The page."""
    # The router takes /docs/ for /docs, a browser does not.
    path = request.scope.get("raw_path") or request.scope["path"].encode()
    return _page("" if path.endswith(b"/") else "docs/").answer(request)


async def docs_asset(request: ApiRequest, name: FromPath[str]) -> Response[bytes | None]:
    """A script or style sheet of the page: of its own, or from an installed package."""
    if name in _OWN:
        return _own(name).answer(request)
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
def _own(name: str) -> Page:
    content, media_type = _OWN[name]
    return Page.of(content.encode(), media_type)


@cache
def _asset(name: str) -> Page:
    content = files("litestar_offline_docs").joinpath("static", name).read_bytes()
    return Page.of(content, _ASSETS[name], FOR_A_DAY)


@cache
def _document(settings: Settings, market: Market, category: PriceCategory) -> Page:
    return Page.of(msgspec.json.encode(document(settings, market, category)), "application/json")
