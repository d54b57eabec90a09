"""From an error in words to a failed run that says only those words."""

from collections.abc import Generator
from contextlib import contextmanager

import dagster as dg


@contextmanager
def failing_on(*expected: type[Exception]) -> Generator[None]:
    """Turn an expected error into a Dagster failure with the same sentence, not to be retried."""
    try:
        yield
    except expected as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
