"""The UI, the daemon and the API together, until Ctrl-C or until one of them ends. Run it with `make up`."""

import os
import signal
import sys
import time
from pathlib import Path

from local.processes import running


def main() -> None:
    """Keep everything running; exits with 1 where a part of it ended by itself."""
    ui_port, api_port = os.environ.get("UI_PORT", "3000"), os.environ.get("PORT", "8000")
    Path("var/snapshots").mkdir(parents=True, exist_ok=True)
    # Also for SIGINT: where it is ignored (a shell's background job), the programs started here would ignore it too.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    print(f"UI on http://127.0.0.1:{ui_port}, API on http://127.0.0.1:{api_port}; stop with Ctrl-C", flush=True)
    try:
        with (
            running("dagster", "dev", "--host", "127.0.0.1", "--port", ui_port) as dagster,
            running(sys.executable, "-m", "api", PORT=api_port) as api,
        ):
            while dagster.poll() is None and api.poll() is None:
                time.sleep(0.5)
    except KeyboardInterrupt:
        return
    sys.exit("The UI and daemon ended." if dagster.poll() is not None else "The API ended.")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
