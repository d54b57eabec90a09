"""A line of the log says what it has said since its first version, and is bounded for whoever computes with it."""

import msgspec
import pytest

from prediction_log.record import Feedback, Forgotten, Prediction, Record, ShadowAnswer
from tests.prediction_log.log import LISTING, lines

PREDICTION_1 = (
    b'{"kind":"prediction-1","time":1785585600.25,"request_id":"a1","market":"new-york","version":"forest-0123456789ab",'
    b'"listing":{"id":39331263,"neighbourhood":"Brooklyn","room_type":"Entire home/apt","accommodates":5,'
    b'"bathrooms":1.5,"bedrooms":2,"beds":2,"latitude":40.65837,"longitude":-73.98402,"tv":true,"elevator":false,'
    b'"internet":false},"category":"Mid","probabilities":[0.1,0.6,0.2,0.1],"index":3,'
    b'"shadow":{"version":"boosting-ba9876543210","category":"High","probabilities":[0.1,0.3,0.5,0.1]}}\n'
)
PREDICTION = Prediction(
    1785585600.25,
    "a1",
    "new-york",
    "forest-0123456789ab",
    LISTING,
    "Mid",
    (0.1, 0.6, 0.2, 0.1),
    3,
    ShadowAnswer("boosting-ba9876543210", "High", (0.1, 0.3, 0.5, 0.1)),
)
FEEDBACK_1 = (
    b'{"kind":"feedback-1","time":1785585600.0,"request_id":"a1","index":3,"price":120.0,"observed_at":1785500000.0}\n'
)
FEEDBACK = Feedback(1785585600.0, "a1", 3, price=120.0, observed_at=1785500000.0)
FORGOTTEN_1 = b'{"kind":"forgotten-1","time":1785585600.0,"listing_id":39331263}\n'
FORGOTTEN = Forgotten(1785585600.0, listing_id=39331263)


@pytest.mark.parametrize(
    ("record", "line"), [(PREDICTION, PREDICTION_1), (FEEDBACK, FEEDBACK_1), (FORGOTTEN, FORGOTTEN_1)]
)
def test_a_record_is_one_line_in_the_first_format_both_ways(record: Record, line: bytes) -> None:
    assert lines(record) == line
    assert msgspec.json.decode(line, type=Record) == record


def test_a_shadow_that_missed_says_why() -> None:
    line = b'{"version":"boosting-ba9876543210","missed":"busy"}'
    assert msgspec.json.decode(line, type=ShadowAnswer) == ShadowAnswer("boosting-ba9876543210", missed="busy")


def test_a_record_of_a_newer_version_that_says_more_is_read_for_what_is_known() -> None:
    assert msgspec.json.decode(FEEDBACK_1.replace(b'"index":3', b'"index":3,"new":[1]'), type=Record) == FEEDBACK


def test_probabilities_that_a_sum_of_32_bits_put_above_one_are_read() -> None:
    line = PREDICTION_1.replace(b"[0.1,0.6,0.2,0.1]", b"[1.0000001192092896,0.0,0.0,0.0]")
    assert msgspec.json.decode(line, type=Prediction).probabilities[0] == 1.0000001192092896


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (b'"id":39331263', b'"id":9223372036854775808'),
        (b'"beds":2', b'"beds":1' + 40 * b"0"),
        (b'"index":3', b'"index":9223372036854775808'),
        (b'"time":1785585600.25', b'"time":1e300'),
        (b'"time":1785585600.25', b'"time":-1'),
        (b'"time":1785585600.25', b'"time":null'),
        (b"[0.1,0.6,0.2,0.1]", b"[0.1,0.6,0.2,1.1]"),
        (b"[0.1,0.6,0.2,0.1]", b"[0.1,0.6,0.2]"),
        (b'"category":"Mid"', b'"category":"Middle"'),
    ],
)
def test_what_no_column_or_clock_takes_is_no_record(part: bytes, other: bytes) -> None:
    assert part in PREDICTION_1
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(PREDICTION_1.replace(part, other, 1), type=Record)
