"""What assets are kept as: the same in a folder and on an object store, whole whenever somebody looks."""

import threading
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from mle_assets.evaluation.leaderboard import Leaderboard
from mle_assets.io_managers import FolderIOManager, ParquetIOManager
from mle_assets.models.training import TrainedModel
from mle_assets.packing import pack
from mle_assets.places import FolderPlace, Place, place_at
from tests.conftest import instance_in, make_pipeline
from tests.object_store import ObjectStore

KEY = dg.AssetKey(["models", "tree"])
TABLE = pd.DataFrame({"id": [1, 2], "price": [80.0, None]})


class Note:
    """A value of two files."""

    def __init__(self, text: str) -> None:
        self.text = text

    def write(self, folder: Path) -> None:
        (folder / "deep").mkdir(parents=True, exist_ok=True)
        (folder / "deep" / "text").write_text(self.text)
        (folder / "length").write_text(str(len(self.text)))

    @classmethod
    def read(cls, folder: Path) -> "Note":
        text = (folder / "deep" / "text").read_text()
        if len(text) != int((folder / "length").read_text()):
            raise ValueError("its files do not belong together")
        return cls(text)


@pytest.fixture(params=["folder", "store"])
def address(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Where assets are kept, in either way."""
    if request.param == "folder":
        return str(tmp_path / "assets")
    store: ObjectStore = request.getfixturevalue("store")
    return store.new_url("assets")


@pytest.fixture
def place(address: str) -> Place:
    return place_at(address)


Manager = type[ParquetIOManager] | type[FolderIOManager]


def store_value(address: str, value: object, manager: Manager = FolderIOManager) -> str:
    with dg.build_output_context(asset_key=KEY, partition_key="lisbon") as context:
        manager(folder=address).handle_output(context, value)  # pyright: ignore
        return str(context.consume_logged_metadata()["path"].value)  # pyright: ignore


def load_value(address: str, kind: type, manager: Manager = FolderIOManager) -> object:
    wanted = dg.PythonObjectDagsterType(kind)
    with dg.build_input_context(asset_key=KEY, partition_key="lisbon", dagster_type=wanted) as context:
        return manager(folder=address).load_input(context)


def test_a_content_is_read_as_it_was_written_until_it_is_removed(place: Place) -> None:
    assert (place.exists("a"), place.names(), place.places()) == (False, [], [])
    place.write("a", b"1")
    place.write("a", b"2")
    place.at("x", "y").write("b", b"3")
    assert (place.read("a"), place.names(), place.places()) == (b"2", ["a"], ["x"])
    assert place.at("x").places() == ["y"]
    assert place.at("x").at("y").read("b") == b"3"
    place.remove("a")
    place.remove("a")
    assert not place.exists("a")
    with pytest.raises(FileNotFoundError):
        place.read("a")


def test_what_was_seen_is_replaced(place: Place) -> None:
    with place.alone():
        seen = place.see("a")
        assert seen.content is None
        place.replace("a", b"1", seen)
        place.replace("a", b"2", place.see("a"))
    assert place.read("a") == b"2"


@pytest.mark.parametrize("first", [None, b"0"])
def test_on_a_store_what_another_run_wrote_meanwhile_is_not_replaced(first: bytes | None, store: ObjectStore) -> None:
    place = place_at(store.new_url())
    if first:
        place.write("a", first)
    seen = place.see("a")
    place.write("a", b"1")
    with pytest.raises(OSError, match="/a was written by another run meanwhile; run it again"):
        place.replace("a", b"2", seen)
    assert place.read("a") == b"1"


def test_a_table_is_loaded_as_it_was_stored(address: str) -> None:
    path = store_value(address, TABLE, ParquetIOManager)
    assert path.endswith("/lisbon/models/tree.parquet")
    pd.testing.assert_frame_equal(load_value(address, pd.DataFrame, ParquetIOManager), TABLE)  # pyright: ignore


def test_a_value_that_writes_files_is_loaded_as_it_was_stored(address: str) -> None:
    store_value(address, Note("first"))
    path = store_value(address, Note("second"))
    assert path.startswith(address)
    assert isinstance(note := load_value(address, Note), Note)
    assert note.text == "second"
    assert FolderIOManager(folder=address).file("lisbon", KEY, "length") == b"6"


@pytest.mark.parametrize("manager", [ParquetIOManager, FolderIOManager])
def test_what_was_not_stored_is_asked_for_in_words(address: str, manager: type[ParquetIOManager]) -> None:
    with pytest.raises(dg.Failure) as failed:
        load_value(address, Note, manager)
    words = f"models/tree is not stored at {address}/lisbon/models/tree"
    assert (failed.value.description or "").startswith(words)
    assert failed.value.allow_retries is False


def test_a_value_is_one_object_on_a_store_and_nothing_lies_beside_it(store: ObjectStore) -> None:
    address = store.new_url()
    assert store_value(address, Note("text")) == f"{address}/lisbon/models/tree.zip"
    assert place_at(address).at("lisbon", "models").names() == ["tree.zip"]
    assert place_at(address).at("lisbon", "models").places() == []


@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 404}])
def test_a_write_that_fails_leaves_the_old_value_and_ends_the_run_in_words(
    fault: dict[str, int], store: ObjectStore
) -> None:
    address = store.new_url()
    store_value(address, Note("old"))
    with store.failing(methods=["PUT"], **fault), pytest.raises(dg.Failure) as failed:
        store_value(address, Note("new"))
    assert (failed.value.description or "").startswith(f"{address}/lisbon/models/tree.zip ")
    note = load_value(address, Note)
    assert isinstance(note, Note)
    assert note.text == "old"


def test_a_write_that_is_killed_leaves_the_old_value(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    address = store.new_url()
    store_value(address, Note("old"))

    def half(self: Note, folder: Path) -> None:
        (folder / "length").write_text(str(len(self.text)))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Note, "write", half)
        with pytest.raises(KeyboardInterrupt):
            store_value(address, Note("newer"))
    assert isinstance(note := load_value(address, Note), Note)
    assert note.text == "old"


def test_whoever_reads_while_it_is_written_has_the_files_of_one_value(store: ObjectStore) -> None:
    address, done = store.new_url(), threading.Event()
    store_value(address, Note("0"))

    def write() -> None:
        for number in range(15):
            store_value(address, Note("x" * number))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    looked = 0
    while not done.is_set():
        load_value(address, Note)  # fails where the files are not of one value
        looked += 1
    writer.join()
    assert looked > 2


def test_a_store_that_cannot_be_reached_ends_the_run_in_words(store: ObjectStore) -> None:
    address = store.new_url()
    for manager, value in ((ParquetIOManager, TABLE), (FolderIOManager, Note("text"))):
        with store.failing(status=403):
            with pytest.raises(dg.Failure, match=f"{address}/lisbon.* is refused by its store"):
                store_value(address, value, manager)
            with pytest.raises(dg.Failure, match=f"{address}/lisbon.* is refused by its store"):
                load_value(address, Note, manager)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"PK no archive", "its archive is damaged"), (pack(Path("/nonexistent")), "text is missing in s3://bucket/")],
)
def test_an_object_that_is_no_value_is_refused_in_words(content: bytes, words: str, store: ObjectStore) -> None:
    address = store.new_url()
    place_at(address).at("lisbon", "models").write("tree.zip", content)
    with pytest.raises(dg.Failure, match=f"The stored models/tree cannot be used: {words}"):
        load_value(address, Note)


def test_without_a_url_nothing_of_a_store_is_loaded(tmp_path: Path) -> None:
    assert isinstance(place_at(str(tmp_path)), FolderPlace)


@pytest.mark.slow
def test_a_whole_training_is_kept_at_a_url_and_promoted_from_there(tmp_path: Path, store: ObjectStore) -> None:
    address = store.new_url()
    with instance_in(tmp_path / "dagster") as instance:
        pipeline = make_pipeline(tmp_path, instance, asset_folder=address, model_registry=store.new_url("registry"))
        assert pipeline.run("training").success
        stored = FolderIOManager(folder=address)
        leader = stored.load("new-york", dg.AssetKey("leaderboard"), Leaderboard).leader
        model = stored.load("new-york", dg.AssetKey(["models", leader]), TrainedModel)
        assert pipeline.run("promotion").success
        champion = pipeline.registry.champion()
        assert champion is not None
        assert champion.version.startswith(f"{leader}-{model.training.sha256[:12]}")
        snapshot = f"{address}/new-york/synthetic-4000.csv"
        read = pipeline.run("training", asset_selection=[dg.AssetKey("raw_listings")])
        [event] = read.get_asset_materialization_events()
        assert event.materialization.metadata["source"].value == snapshot
        assert pipeline.run("monitoring").success
    assert not (tmp_path / "assets").exists()
