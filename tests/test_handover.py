"""From the pipeline to a client: what was trained, evaluated, published and served is one model."""

import numpy as np
import pandas as pd
from litestar.testing import TestClient

from api.app import create_app
from api.settings import Settings
from mle_assets.evaluation.evaluation import Evaluation
from mle_assets.listings.features import to_listing
from model_registry.listing import CATEGORIES, encode
from model_registry.market import NEW_YORK
from tests.conftest import Pipeline


def test_the_api_answers_as_the_evaluation_did(ready: Pipeline) -> None:
    run = ready.run("promotion")
    assert run.success
    champion = ready.registry.champion()
    assert champion
    published = ready.registry.open(champion.version)
    evaluation = Evaluation.read(ready.assets / "evaluations" / published.manifest.candidate)
    test = pd.read_parquet(ready.assets / "test_listings.parquet")
    with TestClient(create_app(Settings(model_registry=ready.settings.model_registry))) as client:
        for position in range(20):
            listing = to_listing(test.iloc[position])
            row = evaluation.predictions.iloc[position]
            body = {name: getattr(listing, name) for name in listing.__struct_fields__}
            answer = client.post("/classify", json=body)
            category = CATEGORIES[int(row["predicted_price_category"])]
            assert answer.json() == {"id": listing.id, "price_category": category}
            assert answer.headers["X-Model-Version"] == champion.version
            assert answer.headers["X-Run-Id"] == run.run_id
            stated = row[[f"price_category_prob_{code}" for code in range(4)]].to_numpy(dtype=float)
            np.testing.assert_allclose(
                published.classifier.probabilities(encode(listing, NEW_YORK.codes))[0], stated, atol=1e-6
            )
