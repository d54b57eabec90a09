"""The HTTP bodies besides `Listing`, which is the registry's."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from model_registry.listing import PriceCategory


# As many as listings, and like them without cycles to search for (gc=False).
class Probabilities(
    msgspec.Struct, frozen=True, gc=False, rename={"low": "Low", "mid": "Mid", "high": "High", "lux": "Lux"}
):
    """How probable each price category is; together they are one."""

    low: Annotated[float, Meta(description="That it is Low: a night costs up to the first of its market's limits.")]
    mid: Annotated[float, Meta(description="That it is Mid: above that, and up to the second.")]
    high: Annotated[float, Meta(description="That it is High: above that, and up to the third.")]
    lux: Annotated[float, Meta(description="That it is Lux: above that.")]


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The price category of the listing with that id, and the probabilities where they were asked for."""

    id: Annotated[int, Meta(description="The id that the listing was sent with.")]
    price_category: Annotated[PriceCategory, Meta(description="The most probable category.")]
    probabilities: Annotated[
        Probabilities | None, Meta(description="Those of all four categories; there only where they were asked for.")
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
