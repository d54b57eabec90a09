"""How assets are kept between steps: whole, under one path or URL, by market and asset key."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, cast

import dagster as dg
import pandas as pd
from pydantic import Field

from mle_assets.packing import pack, unpack
from mle_assets.places import FolderPlace, Place, place_at


def content_version(table: pd.DataFrame) -> dg.DataVersion:
    """A data version that changes with the table's content alone: its names, types, values and their order."""
    sha256 = hashlib.sha256(str([*table.dtypes.items()]).encode())
    sha256.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return dg.DataVersion(sha256.hexdigest())


class Artefact(Protocol):
    """A value that knows its own files."""

    def write(self, folder: Path) -> None:
        """Write the files into a folder; the one that completes them comes last."""
        ...

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read them back; raises ValueError where they do not belong together."""
        ...


_Kind = TypeVar("_Kind", bound=Artefact)


class ParquetIOManager(dg.ConfigurableIOManager):
    """Tables as Parquet files: <folder>/<market>/<asset key>.parquet."""

    folder: str = Field(description="Path or URL where tables are kept between steps, each as one Parquet file.")

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        """Store a table and show where."""
        place, name = self._place(context)
        with place.in_words():
            place.write(name, obj.to_parquet(index=False))
        context.add_output_metadata({"path": _shown(place, name)})

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """The table that was stored; fails in words where none was."""
        place, name = self._place(context)
        with place.in_words():
            try:
                return pd.read_parquet(place.source(name))
            except FileNotFoundError as error:
                raise _not_there(context.asset_key, f"{place.address}/{name}") from error

    def _place(self, context: dg.InputContext | dg.OutputContext) -> tuple[Place, str]:
        *above, last = context.asset_key.path
        return place_at(self.folder).at(context.partition_key, *above), f"{last}.parquet"


class FolderIOManager(dg.ConfigurableIOManager):
    """Values that write their own files: <folder>/<market>/<asset key>/.

    On an object store all files of a value are one object, <asset key>.zip: whoever reads has those of one value.
    """

    folder: str = Field(description="Path or URL where models, evaluations and the leaderboard are kept.")

    def handle_output(self, context: dg.OutputContext, obj: Artefact) -> None:
        """Have the value write its files and show where."""
        place = self.place(context.partition_key, context.asset_key)
        if isinstance(place, FolderPlace):
            obj.write(place.folder)
            context.add_output_metadata({"path": _shown(place)})
            return
        above, name = self._packed(context.partition_key, context.asset_key)
        with tempfile.TemporaryDirectory() as folder:
            obj.write(Path(folder))
            packed = pack(Path(folder))
        with above.in_words():
            above.write(name, packed)
        context.add_output_metadata({"path": _shown(above, name)})

    def load_input(self, context: dg.InputContext) -> Any:
        """The value of the type that the asset asks for; fails in words where its files are missing or at odds."""
        kind = cast("type[Artefact]", context.dagster_type.typing_type)
        return self.load(context.partition_key, context.asset_key, kind)

    def load(self, market: str, key: dg.AssetKey, kind: type[_Kind]) -> _Kind:
        """The stored value of an asset of a market; ends the run in words where there is none, or none that is good."""
        place = self.place(market, key)
        with place.in_words():
            try:
                return self.read(market, key, kind)
            except FileNotFoundError as error:
                raise _not_there(key, place.address) from error
            except ValueError as error:
                raise dg.Failure(f"The stored {key.to_user_string()} cannot be used: {error}") from error

    def read(self, market: str, key: dg.AssetKey, kind: type[_Kind]) -> _Kind:
        """The stored value of an asset of a market.

        Raises FileNotFoundError where there is none, ValueError where it cannot be used, and OSError.
        """
        place = self.place(market, key)
        if isinstance(place, FolderPlace):
            return kind.read(place.folder)
        above, name = self._packed(market, key)
        packed = above.read(name)
        with tempfile.TemporaryDirectory() as folder:
            unpack(packed, Path(folder))
            try:
                return kind.read(Path(folder))
            except FileNotFoundError as error:
                raise ValueError(f"{Path(str(error.filename)).name} is missing in {above.shown(name)}") from error

    def file(self, market: str, key: dg.AssetKey, name: str) -> bytes:
        """One of the files of the stored value of an asset of a market; raises as `read` does."""
        place = self.place(market, key)
        if isinstance(place, FolderPlace):
            return place.read(name)
        above, packed = self._packed(market, key)
        with tempfile.TemporaryDirectory() as folder:
            unpack(above.read(packed), Path(folder))
            return (Path(folder) / name).read_bytes()

    def place(self, market: str, key: dg.AssetKey) -> Place:
        """Where an asset of a market lies, and what is beside it."""
        return place_at(self.folder).at(market, *key.path)

    def _packed(self, market: str, key: dg.AssetKey) -> tuple[Place, str]:
        *above, last = key.path
        return place_at(self.folder).at(market, *above), f"{last}.zip"


def _shown(place: Place, name: str = "") -> dg.MetadataValue:
    path = place.shown(name)
    return dg.MetadataValue.path(path) if isinstance(place, FolderPlace) else dg.MetadataValue.text(path)


def _not_there(key: dg.AssetKey, address: str) -> dg.Failure:
    return dg.Failure(f"{key.to_user_string()} is not stored at {address}: materialize it first.", allow_retries=False)
