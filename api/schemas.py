"""The HTTP bodies besides `Listing`, which is the registry's."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from model_registry.listing import Listing, PriceCategory
from model_registry.market import Market


class ListingOfAMarket(Listing, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """A listing of the market in the address: as Listing is, with one of that market's neighbourhoods."""

    neighbourhood: Annotated[
        str, Meta(min_length=1, description="The neighbourhood it is in: one of its market's, which /markets lists.")
    ]


# As many as listings, and like them without cycles to search for (gc=False).
class Probabilities(
    msgspec.Struct, frozen=True, gc=False, rename={"low": "Low", "mid": "Mid", "high": "High", "lux": "Lux"}
):
    """How probable each price category is; together they are one."""

    low: Annotated[float, Meta(description="That it is Low: a night costs up to the first of its market's limits.")]
    mid: Annotated[float, Meta(description="That it is Mid: above that, and up to the second.")]
    high: Annotated[float, Meta(description="That it is High: above that, and up to the third.")]
    lux: Annotated[float, Meta(description="That it is Lux: above that.")]


class Explanation(msgspec.Struct, frozen=True):
    """Why the category is that probable: together, base value and contributions are its probability."""

    base_value: Annotated[
        float, Meta(description="The category's mean probability among some listings that the model learned from.")
    ]
    contributions: Annotated[
        dict[str, float],
        Meta(description="By how much each property of the listing raises or, below 0, lowers it (Shapley values)."),
    ]


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The price category of the listing with that id, and the probabilities and reasons where they were asked for."""

    id: Annotated[int, Meta(description="The id that the listing was sent with.")]
    price_category: Annotated[PriceCategory, Meta(description="The most probable category.")]
    probabilities: Annotated[
        Probabilities | None, Meta(description="Those of all four categories; there only where they were asked for.")
    ] = None
    explanation: Annotated[
        Explanation | None, Meta(description="Why it is that category; there only where it was asked for.")
    ] = None
    no_explanation: Annotated[
        str | None, Meta(description="In words why there is none, where it was asked for and cannot be given.")
    ] = None


class WrongField(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with one field, and in a batch with which listing (counted from 0)."""

    message: Annotated[str, Meta(description="What is wrong, in words.")]
    field: Annotated[
        str | None, Meta(description="The field's name, a long one cut off; not there where the whole body is wrong.")
    ] = None
    index: Annotated[int | None, Meta(description="The listing's place in its batch, counted from 0.")] = None


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What every error answers: the HTTP status, in words what was wrong, and for bad input every wrong field.

    Past the hundredth, wrong fields (in a batch: wrong listings) are only counted.
    """

    status_code: Annotated[int, Meta(description="The HTTP status once more.")]
    detail: Annotated[str, Meta(description="What was wrong, in words.")]
    extra: Annotated[list[WrongField] | None, Meta(description="For bad input, up to a hundred wrong fields.")] = None
    omitted: Annotated[
        int, Meta(description="How many more fields, or listings of a batch, are wrong; not there where none is.")
    ] = 0


class BadListing(msgspec.Struct, frozen=True):
    """In a partial batch, what stands in the place of a listing that could not be answered."""

    error: Annotated[Problem, Meta(description="What is wrong with the listing in this place.")]


class MarketHealth(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether a market besides the default one can be answered for, and in words what is wrong if something is."""

    status: Annotated[Literal["ready", "not ready"], Meta(description="Ready once a verified model of it is loaded.")]
    model_version: Annotated[str | None, Meta(description="The version that answers for it.")] = None
    detail: Annotated[str | None, Meta(description="What is wrong, in words, if something is.")] = None


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the service is alive or ready, the model that answers, and in words what is wrong if something is."""

    status: Annotated[
        Literal["alive", "ready", "not ready"],
        Meta(description="Alive as long as the process answers; ready once a verified model is loaded."),
    ]
    model_version: Annotated[str | None, Meta(description="The version that answers.")] = None
    synthetic: Annotated[
        bool, Meta(description="There, and true, where that model was trained on made-up listings.")
    ] = False
    detail: Annotated[str | None, Meta(description="What is wrong, in words, if something is.")] = None
    markets: Annotated[
        dict[str, MarketHealth] | None,
        Meta(description="How the markets besides the default one are, by name; there only where there are any."),
    ] = None
    prediction_log: Annotated[
        str | None, Meta(description="What keeps answers from being logged, in words; answering goes on.")
    ] = None


class Area(msgspec.Struct, frozen=True):
    """Where nearly all listings of a market lie, in degrees."""

    south: Annotated[float, Meta(description="The latitude of its southern side.")]
    north: Annotated[float, Meta(description="The latitude of its northern side.")]
    west: Annotated[float, Meta(description="The longitude of its western side.")]
    east: Annotated[float, Meta(description="The longitude of its eastern side.")]


class ServedMarket(msgspec.Struct, frozen=True):
    """A market that is answered for: what a listing of it may say, and what its price categories are."""

    name: Annotated[str, Meta(description="What it is called in addresses.")]
    title: Annotated[str, Meta(description="What people call it.")]
    currency: Annotated[str, Meta(description="That of its prices (ISO 4217).")]
    neighbourhoods: Annotated[tuple[str, ...], Meta(description="Those that a listing of it may be in.")]
    category_limits: Annotated[
        tuple[float, ...],
        Meta(
            min_length=3,
            max_length=3,
            description="A night up to and including each is Low, Mid and High, above the last it is Lux.",
        ),
    ]
    lowest_price: Annotated[float, Meta(description="Listings at or below it were not learned from.")]
    box: Annotated[Area | None, Meta(description="Where nearly all of its listings lie, if that is known.")]
    model_version: Annotated[str, Meta(description="The version that answers.")]
    synthetic: Annotated[bool, Meta(description="Whether the listings it was trained on were made up.")]
    default: Annotated[bool, Meta(description="Whether the routes that name no market speak for it.")]

    @classmethod
    def of(cls, market: Market, model: "Model", *, default: bool) -> "ServedMarket":
        """A market and the model that answers for it."""
        box = market.box
        return cls(
            name=market.name,
            title=market.title,
            currency=market.currency,
            neighbourhoods=market.neighbourhoods,
            category_limits=market.category_limits,
            lowest_price=market.lowest_price,
            box=None if box is None else Area(south=box.south, north=box.north, west=box.west, east=box.east),
            model_version=model.version,
            synthetic=model.synthetic,
            default=default,
        )


class Model(msgspec.Struct, frozen=True):
    """The parts of the answering model's manifest that matter to a client."""

    version: Annotated[str, Meta(description="Its id: the candidate's name and the first digits of its SHA-256.")]
    candidate: Annotated[str, Meta(description="Which of the pipeline's candidates it is.")]
    created_at: Annotated[datetime, Meta(description="When it was published.")]
    run_id: Annotated[str, Meta(description="The pipeline's run that published it.")]
    snapshot: Annotated[str, Meta(description="The SHA-256 of the listings it was trained on.")]
    snapshot_date: Annotated[
        date | None, Meta(description="The last day on which those listings were scraped, if it is known.")
    ]
    synthetic: Annotated[bool, Meta(description="Whether those listings were made up.")]
    features: Annotated[tuple[str, ...], Meta(description="What it sees of a listing, in order.")]
    classes: Annotated[tuple[str, ...], Meta(description="What it answers, in the order of its probabilities.")]
    metrics: Annotated[
        dict[str, float], Meta(description="How well it did on the test listings: accuracy, roc_auc, log_loss, ...")
    ]
