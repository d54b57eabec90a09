"""The application: settings in, ASGI application out."""

from litestar import Litestar, get, post
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED

from api import documentation, home, routes
from api.asgi import ASGIRoute, found_once, give_parameters
from api.auth import KEY_HEADER, key_guard
from api.errors import answer_http_exception, answer_invalid, answer_unexpected
from api.journal import Journal
from api.logs import AccessLog
from api.metrics import Metrics
from api.middleware import REQUEST_ID, observed
from api.openapi_parts import MODEL_HEADERS
from api.routes import Service
from api.serving import Serving
from api.settings import Settings
from api.validation import Invalid
from model_registry.registries import Registries


def create_app(settings: Settings, serving: Serving | None = None) -> Litestar:
    """The API over what is served, by default the registry that the settings name; its champions are followed."""
    serving = serving or Serving(Registries(settings.model_registry), Metrics(), settings.market)
    metrics = serving.metrics
    service = Service(serving, settings)
    journal = Journal(metrics, AccessLog() if settings.access_log else None)
    guards = key_guard(settings.keys())
    app = Litestar(
        route_handlers=[
            ASGIRoute(
                ["/classify", "/markets/{market:str}/classify"], guards=guards, copy_scope=False, service=service
            )(routes.classify),
            post("/classify/batch", status_code=HTTP_200_OK, guards=guards)(routes.classify_batch),
            post("/feedback", status_code=HTTP_202_ACCEPTED, guards=key_guard(settings.keys_for_feedback()))(
                routes.feedback
            ),
            get("/model", guards=guards)(routes.model),
            get("/model/card", guards=guards)(routes.card),
            get("/model/inputs", guards=guards)(routes.inputs),
            get("/markets", guards=guards)(routes.markets),
            post("/markets/{market:str}/classify/batch", status_code=HTTP_200_OK, guards=guards)(
                routes.classify_batch_of
            ),
            get("/markets/{market:str}/model", guards=guards)(routes.model_of),
            get("/markets/{market:str}/model/card", guards=guards)(routes.card_of),
            get("/markets/{market:str}/model/inputs", guards=guards)(routes.inputs_of),
            get("/livez")(routes.livez),
            get(["/readyz", "/healthz"])(routes.readyz),
            get("/metrics", guards=guards)(routes.metrics),
            get("/")(home.home),
            get("/web/{name:str}")(home.home_asset),
            get("/docs")(documentation.docs),
            get("/docs/{name:str}")(documentation.docs_asset),
            get("/openapi.json")(documentation.openapi),
        ],
        dependencies={"service": Provide(lambda: service, use_cache=True, sync_to_thread=False)},
        exception_handlers={
            Invalid: answer_invalid,
            HTTPException: answer_http_exception,
            Exception: answer_unexpected,
        },
        lifespan=[lambda _: service.running()],
        on_shutdown=[journal.flush],
        cors_config=_cors(settings.origins()),
        state=State({"settings": settings}),
        logging_config=None,
        openapi_config=None,
    )
    give_parameters(app, "markets", "{}", "classify")
    app.asgi_handler = observed(
        found_once(app, service.is_frequent, "POST"),
        routes=frozenset(route.path_format for route in app.routes),
        market_of=service.market_of,
        metrics=metrics,
        journal=journal,
    )
    return app


def _cors(origins: tuple[str, ...]) -> CORSConfig | None:
    # A page may read only those headers that are named here.
    if not origins:
        return None
    # Among the headers that a page may send, «*» does not stand for Authorization (Fetch standard).
    allowed = ["Authorization", "Content-Type", KEY_HEADER, REQUEST_ID, "traceparent", "tracestate"]
    return CORSConfig(
        allow_origins=list(origins), allow_headers=allowed, expose_headers=[*MODEL_HEADERS, REQUEST_ID, "Retry-After"]
    )
