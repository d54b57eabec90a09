"""`models forget`: records of a request or a listing are erased from the prediction log."""

from pathlib import Path

import pytest

from model_registry.folder_store import FolderRegistry
from prediction_log.reader import read_records
from prediction_log.record import Feedback, LoggedListing, Prediction
from prediction_log.writer import LogWriter
from tests.model_registry.commands import run

LISTING = LoggedListing(7, "Brooklyn", "Private room", 2, 1.0, 1, 1, 40.7, -74.0, True, False, True)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two answers about one listing, and one feedback."""
    folder = tmp_path / "log"
    for prefix, records in (
        ("predictions", [Prediction(1.0, name, "new-york", "tree-1", LISTING, "Mid", (0, 1, 0, 0)) for name in "ab"]),
        ("feedback", [Feedback(2.0, "a", price=80.0)]),
    ):
        writer = LogWriter(folder, prefix)
        writer.start()
        writer.offer(lambda records=records: records, len(records))
        assert writer.close()
    return folder


def left(log: Path) -> list[str]:
    return [
        record.request_id
        for prefix in ("predictions", "feedback")
        for part in read_records(log, prefix)
        for record in part.records
    ]


def test_a_request_is_forgotten_with_what_was_told_of_it(log: Path, tmp_path: Path) -> None:
    told = run(FolderRegistry(tmp_path / "new-york"), "forget", "--request-id", "a", "--log", str(log))
    assert told.stdout.startswith(f"Erased 1 answers and 1 feedbacks from 2 files of {log}.")
    assert left(log) == ["b"]


def test_a_listing_is_forgotten_whoever_asked_about_it(log: Path, tmp_path: Path) -> None:
    told = run(FolderRegistry(tmp_path / "new-york"), "forget", "--listing-id", "7", "--log", str(log))
    assert told.stdout.startswith("Erased 2 answers and 1 feedbacks")
    assert left(log) == []
    again = run(FolderRegistry(tmp_path / "new-york"), "forget", "--listing-id", "7", "--log", str(log))
    assert again.stdout.startswith("Erased 0 answers and 0 feedbacks")


@pytest.mark.parametrize("options", [(), ("--request-id", "a", "--listing-id", "7")])
def test_one_of_the_two_is_to_be_named(options: tuple[str, ...], log: Path, tmp_path: Path) -> None:
    told = run(FolderRegistry(tmp_path / "new-york"), "forget", *options, "--log", str(log))
    assert told.exit_code == 2
    assert "Name either a --request-id or a --listing-id." in told.stderr


def test_where_there_is_no_log_it_is_said(tmp_path: Path) -> None:
    told = run(FolderRegistry(tmp_path / "new-york"), "forget", "--listing-id", "7", "--log", str(tmp_path / "nowhere"))
    assert told.exit_code == 1
    assert "there is no prediction log" in told.stderr
