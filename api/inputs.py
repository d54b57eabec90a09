"""What a model takes: enough to make a form from."""

from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from model_registry.listing import FEATURES, Listing, RoomType
from model_registry.manifest import Manifest
from model_registry.market import Market
from model_registry.places import Places
from model_registry.profile import Profile

_LONGEST = 2.0
"""A form need not offer more than twice what nine of ten listings have at most."""
_PLACE = ("latitude", "longitude")


class Property(msgspec.Struct, frozen=True, omit_defaults=True):
    """One property of a listing."""

    name: Annotated[str, Meta(description="Its name in a listing.")]
    description: Annotated[str, Meta(description="What it is.")]
    type: Annotated[
        Literal["choice", "flag", "number"], Meta(description="One of some texts, true or false, or a number.")
    ]
    choices: Annotated[tuple[str, ...] | None, Meta(description="Of a choice: the texts.")] = None
    minimum: Annotated[float | None, Meta(description="Of a number: the smallest.")] = None
    maximum: Annotated[float | None, Meta(description="Of a number: the largest.")] = None
    step: Annotated[float | None, Meta(description="Of a number: what it is a multiple of, if it must be.")] = None
    usually_up_to: Annotated[
        float | None, Meta(description="Of a number: hardly any listing has more, if that is known.")
    ] = None


class Inputs(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a model takes, with a listing to begin with and a map of those that it learned from."""

    model_version: Annotated[str, Meta(description="The version that takes it.")]
    properties: Annotated[tuple[Property, ...], Meta(description="Every property of a listing, besides its id.")]
    example: Annotated[dict[str, int | float | bool | str], Meta(description="A listing of its market.")]
    places: Annotated[Places | None, Meta(description="Where the listings are that it learned from, if known.")] = None

    @classmethod
    def of(cls, manifest: Manifest) -> "Inputs":
        """What a published version takes."""
        fields = {field.name: field for field in msgspec.structs.fields(Listing)}
        return cls(
            model_version=manifest.version,
            properties=tuple(
                _property(name, fields[name].type, manifest.market, manifest.profile) for name in FEATURES
            ),
            example={name: value for name, value in manifest.market.example().items() if name != "id"},
            places=manifest.places,
        )


def _property(name: str, annotated: Any, market: Market, profile: Profile | None) -> Property:
    kind, meta = get_args(annotated)
    if name == "neighbourhood":
        return Property(name, meta.description, "choice", choices=market.neighbourhoods)
    if kind is RoomType:
        return Property(name, meta.description, "choice", choices=tuple(RoomType))
    if kind is bool:
        return Property(name, meta.description, "flag")
    return Property(
        name,
        meta.description,
        "number",
        minimum=meta.ge,
        maximum=meta.le,
        step=1 if kind is int else meta.multiple_of,
        usually_up_to=None if profile is None or name in _PLACE else _usual(profile, name, meta.le),
    )


def _usual(profile: Profile, name: str, largest: float) -> float:
    edges = profile.distributions[name].edges
    return min(float(largest), max(4.0, round(_LONGEST * (edges[-1] if edges else 0))))
