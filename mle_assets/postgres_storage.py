"""Dagster's storage in PostgreSQL, made to outlast a database that is away for a while.

Dagster waits about ten seconds for a new connection, and not at all for one that is lost under a statement. A run
writes hundreds of events, so a database that is killed or restarted at the wrong moment failed the run, or ended
the thread of the code server that looks after its runs: without it the server never ends when it is told to stop.
"""

import logging
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Self, TypeVar, cast

import dagster as dg
import psycopg2
from dagster._config.config_schema import UserConfigSchema
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.config import pg_config
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._serdes import ConfigurableClass, ConfigurableClassData, serialize_value
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from dagster_postgres.utils import DagsterPostgresException, pg_url_from_config
from sqlalchemy import event, select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

PATIENCE = 600.0
"""Seconds a run waits for its database; a training is worth more than that, and stopping the system does not wait."""

_PAUSE = 0.5
# admin_shutdown, crash_shutdown, cannot_connect_now: what a server says that ends or begins.
_LEAVING = ("57P01", "57P02", "57P03")

T = TypeVar("T")
_logger = logging.getLogger("dagster.postgres")


def is_away(error: BaseException | None) -> bool:
    """Whether an error means that the database cannot be reached now, and not that it refused something."""
    if isinstance(error, DagsterPostgresException):  # Dagster's, when it has tried a few times
        error = error.__cause__
    if isinstance(error, DBAPIError):
        error = error.orig
    if not isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
        return False
    if error.pgcode is not None:
        return error.pgcode in _LEAVING
    # No code: there was no answer, or it was to the attempt to connect, such as a wrong password.
    return "FATAL:" not in str(error) or "the database system is" in str(error)


def outlast(action: Callable[[], T], patience: float) -> T:
    """Do something with the database, again while it is away; its error is raised after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return action()
        except (psycopg2.Error, DBAPIError, DagsterPostgresException) as error:
            if not is_away(error) or time.monotonic() > deadline:
                raise
            _logger.warning("PostgreSQL is away, waiting for it: %s", str(error).splitlines()[0])
        time.sleep(_PAUSE)


def repeat_lost_statements(engine: Engine, patience: float) -> None:
    """Let an engine run a statement once more, on a new connection, when it lost its connection under it.

    Not within a transaction, whose earlier statements are lost as well; and no INSERT, which may have arrived.
    """

    def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        if context.isinsert or not cursor.connection.autocommit:
            return False  # SQLAlchemy is to run it
        connection: Connection = context.root_connection

        def attempt() -> None:
            if connection.invalidated:
                connection.rollback()
                context.cursor = connection.connection.cursor()
            driver = context.cursor.connection
            try:
                context.dialect.do_execute(context.cursor, statement, parameters, context)
            except psycopg2.Error as error:
                if context.dialect.is_disconnect(error, driver, context.cursor):
                    connection.invalidate(error)
                raise

        outlast(attempt, patience)
        return True

    event.listen(engine, "do_execute", execute)


class _Patient:
    """What both kinds of storage have in common."""

    _engine: Engine
    _patience = PATIENCE

    def __init__(self, postgres_url: str) -> None:
        super().__init__(postgres_url)  # type: ignore[call-arg]
        repeat_lost_statements(self._engine, PATIENCE)

    def optimize_for_webserver(self, *settings: int, **named: int) -> None:
        """The same as Dagster's, and no patience: who waits for a page is to see the error."""
        super().optimize_for_webserver(*settings, **named)  # type: ignore[misc]
        self._patience = 0.0


class PatientRunStorage(_Patient, PostgresRunStorage):
    """Runs and their states."""

    @contextmanager
    def connect(self) -> Generator[Connection]:
        """A connection, waited for."""
        connect = super().connect
        with ExitStack() as stack:
            yield outlast(lambda: stack.enter_context(connect()), self._patience)


class PatientEventLogStorage(_Patient, PostgresEventLogStorage):
    """The events of runs; each is stored once, however often it was tried."""

    @contextmanager
    def _connect(self) -> Generator[Connection]:
        """A connection, waited for."""
        connect = super()._connect
        with ExitStack() as stack:
            yield outlast(lambda: stack.enter_context(connect()), self._patience)

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event; where that was interrupted, remove what arrived of it and store it again."""
        store, attempts = super().store_event, iter([False])

        def attempt() -> None:
            if next(attempts, True):
                self._remove(event)
            store(event)

        outlast(attempt, self._patience)

    def _remove(self, event: EventLogEntry) -> None:
        """Remove an event and what was derived from it; its text has its time in microseconds and is its identity."""
        events, checks = SqlEventLogStorageTable, AssetCheckExecutionsTable
        same = (events.c.run_id == event.run_id, events.c.event == serialize_value(event))
        with self.index_transaction() as connection:
            arrived = select(events.c.id).where(*same)
            connection.execute(checks.delete().where(checks.c.evaluation_event_storage_id.in_(arrived)))
            connection.execute(events.delete().where(*same))


class PatientPostgresStorage(DagsterStorage, ConfigurableClass):
    """Dagster's storage, with patience in what runs need; schedules and sensors begin again by themselves."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__()
        self._inst_data = inst_data
        self._runs = outlast(lambda: PatientRunStorage(postgres_url), PATIENCE)
        self._events = outlast(lambda: PatientEventLogStorage(postgres_url), PATIENCE)
        self._schedules = outlast(lambda: PostgresScheduleStorage(postgres_url), PATIENCE)

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Where it was configured."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Where the database is, as for Dagster's own; of its further settings there are none here."""
        return {name: cast("dict[str, dg.Field]", pg_config())[name] for name in ("postgres_url", "postgres_db")}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """The storage that dagster.yaml describes."""
        return cls(pg_url_from_config(config_value), inst_data)

    @property
    def run_storage(self) -> PatientRunStorage:
        """Runs."""
        return self._runs

    @property
    def event_log_storage(self) -> PatientEventLogStorage:
        """Their events."""
        return self._events

    @property
    def schedule_storage(self) -> PostgresScheduleStorage:
        """Schedules and sensors."""
        return self._schedules
