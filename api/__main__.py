"""Run the service: `python -m api`."""

import logging
import os
import signal
import sys
from contextlib import suppress

import uvicorn

from api.app import create_app
from api.connections import Connections
from api.logs import configure_logs
from api.metrics import Metrics
from api.protocol import protocol_of
from api.server import Server
from api.serving import Serving
from api.settings import Settings
from model_registry.registries import Registries
from model_registry.settings import BadSetting, read_settings

_TURN = 0.001
"""Seconds after which a thread beside the event loop lets go of the interpreter for who waits for it.

Python's 5 ms add up where two such threads take turns, and everybody else waits for the event loop.
"""


def main() -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way."""
    try:
        settings = read_settings(Settings, os.environ)
    except BadSetting as error:
        sys.exit(str(error))
    configure_logs(settings.log_level)
    if not settings.keys():
        logging.getLogger("api").warning("API_KEYS is not set: whoever reaches the service may use it.")
    # When it has finished what was under way, uvicorn raises the signal again: an end that was asked for is no failure.
    signal.signal(signal.SIGTERM, _end)
    sys.setswitchinterval(_TURN)
    metrics = Metrics()
    serving = Serving(Registries(settings.model_registry), metrics, settings.market)
    config = uvicorn.Config(
        create_app(settings, serving),
        http=protocol_of(Connections(settings, metrics)),
        ws="none",
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    with suppress(KeyboardInterrupt):  # an end that was asked for, too
        Server(config, serving, settings.drain_seconds).run()


def _end(*_: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
