"""A partition for each market: every asset and every check is kept and judged market by market."""

from collections.abc import Iterable
from typing import Any

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster._utils.warnings import disable_dagster_warnings
from dagster_shared.record import replace

MARKET_TAG = PARTITION_NAME_TAG
"""The tag of a run that names its partition, which is its market."""


def by_market(definition: dg.AssetsDefinition, markets: Iterable[str], **attributes: Any) -> Any:
    """An asset's or a check's definition, partitioned by market; `attributes` are further ones of its assets.

    Which markets there are is known when the settings are, after the assets' modules are imported. Dagster's own
    `map_asset_specs` does this for assets, not for their checks: so it is done here as it is done there.
    """
    partitions = dg.StaticPartitionsDefinition(list(markets))
    given: dict[str, Any] = definition.get_attributes_dict()
    checks = {
        name: replace(spec, partitions_def=partitions) for name, spec in given["check_specs_by_output_name"].items()
    }
    specs = [spec.replace_attributes(partitions_def=partitions, **attributes) for spec in definition.specs]
    changed: dict[str, Any] = {**given, "specs": specs, "check_specs_by_output_name": checks}
    # Not by `dagster_internal_init`: it makes of a check's definition an asset's, which Dagster turns back and warns.
    with disable_dagster_warnings():
        return type(definition)(**changed)
