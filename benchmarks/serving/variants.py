"""The servers that are not `python -m api`: one of them in this process, on the port of PORT.

    python -m benchmarks.serving.variants limit ANSWER | unobserved | predecessor

The limit and the predecessor's way are applications of their own; unobserved is the service with that part left out.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

import msgspec
import pandas as pd
import uvicorn
from litestar.types import ASGIApp, Receive, Scope, Send
from sklearn.base import BaseEstimator

import api.app
from api.__main__ import main
from api.middleware import SCOPE_KEY
from api.schemas import Answer
from mle_assets.listings.cleaning import clean
from mle_assets.listings.features import category_codes, feature_matrix
from mle_assets.listings.snapshot import read_snapshot
from mle_assets.listings.synthetic import write_snapshot
from mle_assets.models.candidates import CANDIDATES, PREDECESSOR_FEATURES
from model_registry.listing import CATEGORIES, FEATURES, Listing, encode
from model_registry.market import NEW_YORK


def limit(answer: bytes) -> ASGIApp:
    """An application that reads each request's body and answers always the same."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer, "more_body": False})

    return app


def unobserved(app: ASGIApp, **_: object) -> ASGIApp:
    """The service with nothing around it; all requests have one id, for its log wants one."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        cast("dict[str, Any]", scope)[SCOPE_KEY] = b"unobserved"
        await app(scope, receive, send)

    return handle


def predecessor() -> ASGIApp:
    """An application that answers each listing as the predecessor did: a DataFrame, two maps, 500 scikit-learn trees.

    Nothing else of it is there, neither its framework nor ours, which would put listings together.
    """
    forest = _forest()

    def price(body: bytes) -> bytes:
        listing = msgspec.json.decode(body, type=Listing)
        table = pd.DataFrame(encode(listing, NEW_YORK.codes), columns=list(FEATURES))
        table["neighbourhood"] = table["neighbourhood"].map(dict(enumerate(range(5))))
        table["room_type"] = table["room_type"].map(dict(enumerate(range(4))))
        [code] = forest.predict(table[list(PREDECESSOR_FEATURES)].to_numpy())
        return msgspec.json.encode(Answer(listing.id, CATEGORIES[code]))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        body = message["body"]
        while message["more_body"]:
            message = await receive()
            body += message["body"]
        answer = price(body) if scope["path"] == "/classify" else b"{}"
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer, "more_body": False})

    return app


def _forest() -> BaseEstimator:
    # On a synthetic snapshot of the real one's size; with the threads for each answer that it had.
    with tempfile.TemporaryDirectory() as folder:
        write_snapshot(Path(folder) / "listings.csv", 31_841)
        listings = clean(read_snapshot(f"{folder}/listings.csv").listings, "synthetic", NEW_YORK).listings
    largest = next(candidate for candidate in CANDIDATES if candidate.name == "simple_classifier_500")
    columns = feature_matrix(listings, NEW_YORK)[:, : len(PREDECESSOR_FEATURES)]
    return largest.estimator.fit(columns, category_codes(listings)).set_params(n_jobs=4)


def serve(variant: str, *arguments: str) -> None:
    """Run one of them until it is told to end."""
    if variant == "unobserved":
        # All else is what `python -m api` starts.
        api.app.observed = unobserved
        main()
        return
    uvicorn.run(
        limit(arguments[0].encode()) if variant == "limit" else predecessor(),
        port=int(os.environ["PORT"]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    serve(*sys.argv[1:])
