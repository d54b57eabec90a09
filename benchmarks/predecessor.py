"""The whole of what the replaced system did, in one process, as `make bench` compares with it.

    python -m benchmarks.predecessor SNAPSHOT FOLDER

It reads all columns of the snapshot, cleans them, and writes the listings as CSV. Then for each of nine forests it
reads those again, splits them, fits with `n_jobs=4`, keeps a pickle, reads that again, asks it about the test
listings, and writes figures and rows. The cleaning is ours: its own read 1,234 dollars as 1. Luigi itself, which ran
these parts one after the other, is left out.
"""

import json
import pickle
import sys
from pathlib import Path

import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, roc_auc_score, roc_curve
from sklearn.model_selection import train_test_split

from mle_assets.listings.cleaning import clean
from mle_assets.listings.features import category_codes, feature_matrix
from mle_assets.models.candidates import PREDECESSOR_FEATURES
from model_registry.market import NEW_YORK


def main(snapshot: str, folder: Path) -> None:
    """Do all of it in a folder."""
    raw = pd.read_csv(snapshot, dtype=str, keep_default_na=False)
    listings = clean(raw, snapshot, NEW_YORK).listings
    used = pd.DataFrame(
        feature_matrix(listings, NEW_YORK)[:, : len(PREDECESSOR_FEATURES)], columns=list(PREDECESSOR_FEATURES)
    )
    used["price_category"] = category_codes(listings)
    used.assign(id=listings["id"].to_numpy()).to_csv(folder / "listings.csv", index=False)
    del raw, listings, used
    for trees in range(100, 501, 50):
        forest(trees, folder)


def forest(trees: int, folder: Path) -> None:
    """One of the nine, from the cleaned listings to its rows."""
    train, test = train_test_split(pd.read_csv(folder / "listings.csv"), test_size=0.15, random_state=1)
    features = list(PREDECESSOR_FEATURES)
    fitted = RandomForestClassifier(trees, class_weight="balanced", random_state=0, n_jobs=4)
    fitted.fit(train[features], train["price_category"])
    pickled = folder / f"simple_classifier_{trees}.pickle"
    pickled.write_bytes(pickle.dumps(fitted))
    loaded: RandomForestClassifier = pickle.loads(pickled.read_bytes())  # noqa: S301 (written a line above)
    probabilities = loaded.predict_proba(test[features])
    predicted = probabilities.argmax(axis=1)
    truth = test["price_category"]
    figures = {
        "accuracy": accuracy_score(truth, predicted),
        "f1": f1_score(truth, predicted, average="macro"),
        "roc_auc": roc_auc_score(truth, probabilities, multi_class="ovr"),
        "confusion": confusion_matrix(truth, predicted).tolist(),
        "roc_curves": [
            [part.tolist() for part in roc_curve(truth == code, probabilities[:, code])] for code in range(4)
        ],
    }
    (folder / f"simple_classifier_{trees}.json").write_text(json.dumps(figures))
    columns = {f"price_category_prob_{code}": probabilities[:, code] for code in range(4)}
    rows = test[["id", "price_category"]].assign(predicted_price_category=predicted, **columns)
    rows.to_csv(folder / f"simple_classifier_{trees}.csv", index=False)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
