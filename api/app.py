"""The application: settings in, ASGI application out."""

from pathlib import Path

from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from api.errors import answer_http_exception, answer_unexpected
from api.routes import classify, livez, readyz
from api.serving import Serving
from api.settings import Settings
from model_registry.store import Registry


def create_app(settings: Settings) -> Litestar:
    """The API over the registry that the settings name; the champion is loaded at start and followed."""
    serving = Serving(Registry(Path(settings.model_registry)))
    return Litestar(
        route_handlers=[classify, livez, readyz],
        dependencies={"serving": Provide(lambda: serving, use_cache=True, sync_to_thread=False)},
        exception_handlers={HTTPException: answer_http_exception, Exception: answer_unexpected},
        lifespan=[lambda _: serving.following()],
        # Litestar's pages load their scripts from elsewhere; the schema itself is served.
        openapi_config=OpenAPIConfig(
            title="Listing price category",
            version="1.0.0",
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
        ),
    )
