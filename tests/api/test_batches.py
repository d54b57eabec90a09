"""A batch is answered in parts, and it shows nowhere but in who has to wait."""

import json

import msgspec
import pytest

from api.batches import PART, answer_batch
from api.champion import Champion
from api.schemas import Answer
from api.validation import Invalid
from model_registry.folder_store import FolderRegistry
from model_registry.listing import EXAMPLE
from tests.making import PROMOTE, listing, publish


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Champion:
    registry = FolderRegistry(tmp_path_factory.mktemp("registry"))
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    [version] = registry.versions()
    return Champion.of(registry.open(version))


def body(rows: int) -> bytes:
    return json.dumps([{**EXAMPLE, "id": n, "accommodates": 1 + n % 16, "beds": n % 13} for n in range(rows)]).encode()


@pytest.mark.parametrize("rows", [1, PART - 1, PART, PART + 1, 3 * PART + 7])
@pytest.mark.parametrize("probabilities", [False, True])
def test_a_batch_in_parts_is_answered_as_each_listing_by_itself(
    rows: int, probabilities: bool, champion: Champion
) -> None:
    answered = answer_batch(champion, body(rows), probabilities=probabilities, partial=False)
    alone = [
        champion.answers([listing(id=n, accommodates=1 + n % 16, beds=n % 13)], probabilities=[probabilities])[0]
        for n in range(rows)
    ]
    assert msgspec.json.decode(answered.content, type=list[Answer]) == alone
    assert answered.categories.total() == rows
    assert answered.categories[alone[0].price_category] == sum(
        one.price_category == alone[0].price_category for one in alone
    )


def test_the_bad_rows_of_a_partial_batch_keep_their_places_across_parts(champion: Champion) -> None:
    rows = json.loads(body(2 * PART + 1))
    for index in (0, PART - 1, PART, 2 * PART):
        rows[index]["beds"] = "many"
    content = json.dumps(rows).encode()
    answered = answer_batch(champion, content, probabilities=False, partial=True)
    told = json.loads(answered.content)
    assert [index for index, one in enumerate(told) if "error" in one] == [0, PART - 1, PART, 2 * PART]
    assert [one["error"]["extra"][0]["index"] for one in told if "error" in one] == [0, PART - 1, PART, 2 * PART]
    assert answered.categories.total() == 2 * PART - 3
    with pytest.raises(Invalid, match="beds"):
        answer_batch(champion, content, probabilities=False, partial=False)


def test_a_partial_batch_of_bad_rows_only_asks_no_model(champion: Champion) -> None:
    answered = answer_batch(champion, b"[{}]", probabilities=True, partial=True)
    assert json.loads(answered.content)[0]["error"]["status_code"] == 400
    assert answered.categories.total() == 0
