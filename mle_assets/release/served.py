"""«api»: where the graph ends, with what answers; nothing here makes it, its own process follows the registry."""

from collections.abc import Iterable

import dagster as dg


def served(markets: Iterable[str]) -> dg.AssetSpec:
    """The API as an asset that Dagster only knows of."""
    return dg.AssetSpec(
        "api",
        deps=["champion"],
        description="Answers for each market with its champion: a page for people at `/`, `POST /classify` for "
        "programs, and at `/model/card` the card of the model that answers. It looks at the registry once a second.",
        group_name="release",
        kinds={"litestar", "onnx"},
        partitions_def=dg.StaticPartitionsDefinition(list(markets)),
    )
