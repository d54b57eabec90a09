"""The raw table: every value the text that the file holds, or missing."""

from collections.abc import Iterable

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mle_assets.listings import synthetic
from mle_assets.listings.columns import LISTING_URL, RAW_COLUMNS

MISSING = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
"""The texts that stand for a missing value: those of pandas."""

TEXT = pa.large_string()
_MISSING = pa.array(MISSING, TEXT)


class RawTable:
    """Grows by blocks of rows, so that a large file is never held twice."""

    def __init__(self) -> None:
        self.rows = 0
        self.synthetic = False
        self._blocks: dict[str, list[pa.Array]] = {name: [] for name in RAW_COLUMNS}

    def add(self, block: Iterable[tuple[str, pa.Array]]) -> None:
        """Append some rows, given as columns of text (TEXT) of one length by their names."""
        rows = 0
        for name, values in block:
            rows = len(values)
            if name == LISTING_URL:
                self.synthetic |= pc.any(pc.starts_with(values, synthetic.URL_PREFIX)).as_py() or False
            else:
                missing = pc.is_in(values, value_set=_MISSING)
                self._blocks[name].append(pc.if_else(missing, pa.scalar(None, TEXT), values))
        self.rows += rows

    def take(self) -> pd.DataFrame:
        """All rows, with all of RAW_COLUMNS; the table is empty afterwards."""
        columns: dict[str, pd.Series] = {}
        for name in RAW_COLUMNS:
            # Column by column, each let go of before the next: the blocks and the table never exist both.
            blocks = self._blocks.pop(name)
            joined = pa.chunked_array(blocks, TEXT) if blocks else pa.chunked_array([pa.nulls(self.rows, TEXT)])
            del blocks
            columns[name] = joined.combine_chunks().to_pandas().astype("str")
            del joined
        return pd.DataFrame(columns)
