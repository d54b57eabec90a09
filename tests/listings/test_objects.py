"""A snapshot on an object store: read as any other, and refused in one sentence where it does not arrive."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dagster as dg
import pytest

from mle_assets.automation import new_snapshot_sensor
from mle_assets.listings import objects as object_snapshots
from mle_assets.listings.objects import version
from mle_assets.listings.snapshot import read_snapshot
from storage.objects import Objects
from tests.listings.test_fetching import fetch, refusal
from tests.object_store import ObjectStore


@pytest.fixture
def url(store: ObjectStore) -> str:
    return store.new_url("snapshots")


def test_a_snapshot_on_a_store_is_the_same_as_in_a_file(url: str, synthetic_snapshot: Path) -> None:
    Objects(url).write("2021/listings.csv", synthetic_snapshot.read_bytes())
    there, here = read_snapshot(f"{url}/2021/listings.csv"), read_snapshot(str(synthetic_snapshot))
    assert there.source == f"{url}/2021/listings.csv"
    assert (there.sha256, len(there.listings), there.synthetic) == (here.sha256, 2_000, True)


def test_its_scheme_may_be_in_capitals_and_its_name_have_signs(url: str) -> None:
    Objects(url).write("New York #1 50%.csv", b"id\n1\n")
    assert fetch(f"S3{url[2:]}/New York #1 50%.csv") == b"id\n1\n"


def test_a_missing_one_is_refused(url: str) -> None:
    assert refusal(f"{url}/none.csv") == (
        f"The snapshot {url}/none.csv is not there: check the address, its bucket and its name."
    )


def test_one_that_may_not_be_read_is_refused_with_the_stores_sentence(url: str, store: ObjectStore) -> None:
    with store.failing(status=403):
        said = refusal(f"{url}/a.csv")
    assert said.startswith(f"The snapshot {url}/a.csv cannot be fetched: {url}/a.csv is refused by its store")


def test_a_store_that_nobody_answers_for_is_told_of(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    assert "cannot be reached or its store fails" in refusal(f"{url}/a.csv")


def test_one_that_is_too_large_is_refused_while_it_comes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Objects(url).write("a.csv", b"x" * 2_000)
    monkeypatch.setattr(object_snapshots, "MOST_BYTES", 1_000)
    assert "is larger than 1,000 bytes, the most that is read" in refusal(f"{url}/a.csv")


def test_one_that_takes_too_long_is_given_up(url: str) -> None:
    Objects(url).write("a.csv", b"x" * 2_000)
    assert "takes longer than -1 s to arrive" in refusal(f"{url}/a.csv", total_seconds=-1)


class BreaksOff(BaseHTTPRequestHandler):
    """A store that announces three million bytes, and sends half of them, however often it is asked."""

    def do_GET(self) -> None:
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(3_000_000 - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-2999999/3000000")
        self.send_header("ETag", '"a"')
        self.send_header("Last-Modified", "Sat, 01 Aug 2026 12:00:00 GMT")
        self.end_headers()
        self.wfile.write(b"x" * max(0, 1_500_000 - first))
        self.close_connection = True

    def log_message(self, *_: object) -> None:  # pyright: ignore
        pass


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.usefixtures("store")
def test_one_that_is_cut_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(BreaksOff) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT", endpoint)
        said = refusal("s3://bucket/a.csv")
    assert said.startswith("The snapshot s3://bucket/a.csv broke off after ")
    assert "bytes: try again." in said


def test_another_content_is_another_version(url: str, store: ObjectStore) -> None:
    assert version(f"{url}/a.csv") == ""
    Objects(url).write("a.csv", b"1")
    first = version(f"{url}/a.csv")
    assert first
    Objects(url).write("a.csv", b"22")
    assert version(f"{url}/a.csv") not in {"", first}
    with store.failing(status=403):
        assert version(f"{url}/a.csv") == ""


# The sensor


def look(url: str) -> list[dg.RunRequest | dg.SkipReason]:
    with dg.build_sensor_context() as context:
        return list(new_snapshot_sensor(url, ["new-york", "lisbon"], "new-york")(context))  # pyright: ignore


def asked(url: str) -> list[tuple[str | None, str]]:
    """The market and snapshot of each run that is asked for."""
    requests = [told for told in look(url) if isinstance(told, dg.RunRequest)]
    return [(one.partition_key, one.run_config["ops"]["raw_listings"]["config"]["snapshot"]) for one in requests]


def test_objects_of_a_markets_folder_are_its_own_and_the_others_the_default_markets(
    url: str, store: ObjectStore
) -> None:
    for name in ("a.csv", "lisbon/a.csv.gz", "new-york/B.PARQUET", "porto/a.csv", "lisbon/old/a.csv", "notes.txt"):
        Objects(url).write(name, b"id")
    store.asked()
    assert asked(url) == [
        ("new-york", f"{url}/a.csv"),
        ("lisbon", f"{url}/lisbon/a.csv.gz"),
        ("new-york", f"{url}/new-york/B.PARQUET"),
    ]
    assert len(store.asked()) == 1, "it is listed once for all markets"


def test_the_same_object_keeps_its_key_and_a_changed_one_gets_another(url: str) -> None:
    Objects(url).write("a.csv", b"1")
    [first], [again] = look(url), look(url)
    Objects(url).write("a.csv", b"22")
    [changed] = look(url)
    assert first.run_key == again.run_key != changed.run_key  # pyright: ignore


def test_what_is_no_snapshot_is_told_of_with_the_reason_to_skip(url: str) -> None:
    for name in ("notes.txt", "porto/a.csv", ".a.csv"):
        Objects(url).write(name, b"id")
    [told] = look(url)
    assert isinstance(told, dg.SkipReason)
    said = told.skip_message or ""
    assert said.startswith(f"No snapshot lies in {url}; left alone: .a.csv (hidden), notes.txt (its name ends in none")
    assert "porto/a.csv (in a folder, and no market's)" in said


def test_a_store_that_is_away_is_a_reason_to_skip(url: str, store: ObjectStore) -> None:
    with store.failing(status=403):
        [told] = look(url)
    assert isinstance(told, dg.SkipReason)
    assert (told.skip_message or "").startswith(f"No snapshot can be looked for: {url} ")
