"""What an asset was made from: every upstream materialization of its market, found by Dagster's own pointers."""

from collections.abc import Iterable
from datetime import date
from typing import Final, Literal

import dagster as dg
from dagster import AssetRecordsFilter

from model_registry.manifest import Snapshot

_POINTER = "dagster/input_event_pointer/"
_DATA_VERSION = "dagster/data_version"
_CODE_VERSION = "dagster/code_version"

MATERIALIZED: Final = dg.DagsterEventType.ASSET_MATERIALIZATION
OBSERVED: Final = dg.DagsterEventType.ASSET_OBSERVATION

Record = dg.EventLogRecord


class LineageBroken(Exception):
    """Where an asset came from is not known, or it was made from things that do not belong together."""


class Lineage:
    """The materializations that some assets were made from, themselves included, by asset key ("models/x")."""

    def __init__(self, records: dict[str, Record]) -> None:
        """Hold one record per asset key."""
        self.records = records

    def data_versions(self) -> dict[str, str]:
        """The data version of every asset, by key."""
        return {key: _tag(record, _DATA_VERSION) for key, record in sorted(self.records.items())}

    def code_versions(self) -> dict[str, str]:
        """The code version of every asset, by key."""
        return {key: _tag(record, _CODE_VERSION) for key, record in sorted(self.records.items())}

    def metadata(self, key: str) -> dict[str, object]:
        """The values of an asset's metadata."""
        materialization = self.records[key].asset_materialization
        return {name: value.value for name, value in materialization.metadata.items()} if materialization else {}

    def snapshot(self) -> Snapshot:
        """The snapshot that everything was made from."""
        raw = self.metadata("raw_listings")
        return Snapshot(
            source=str(raw["source"]),
            sha256=str(raw["sha256"]),
            date=None if raw["date"] == "unknown" else date.fromisoformat(str(raw["date"])),
            synthetic=bool(raw["synthetic"]),
        )

    def run_id(self, key: str) -> str:
        """The run that made an asset."""
        return self.records[key].run_id


def trace(instance: dg.DagsterInstance, market: str, *keys: str) -> Lineage:
    """The lineage of a market's latest materializations of the assets named.

    Raises LineageBroken where Dagster has no record of an asset, or where two of them were made from
    different versions of the same one: ranking or comparing those would be comparing unlike things.
    """
    records: dict[str, Record] = {}
    open_ends = [(key, _known(key, materialization(instance, market, key))) for key in keys]
    while open_ends:
        key, record = open_ends.pop()
        seen = records.get(key)
        if seen is not None and seen.storage_id == record.storage_id:
            continue
        if seen is not None and _tag(seen, _DATA_VERSION) != _tag(record, _DATA_VERSION):
            raise LineageBroken(
                f"{' and '.join(keys)} were made from two versions of {key}: run the training job again, from "
                "the first asset that changed"
            )
        if seen is None or record.storage_id > seen.storage_id:
            records[key] = record
        for name, pointer in inputs(record).items():
            if name not in records or records[name].storage_id != pointer:
                open_ends.append((name, _known(name, made_from(instance, market, record, name))))
    return Lineage(records)


def snapshot_behind(instance: dg.DagsterInstance, market: str, key: str) -> Snapshot | None:
    """The snapshot that a market's latest materialization of an asset was made from; None where none is on record."""
    try:
        return trace(instance, market, key).snapshot()
    except LineageBroken:
        return None


def materialization(
    instance: dg.DagsterInstance,
    market: str,
    key: str,
    storage_id: int | None = None,
    before: int | None = None,
) -> Record | None:
    """A market's latest materialization of an asset, or the one with that storage id, or the latest before another.

    None where none is on record.
    """
    wanted = AssetRecordsFilter(
        asset_key=dg.AssetKey.from_user_string(key),
        asset_partitions=[market],
        storage_ids=None if storage_id is None else [storage_id],
        before_storage_id=before,
    )
    found = instance.fetch_materializations(wanted, limit=1).records
    return found[0] if found else None


def latest(
    instance: dg.DagsterInstance,
    key: str,
    markets: Iterable[str],
    kind: Literal[dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION] = MATERIALIZED,
) -> dict[str, Record]:
    """The latest materialization (or observation) of an asset for each of some markets that has one, by market.

    It takes two statements, however many markets there are.
    """
    asset, wanted = dg.AssetKey.from_user_string(key), set(markets)
    newest = instance.get_latest_storage_id_by_partition(asset, kind, wanted) if wanted else {}
    if not newest:
        return {}
    of_them = AssetRecordsFilter(asset_key=asset, storage_ids=list(newest.values()))
    fetch = instance.fetch_materializations if kind == MATERIALIZED else instance.fetch_observations
    return {str(record.partition_key): record for record in fetch(of_them, limit=len(newest)).records}


def inputs(record: Record) -> dict[str, int | None]:
    """What a materialization was made from: of each input the storage id of its latest materialization at that time.

    That may be another market's, where two are trained at once: Dagster looks at the asset, not at its partition. None
    where it is not told. See made_from for the market's own.
    """
    tags = (record.asset_materialization.tags if record.asset_materialization else None) or {}
    return {
        name.removeprefix(_POINTER): int(value) if value.isdigit() else None
        for name, value in tags.items()
        if name.startswith(_POINTER)
    }


def made_from(instance: dg.DagsterInstance, market: str, record: Record, key: str) -> Record | None:
    """The market's own materialization of an input that another one was made from; None where none is on record.

    Where Dagster points to another market's, it is this one's latest before: one run of a market follows the other.
    """
    pointer = inputs(record).get(key)
    found = materialization(instance, market, key, storage_id=pointer)
    return found or materialization(instance, market, key, before=record.storage_id)


def _known(key: str, found: Record | None) -> Record:
    if found is None:
        raise LineageBroken(
            f"Dagster has no record of how {key} was made: run the training job on this instance "
            "(is DAGSTER_HOME set?) first"
        )
    return found


def _tag(record: Record, name: str) -> str:
    tags = (record.asset_materialization.tags if record.asset_materialization else None) or {}
    return tags.get(name, "unknown")
