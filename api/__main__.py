"""Run the service: `python -m api`."""

import os
import signal
import sys

import uvicorn

from api.app import create_app
from api.settings import Settings
from model_registry.settings import BadSetting, read_settings


def main() -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way."""
    try:
        settings = read_settings(Settings, os.environ)
    except BadSetting as error:
        sys.exit(str(error))
    # When it has finished what was under way, uvicorn raises the signal again: an asked-for end is no failure.
    signal.signal(signal.SIGTERM, _end)
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port)


def _end(*_: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
