"""What counts as a database that is away; tests/containers/test_postgres_storage.py tries it on a real one."""

import psycopg2
import pytest
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.exc import OperationalError

from mle_assets.postgres_storage import is_away, outlast


@pytest.mark.parametrize(
    "message",
    [
        'connection to server at "postgres" (172.18.0.2), port 5432 failed: Connection refused',
        'connection to server at "postgres" (172.18.0.2), port 5432 failed: FATAL:  the database system is starting up',
        'connection to server at "postgres", port 5432 failed: FATAL:  the database system is in recovery mode',
        'could not translate host name "postgres" to address: Temporary failure in name resolution',
        "server closed the connection unexpectedly",
    ],
)
def test_who_does_not_answer_or_is_starting_is_away(message: str) -> None:
    lost = psycopg2.OperationalError(message)
    assert is_away(lost)
    assert is_away(OperationalError("SELECT 1", {}, lost))
    given_up = DagsterPostgresException("too many retries for DB connection")
    given_up.__cause__ = OperationalError(None, None, lost)
    assert is_away(given_up)


@pytest.mark.parametrize(
    "error",
    [
        psycopg2.OperationalError('port 5432 failed: FATAL:  password authentication failed for user "dagster"'),
        psycopg2.OperationalError('port 5432 failed: FATAL:  database "dagster" does not exist'),
        psycopg2.ProgrammingError('relation "runs" does not exist'),
        DagsterPostgresException("too many retries for DB creation"),
    ],
    ids=str,
)
def test_who_refuses_is_not_away(error: Exception) -> None:
    assert not is_away(error)
    attempts: list[int] = []

    def refused() -> None:
        attempts.append(1)
        raise error

    with pytest.raises(type(error)):
        outlast(refused, patience=60)
    assert len(attempts) == 1


def test_patience_ends_with_the_error() -> None:
    def away() -> None:
        raise psycopg2.OperationalError("Connection refused")

    with pytest.raises(psycopg2.OperationalError, match="Connection refused"):
        outlast(away, patience=0)


def test_it_is_tried_until_the_database_is_back() -> None:
    answers = iter([psycopg2.OperationalError("Connection refused"), psycopg2.InterfaceError("connection closed")])

    def answer() -> str:
        for error in answers:
            raise error
        return "back"

    assert outlast(answer, patience=60) == "back"
