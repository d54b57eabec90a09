"""The same model behind the same contract, as a FastAPI user would write it in an afternoon.

    MODEL=var/registry/new-york/versions/<version> uvicorn --factory app:create_app

Knows nothing of this project's packages. The handler is `async def`: the model takes a few hundredths of a millisecond,
and FastAPI would run a plain `def` in a thread, which costs more than that.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field

RoomType = Literal["Shared room", "Private room", "Entire home/apt", "Hotel room"]
Neighbourhood = Literal["Bronx", "Queens", "Staten Island", "Brooklyn", "Manhattan"]
PriceCategory = Literal["Low", "Mid", "High", "Lux"]

ROOM_TYPES: dict[RoomType, int] = {"Shared room": 0, "Private room": 1, "Entire home/apt": 2, "Hotel room": 3}
NEIGHBOURHOODS: dict[Neighbourhood, int] = {
    "Bronx": 0,
    "Queens": 1,
    "Staten Island": 2,
    "Brooklyn": 3,
    "Manhattan": 4,
}
CATEGORIES: tuple[PriceCategory, ...] = ("Low", "Mid", "High", "Lux")

Count = Annotated[int, Field(ge=0, le=100)]


class Listing(BaseModel):
    """One listing to be priced: every field required, none other taken, every number bounded."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[int, Field(ge=0, le=2**63 - 1)]
    accommodates: Annotated[int, Field(ge=1, le=100)]
    room_type: RoomType
    beds: Count
    bedrooms: Count
    bathrooms: Annotated[float, Field(ge=0, le=100, multiple_of=0.5)]
    neighbourhood: Neighbourhood
    tv: bool
    elevator: bool
    internet: bool
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]

    def features(self) -> np.ndarray:
        """The listing as the model's input: shape (1, 11), float32."""
        return np.array(
            [
                (
                    NEIGHBOURHOODS[self.neighbourhood],
                    ROOM_TYPES[self.room_type],
                    self.accommodates,
                    self.bathrooms,
                    self.bedrooms,
                    self.beds,
                    self.latitude,
                    self.longitude,
                    self.tv,
                    self.elevator,
                    self.internet,
                )
            ],
            dtype=np.float32,
        )


class Answer(BaseModel):
    """The price category of the listing with that id."""

    id: int
    price_category: PriceCategory


def create_app() -> FastAPI:
    """The application over the model in the version's folder that MODEL names."""
    folder = Path(os.environ["MODEL"])
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    version = folder.name
    app = FastAPI(title="Price category")

    # The declared answer is faster than a Response of one's own: pydantic writes its JSON without another step.
    @app.post("/classify")
    async def classify(listing: Listing, response: Response) -> Answer:
        response.headers["X-Model-Version"] = version
        probabilities = session.run(["probabilities"], {"features": listing.features()})[0]
        return Answer(id=listing.id, price_category=CATEGORIES[probabilities[0].argmax()])

    @app.get("/readyz")
    async def readyz() -> dict[str, str]:
        return {"status": "ready", "model_version": version}

    return app
