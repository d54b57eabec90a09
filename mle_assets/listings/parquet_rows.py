"""The rows of a Parquet file as text, each type by one rule."""

import json
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.columns import columns_to_read
from mle_assets.listings.raw_table import TEXT, RawTable

_ROWS_AT_ONCE = 50_000


def read_parquet(source: str, file: BinaryIO) -> RawTable:
    """The table in a Parquet file; integers become their digits and floats Python's shortest notation.

    Lists become JSON. Raises BadSnapshot for a damaged file, and for a column of a type that has no rule.
    """
    table = RawTable()
    try:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        schema = parquet.schema_arrow
        read = columns_to_read(source, schema.names)
        for name in read:
            _check_type(source, name, schema.field(name).type)
        for batch in parquet.iter_batches(_ROWS_AT_ONCE, columns=read):
            # Strings that are no UTF-8 would be found only much later, by whoever looks at them.
            batch.validate(full=True)
            table.add(_columns(batch))
        if table.rows != parquet.metadata.num_rows:
            raise pa.ArrowInvalid(f"it holds {table.rows} rows and says {parquet.metadata.num_rows}")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadSnapshot(source, _damage(file, error)) from error
    return table


def _columns(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        yield name, _text(values)


def _text(values: pa.Array) -> pa.Array:
    kind = values.type
    if types.is_dictionary(kind):
        return _text(values.dictionary_decode())
    if types.is_floating(kind):
        # Arrow writes 3831.0 as 3831; NumPy writes every width as Python does.
        return pc.if_else(pc.is_null(values), None, pa.array(_shortest(values), TEXT))
    if _is_list(kind):
        return pa.array([None if v is None else json.dumps(v, ensure_ascii=False) for v in values.to_pylist()], TEXT)
    return pc.cast(values, TEXT)


def _shortest(values: pa.Array) -> list[str]:
    return values.to_numpy(zero_copy_only=False).astype("str").tolist()


def _is_list(kind: pa.DataType) -> bool:
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _is_plain(kind: pa.DataType) -> bool:
    return any(
        of_kind(kind)
        for of_kind in (
            types.is_integer,
            types.is_floating,
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_decimal,
            types.is_boolean,
            types.is_null,
        )
    )


def _check_type(source: str, name: str, kind: pa.DataType) -> None:
    value = kind.value_type if types.is_dictionary(kind) or _is_list(kind) else kind
    a_day = name == "last_scraped" and (types.is_date(kind) or types.is_timestamp(kind))
    if not a_day and (not _is_plain(value) or (_is_list(kind) and types.is_decimal(value))):
        raise BadSnapshot(
            source, f"has the column {name} with the type {kind}, which cannot be read as text: write it as strings."
        )


def _damage(file: BinaryIO, error: Exception) -> str:
    try:
        file.seek(-4, 2)
        whole = file.read() == b"PAR1"
    except OSError as failure:
        return f"cannot be read ({failure.strerror}): check the disk it lies on."
    if not whole:
        return "is a damaged Parquet file that breaks off before its footer: download it again."
    return f"is a damaged Parquet file ({error}): download it again."
