"""How assets are kept between steps: whole files under one folder, by market and asset key."""

import hashlib
import os
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, cast
from uuid import uuid4

import dagster as dg
import pandas as pd
from pydantic import Field


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that it is the old one or the new one, whole, whenever the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


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

    folder: str = Field(description="Where tables are kept between steps, each as one Parquet file.")

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        """Store a table and show where."""
        path = self._path(context)
        replace_file(path, obj.to_parquet(index=False))
        context.add_output_metadata({"path": dg.MetadataValue.path(str(path.resolve()))})

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """The table that was stored; fails in words where none was."""
        path = self._path(context)
        if not path.exists():
            raise _not_there(context.asset_key, path)
        return pd.read_parquet(path)

    def _path(self, context: dg.InputContext | dg.OutputContext) -> Path:
        return Path(self.folder).joinpath(context.partition_key, *context.asset_key.path).with_suffix(".parquet")


class FolderIOManager(dg.ConfigurableIOManager):
    """Values that write their own files: <folder>/<market>/<asset key>/."""

    folder: str = Field(description="Where models, evaluations and the leaderboard are kept, each in a folder.")

    def handle_output(self, context: dg.OutputContext, obj: Artefact) -> None:
        """Have the value write its files and show where."""
        folder = self.path(context.partition_key, context.asset_key)
        obj.write(folder)
        context.add_output_metadata({"path": dg.MetadataValue.path(str(folder.resolve()))})

    def load_input(self, context: dg.InputContext) -> Any:
        """The value of the type that the asset asks for; fails in words where its files are missing or at odds."""
        kind = cast("type[Artefact]", context.dagster_type.typing_type)
        return self.load(context.partition_key, context.asset_key, kind)

    def load(self, market: str, key: dg.AssetKey, kind: type[_Kind]) -> _Kind:
        """The stored value of an asset of a market."""
        folder = self.path(market, key)
        try:
            return kind.read(folder)
        except FileNotFoundError as error:
            raise _not_there(key, folder) from error
        except ValueError as error:
            raise dg.Failure(f"The stored {key.to_user_string()} cannot be used: {error}") from error

    def path(self, market: str, key: dg.AssetKey) -> Path:
        """The folder of the files of an asset of a market."""
        return Path(self.folder).joinpath(market, *key.path)


def _not_there(key: dg.AssetKey, path: Path) -> dg.Failure:
    return dg.Failure(f"{key.to_user_string()} is not stored at {path}: materialize it first.", allow_retries=False)
