"""Run the service: `python -m api`."""

import os
import sys

import uvicorn

from api.app import create_app
from api.settings import BadSetting, read_settings


def main() -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way."""
    try:
        settings = read_settings(os.environ)
    except BadSetting as error:
        sys.exit(str(error))
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
