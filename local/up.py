"""The UI, the daemon and the API together, until Ctrl-C or until one of them ends. Run it with `make up`."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import dagster as dg
import msgspec
from msgspec import Meta

from local.news import News
from local.processes import end_of, free_port, is_taken, request, running
from local.steps import Steps
from model_registry.history import HistoryDamaged
from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries, UnknownMarket
from model_registry.settings import DEFAULT_REGISTRY, BadSetting, read_settings
from storage.address import is_url

LOGS = Path("var/log")
START_SECONDS, LOOK_SECONDS = 180, 1
Port = Annotated[int, Meta(ge=1, le=65535)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of `make up`; what it starts is given the same, and reads more."""

    ui_port: Port = 3000
    port: Port = 8000
    model_registry: str = DEFAULT_REGISTRY
    market: str = DEFAULT_MARKET
    snapshot_folder: str = "var/snapshots"


@dataclass(frozen=True)
class Part:
    """A program that was started."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    port: int
    health: str

    def require_alive(self) -> None:
        """Exit with the end of its log where it has ended."""
        if (code := self.process.poll()) is not None:
            sys.exit(f"{self.name} ended by itself with code {code}. The end of {self.log}:\n{end_of(self.log)}")

    def answers(self) -> bool:
        """Whether it does over HTTP."""
        try:
            return request(self.port, "GET", self.health)[0] == 200
        except OSError:
            return False


def main() -> None:
    """Keep everything running; exits with 1 and a reason where a part of it ended by itself."""
    try:
        settings = read_settings(Settings, os.environ)
    except BadSetting as error:
        sys.exit(str(error))
    require_free_ports(settings)
    if not is_url(settings.snapshot_folder):
        Path(settings.snapshot_folder).mkdir(parents=True, exist_ok=True)
    # Handlers that only take note: nothing is cut short, neither a start nor, by a second Ctrl-C, the stopping.
    # Also for SIGINT: where it is ignored (a shell's background job), the programs started here would ignore it too.
    asked_to_stop = threading.Event()

    def take_note(*_: object) -> None:
        asked_to_stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, take_note)
    print("Starting the UI, the daemon and the API ...", flush=True)
    ui_log, api_log = LOGS / "dagster.log", LOGS / "api.log"
    with (
        running("dagster", "dev", "--host", "127.0.0.1", "--port", str(settings.ui_port), log=ui_log) as dagster,
        running(sys.executable, "-m", "api", HOST="127.0.0.1", PORT=str(settings.port), log=api_log) as api,
    ):
        ui_part = Part("The UI with its daemon", dagster, ui_log, settings.ui_port, "/server_info")
        api_part = Part("The API", api, api_log, settings.port, "/livez")
        with Steps().waiting("they start"):
            up = wait_for([ui_part, api_part], asked_to_stop)
        if up:
            require_definitions(settings.ui_port)
            print(banner(settings), flush=True)
            tell_news(settings, [ui_part, api_part], asked_to_stop)
        print("Stopping ...", flush=True)


def require_free_ports(settings: Settings) -> None:
    """Exit with a sentence where a port is in use."""
    if settings.ui_port == settings.port:
        sys.exit(f"The UI and the API cannot both have the port {settings.port}: choose two, UI_PORT=3000 PORT=8000.")
    for name, variable, port in (("UI", "UI_PORT", settings.ui_port), ("API", "PORT", settings.port)):
        if is_taken(port):
            sys.exit(f"Port {port} is in use: give the {name} another one, such as {variable}={free_port()} make up")


def wait_for(parts: list[Part], asked_to_stop: threading.Event) -> bool:
    """Until all parts answer (True), or until it is to stop (False); exits where one has ended or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    silent = parts
    while silent and not asked_to_stop.wait(0.25):
        for part in parts:
            part.require_alive()
        silent = [part for part in silent if not part.answers()]
        if silent and time.monotonic() > deadline:
            name, log = silent[0].name, silent[0].log
            sys.exit(f"{name} does not answer after {START_SECONDS} s. The end of {log}:\n{end_of(log)}")
    return not silent


_LOAD_ERRORS = """{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
  ... on PythonError { message errorChain { error { message } } } } } } } }"""
_SETTING = "click.exceptions.ClickException: "
"""What comes before the sentence of a wrong setting, see mle_assets/definitions.py."""


def require_definitions(ui_port: int) -> None:
    """Exit with the reason where the UI runs but could not load this project's definitions."""
    answer = json.loads(request(ui_port, "POST", "/graphql", json.dumps({"query": _LOAD_ERRORS}))[2])
    for entry in answer["data"]["workspaceOrError"].get("locationEntries", []):
        error = entry["locationOrLoadError"] or {}
        if "message" in error:
            chain = [error["message"], *(link["error"]["message"] for link in error["errorChain"])]
            told = [message.removeprefix(_SETTING).strip() for message in chain if message.startswith(_SETTING)]
            sys.exit(told[0] if told else f"{LOGS / 'dagster.log'} shows why nothing can be run: {chain[-1].strip()}")


def banner(settings: Settings) -> str:
    """Where everything is, and what to do next."""
    api = f"http://127.0.0.1:{settings.port}"
    try:
        champion = Registries(settings.model_registry).of(settings.market).champion()
    except (HistoryDamaged, UnknownMarket) as error:
        serving = f"cannot tell its model, because {error}"
    else:
        serving = f"serves {champion.version}" if champion else "answers 503 until a first model is promoted"
    return f"""
   Page   {api}: describe a listing, and see its category and why
   UI     http://127.0.0.1:{settings.ui_port}
   API    {api}, documented at {api}/docs; it {serving}
   Logs   {LOGS / "dagster.log"} and {LOGS / "api.log"}

   To train, do one of these; the sensor promotes the best model, and the API follows:
   - in the UI: Jobs, training, Materialize all
   - in another terminal: make train
   - put a snapshot (csv, csv.gz or parquet) into {settings.snapshot_folder}

   Ctrl-C stops everything.
"""


def tell_news(settings: Settings, parts: list[Part], asked_to_stop: threading.Event) -> None:
    """A line for whatever happens, until it is to stop; exits where a part has ended."""
    with dg.DagsterInstance.get() as instance:
        news = News(instance, Registries(settings.model_registry), settings.market, since=datetime.now(UTC))
        while not asked_to_stop.wait(LOOK_SECONDS):
            for part in parts:
                part.require_alive()
            for line in news.lines():
                print(f"{datetime.now():%H:%M:%S}  {line}", flush=True)  # noqa: DTZ005 (the reader's own time)


if __name__ == "__main__":
    main()
