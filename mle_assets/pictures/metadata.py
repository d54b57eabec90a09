"""Pictures as the metadata of an asset, where they are wanted."""

from collections.abc import Callable, Mapping

import dagster as dg
from pydantic import Field

from mle_assets.pictures.look import Picture


class Pictures(dg.ConfigurableResource[None]):
    """Whether pictures are drawn beside the numbers of the assets."""

    drawn: bool = Field(
        description="Whether they are drawn, for Dagster, which keeps those of every run, and for the model card."
    )

    def of(self, draw: Callable[[], Mapping[str, Picture]]) -> dict[str, dg.MetadataValue]:
        """What `draw` draws, each picture under its name as Markdown; nothing where they are not wanted."""
        return {name: dg.MetadataValue.md(one.markdown()) for name, one in draw().items()} if self.drawn else {}
