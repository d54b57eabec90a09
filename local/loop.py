"""The loop in one command: served listings drift, feedback shows the loss, a newer snapshot mends it. `make demo-loop`.

All of it in a folder of its own, on made-up listings: a year later there are fewer small flats, and all are dearer. The
same assets, jobs and sensors run as everywhere; the sensors are asked here instead of by the daemon, so that the story
need not wait for their turns.
"""

import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from local.processes import free_port, request, running
from local.steps import Steps
from mle_assets.definitions import make_definitions
from mle_assets.listings.cleaning import clean
from mle_assets.listings.parsing import parse_price
from mle_assets.listings.snapshot import read_snapshot
from mle_assets.listings.synthetic import write_snapshot
from mle_assets.resources import Settings
from model_registry.cli.terminal import label_width, print_table, print_wrapped, two_columns
from model_registry.listing import Listing
from model_registry.live import Live, read_live
from model_registry.market import DEFAULT_MARKET, NEW_YORK
from model_registry.registries import Registries
from model_registry.store import MarketRegistry

ROOT = Path(__file__).parents[1]
FOLDER = Path("var/demo-loop")
LISTINGS, ASKED, TOLD = 8_000, 5_000, 2_000
"""Of a snapshot, of the questions to each champion, and of those whose price is told."""
DEARER, SMALL_KEPT = 1.2, 0.6
"""What prices are multiplied by a year later, and which share of the flats for one or two is still there."""
_BATCH = 1_000
_WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Story:
    """Where it plays: the code location over a folder of its own, its records and its registry."""

    folder: Path
    settings: Settings
    definitions: dg.Definitions
    instance: dg.DagsterInstance

    @property
    def registry(self) -> MarketRegistry:
        """New York's."""
        return Registries(self.settings.model_registry).of(DEFAULT_MARKET)

    @property
    def champion(self) -> str:
        """The version in production."""
        pointer = self.registry.champion()
        if pointer is None:
            sys.exit(f"The gate kept the challenger out: {self.registry.history()[-1].decision.reason}")
        return pointer.version

    def run(self, job: str) -> None:
        """Run a job; exits with a sentence where it fails."""
        found = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=DEFAULT_MARKET,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        if not found.success:
            sys.exit(f"The job {job} failed: see the run {found.run_id} in {self.folder / 'dagster'}.")

    def live(self) -> Live:
        """How the champion fares, as was found out last."""
        live = read_live(self.registry, self.champion)
        if live is None:
            sys.exit(f"The job monitoring left no figures of {self.champion}.")
        return live

    def needed(self) -> dg.SkipReason | list[dg.RunRequest]:
        """What the sensor train_when_needed says at this moment: the runs it asks for, or why for none."""
        sensor = self.definitions.resolve_sensor_def("train_when_needed")
        given = self.definitions.resources or {}
        resources = {name: given[name] for name in ("release", "default_snapshot", "artefacts")}
        asked = dg.build_sensor_context(instance=self.instance, definitions=self.definitions, resources=resources)
        with asked as context:
            said = sensor.evaluate_tick(context)
        return list(said.run_requests or []) or dg.SkipReason(said.skip_message)


@contextmanager
def story(folder: Path, listings: int = LISTINGS) -> Generator[Story]:
    """An empty folder with the snapshot of the first year in it."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "dagster").mkdir(parents=True)
    snapshot = folder / "snapshot.csv"
    write_snapshot(snapshot, listings)
    settings = Settings(
        snapshot=str(snapshot),
        asset_folder=str(folder / "assets"),
        model_registry=str(folder / "registry"),
        snapshot_folder=str(folder / "snapshots"),
        prediction_log=str(folder / "predictions"),
        pictures=False,
    )
    with dg.DagsterInstance.local_temp(
        str(folder / "dagster"), overrides={"telemetry": {"enabled": False}}
    ) as instance:
        yield Story(folder, settings, make_definitions(settings), instance)


def a_year_later(listings: int, seed: int) -> pd.DataFrame:
    """The raw table of as many listings or fewer: fewer small flats than before, and all dearer."""
    path = FOLDER.with_name("a-year-later.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_snapshot(path, listings, seed)
    raw = pd.read_csv(path, dtype=str)
    path.unlink()
    small = raw["accommodates"].astype(float) <= 2
    kept = raw[~small | (pd.util.hash_pandas_object(raw["id"], index=False) % 100 < 100 * SMALL_KEPT)].copy()
    price = DEARER * parse_price(kept["price"].replace("", None), NEW_YORK.currency)
    dearer = price.map("${:,.2f}".format, na_action="ignore")
    kept["price"] = dearer.fillna(kept["price"])
    kept["last_scraped"] = "2022-12-04"
    return kept


def questions(raw: pd.DataFrame, folder: Path, count: int) -> tuple[list[dict[str, Any]], list[float]]:
    """Listings as clients describe them, and what a night of each costs."""
    path = folder / "asked.csv"
    raw.to_csv(path, index=False)
    kept = clean(read_snapshot(str(path)).listings, str(path), NEW_YORK).listings.head(count)
    path.unlink()
    fields = Listing.__struct_fields__
    return json.loads(kept[list(fields)].to_json(orient="records")), kept["price"].tolist()


def ask(port: int, listings: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    """Classify listings over HTTP, in batches; what each answer is called: its request's id and its place."""
    names: list[tuple[str, int]] = []
    for start in range(0, len(listings), _BATCH):
        batch = listings[start : start + _BATCH]
        status, headers, said = request(port, "POST", "/classify/batch", json.dumps(batch))
        if status != 200:
            sys.exit(f"The API did not answer: {status} {said}")
        names += [(headers["X-Request-Id"], place) for place in range(len(batch))]
    return names


def tell(port: int, names: Sequence[tuple[str, int]], prices: Sequence[float]) -> None:
    """Say what the nights of answered listings cost."""
    told = [
        {"request_id": request_id, "index": place, "price": price}
        for (request_id, place), price in zip(names, prices, strict=True)
    ]
    status, _, said = request(port, "POST", "/feedback", json.dumps(told))
    if status != 202:
        sys.exit(f"The API did not take the feedback: {status} {said}")


def wait(port: int, path: str, holds: str) -> None:
    """Until a page of the API holds something."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            if holds in request(port, "GET", path)[2]:
                return
        except OSError:
            pass
        time.sleep(0.2)
    sys.exit(f"{path} did not come to say {holds!r} within {_WAIT_SECONDS:.0f} s.")


def logged(port: int, log: str, records: int) -> None:
    """Until so many records were written."""
    wait(port, "/metrics", f'api_log_records_total{{log="{log}",outcome="written"}} {records:.1f}')


def main() -> None:
    """Tell the whole story; exits with a sentence where a part of it does not come about."""
    os.chdir(ROOT)
    logging.disable(logging.INFO)  # what the sensor logs is shown as a step
    begin, steps = time.monotonic(), Steps()
    with story(FOLDER) as plays, _api(plays) as port:
        tell_story(plays, steps, port)
    steps.heading(f"Done in {time.monotonic() - begin:.0f} s.")
    print_wrapped(
        "Next: `make up` runs all of it for real; turn the sensor train_when_needed on in the UI, and send feedback to "
        "POST /feedback. The chapter docs/monitoring.md says what is kept and for how long."
    )


def tell_story(plays: Story, steps: Steps, port: int) -> None:
    """Train, serve, drift, lose, train again, recover."""
    steps.heading("1. A model of the first year is trained, promoted and served")
    with steps.step("training and promotion", "training and promotion"):
        plays.run("train_and_promote")
    first = plays.champion
    with steps.step("the API follows", "the API serves it"):
        wait(port, "/readyz", first)
    show({"champion": first, "on test listings": f"{_accuracy(plays):.1%} right"})

    steps.heading(f"2. A year later clients ask about {ASKED:,} other listings")
    raw = a_year_later(2 * LISTINGS, seed=7)
    listings, prices = questions(raw, plays.folder, ASKED)
    with steps.step("clients ask", f"{len(listings):,} listings are answered"):
        names = ask(port, listings)
        logged(port, "predictions", len(listings))
    with steps.step("monitoring", "the job monitoring looks at the log"):
        plays.run("monitoring")
    live = plays.live()
    show({"drift": live.drift, "why": live.drift_reason, "estimate": live.estimate_reason})
    if live.drift != "drift":
        sys.exit("No drift was found, and there is some.")

    steps.heading(f"3. What {TOLD:,} of them cost is told as feedback")
    with steps.step("clients tell prices", "feedback is taken down"):
        tell(port, names[:TOLD], prices[:TOLD])
        logged(port, "feedback", TOLD)
    with steps.step("monitoring", "the job monitoring compares"):
        plays.run("monitoring")
    live = plays.live()
    show({"accuracy": live.verdict, "why": live.reason})
    if live.verdict != "below its test":
        sys.exit("The loss was not seen, and there is one.")

    steps.heading("4. The sensor train_when_needed looks: once before there is newer data, and once after")
    said = plays.needed()
    show({"before": said.skip_message or "" if isinstance(said, dg.SkipReason) else "a run"})
    if not isinstance(said, dg.SkipReason):
        sys.exit("A training was asked for without anything newer to learn from.")
    raw.to_csv(plays.settings.snapshot, index=False)
    said = plays.needed()
    if isinstance(said, dg.SkipReason):
        sys.exit(f"No training was asked for: {said.skip_message}")
    show({"after": f"it asks for a training, because of {said[0].tags['cause']}"})
    with steps.step("training", "the training it asked for"):
        plays.run("training")
    with steps.step("the gate", "the gate decides"):
        plays.run("promotion")
    second = plays.champion
    show({"decision": plays.registry.history()[-1].decision.reason, "champion": second})
    if second == first:
        sys.exit("The old champion stays.")

    steps.heading("5. The API follows, and the answers are right again")
    with steps.step("the API follows", "the API serves it"):
        wait(port, "/readyz", second)
    listings, prices = questions(a_year_later(2 * LISTINGS, seed=8), plays.folder, TOLD)
    with steps.step("clients ask and tell", f"{TOLD:,} listings more, with their prices"):
        tell(port, ask(port, listings), prices)
        logged(port, "predictions", ASKED + TOLD)
        logged(port, "feedback", 2 * TOLD)
    with steps.step("monitoring", "the job monitoring compares"):
        plays.run("monitoring")
    live = plays.live()
    show({"accuracy": live.verdict, "why": live.reason, "drift": live.drift_reason})
    if live.verdict != "as tested":
        sys.exit("The accuracy has not recovered.")


def show(lines: dict[str, str]) -> None:
    """What is to be read of a step."""
    print_table(two_columns(lines, label_width(lines)), indent=1)


def _accuracy(plays: Story) -> float:
    return plays.registry.manifest(plays.champion).metrics["test"]["accuracy"]


@contextmanager
def _api(plays: Story) -> Generator[int]:
    port = free_port()
    settings = {
        "MODEL_REGISTRY": plays.settings.model_registry,
        "PREDICTION_LOG": plays.settings.prediction_log,
        "PORT": str(port),
    }
    with running(sys.executable, "-m", "api", log=plays.folder / "api.log", **settings):
        yield port


if __name__ == "__main__":
    main()
