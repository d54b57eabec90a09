"""The servers that are not `python -m api`: one of them in this process.

    python -m benchmarks.serving.variants limit ANSWER | unobserved | predecessor

All but the limit are the service itself, started as `python -m api` starts it, with one part replaced.
"""

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import uvicorn
from litestar.types import ASGIApp, Receive, Scope, Send
from numpy.typing import NDArray

import api.app
from api.__main__ import main
from api.serving import Champion
from mle_assets.listings.cleaning import clean
from mle_assets.listings.features import category_codes, feature_matrix
from mle_assets.listings.snapshot import read_snapshot
from mle_assets.listings.synthetic import write_snapshot
from mle_assets.models.candidates import CANDIDATES, PREDECESSOR_FEATURES
from model_registry.listing import FEATURES

Rows = NDArray[np.float32]


def constant(answer: bytes) -> ASGIApp:
    """An application that reads each request's body and answers always the same."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer, "more_body": False})

    return app


class ThePredecessorsWay:
    """In place of the model: for each listing a DataFrame, two maps, and a 500-tree scikit-learn forest."""

    def __init__(self) -> None:
        """Fit the forest on a synthetic snapshot; it predicts with four threads, as it did."""
        with tempfile.TemporaryDirectory() as folder:
            write_snapshot(Path(folder) / "listings.csv", 31_841)
            listings = clean(read_snapshot(f"{folder}/listings.csv").listings, "synthetic").listings
        largest = next(candidate for candidate in CANDIDATES if candidate.name == "simple_classifier_500")
        self.forest = largest.estimator.fit(feature_matrix(listings)[:, :5], category_codes(listings))
        self.forest.set_params(n_jobs=4)

    def probabilities(self, rows: Rows) -> Rows:
        """What the forest says of the five features it uses, of one listing after the other: it put none together."""
        return np.concatenate([self._of(rows[[index]]) for index in range(len(rows))])

    def _of(self, row: Rows) -> Rows:
        table = pd.DataFrame(row, columns=list(FEATURES))
        table["neighbourhood"] = table["neighbourhood"].map(dict(enumerate(range(5))))
        table["room_type"] = table["room_type"].map(dict(enumerate(range(4))))
        return self.forest.predict_proba(table[list(PREDECESSOR_FEATURES)].to_numpy(dtype=np.float32))


def serve(variant: str, *arguments: str) -> None:
    """Run one of them until it is told to end."""
    if variant == "limit":
        app = constant(arguments[0].encode())
        uvicorn.run(
            app,
            port=int(os.environ["PORT"]),
            loop="uvloop",
            http="httptools",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
        )
        return
    if variant == "unobserved":
        api.app.observed = lambda app, **_: app
    else:
        classifier, load = ThePredecessorsWay(), Champion.of
        Champion.of = lambda published: replace(load(published), classifier=classifier)
    main()


if __name__ == "__main__":
    serve(*sys.argv[1:])
