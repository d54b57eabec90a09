"""A run's storage outlasts a database that is away, wherever its connection is cut, and stores each event once."""

import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import dagster as dg
import psycopg2
import pytest
import sqlalchemy as sa
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, AssetKeyTable, SqlEventLogStorageTable
from dagster_postgres.utils import DagsterPostgresException

from mle_assets.postgres_storage import PatientPostgresStorage, PatientRunStorage
from tests.containers.stack import reason_to_skip, told
from tests.waiting import until

pytestmark = pytest.mark.containers


class Wire:
    """A port that passes everything on to PostgreSQL until a statement comes that is to be cut off."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.cut_at: tuple[bytes, bool] | None = None
        """The statement, and whether it is to arrive before the connection is cut: then only its answer is lost."""
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._to)) as server:
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()
            while asked := client.recv(1 << 20):
                if self.cut_at and self.cut_at[0] in asked:
                    arrives, self.cut_at, self.cuts = self.cut_at[1], None, self.cuts + 1
                    client.shutdown(socket.SHUT_RDWR)
                    if arrives:
                        server.sendall(asked)
                        time.sleep(0.5)  # it is executed before anything that comes on a new connection
                    return
                server.sendall(asked)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while answered := server.recv(1 << 20):
                client.sendall(answered)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other end is gone

    def close(self) -> None:
        """Take no more connections."""
        self._server.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[int]:
    """The port of a PostgreSQL of its own."""
    if reason := reason_to_skip():
        pytest.skip(f"no containers here: {reason}")
    name = f"lpc-test-{secrets.token_hex(4)}"
    login = [f"--env=POSTGRES_{key}=dagster" for key in ("USER", "PASSWORD", "DB")]
    told("docker", "run", "--detach", "--rm", "--name", name, "--publish=127.0.0.1::5432", *login, "postgres:17")
    try:
        port = int(told("docker", "port", name, "5432").stdout.split(":")[-1])
        until(lambda: _answers(port), seconds=60, every=0.2)
        yield port
    finally:
        told("docker", "rm", "--force", "--volumes", name)


def _answers(port: int) -> bool:
    try:
        psycopg2.connect(_url(port).replace("+psycopg2", ""), connect_timeout=2).close()
    except psycopg2.OperationalError:
        return False
    return True


def _url(port: int, password: str = "dagster") -> str:  # noqa: S107 (of a database that lives as long as the test)
    return f"postgresql+psycopg2://dagster:{password}@127.0.0.1:{port}/dagster"


@pytest.fixture
def wire(postgres: int) -> Iterator[Wire]:
    """The way to PostgreSQL."""
    with closing(Wire(postgres)) as wire:
        yield wire


@pytest.fixture
def instance(wire: Wire, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance with the containers' storage."""
    folder = str(tmp_path_factory.mktemp("home"))
    storage = {
        "module": "mle_assets.postgres_storage",
        "class": "PatientPostgresStorage",
        "config": {"postgres_url": _url(wire.port)},
    }
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(folder, overrides={"storage": {"custom": storage}})) as it:
        assert isinstance(it.run_storage, PatientRunStorage)
        yield it


@dg.asset
def numbers() -> int:
    """An asset."""
    return 1


@dg.asset_check(asset=numbers)
def are_right(numbers: int) -> dg.AssetCheckResult:
    """Its check."""
    return dg.AssetCheckResult(passed=numbers == 1)


def execute(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = dg.Definitions(assets=[numbers], asset_checks=[are_right]).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, raise_on_error=False)


def stored(postgres: int, run_id: str) -> dict[str, int]:
    """What is in the database of a run: how many events, of how many kinds, and its checks."""
    engine = sa.create_engine(_url(postgres))
    events, checks = SqlEventLogStorageTable, AssetCheckExecutionsTable
    with closing(engine.connect()) as connection:
        texts = connection.scalars(sa.select(events.c.event).where(events.c.run_id == run_id)).all()
        evaluated = connection.scalars(sa.select(checks.c.execution_status).where(checks.c.run_id == run_id)).all()
        keys = connection.scalars(sa.select(AssetKeyTable.c.last_run_id)).all()
    engine.dispose()
    return {
        "events": len(texts),
        "different": len(set(texts)),
        "checks": evaluated.count("SUCCEEDED"),
        "other checks": len(evaluated) - evaluated.count("SUCCEEDED"),
        "assets": keys.count(run_id),
    }


STATEMENTS = (
    b"INSERT INTO event_logs",
    b"NOTIFY run_events",
    b"INSERT INTO asset_keys",
    b"INSERT INTO asset_check_executions",
    b"UPDATE asset_check_executions",
    b"UPDATE runs",
    b"FROM runs",
    b"COMMIT",
)


@pytest.mark.parametrize("arrives", [False, True], ids=["lost", "answer lost"])
@pytest.mark.parametrize("statement", STATEMENTS, ids=bytes.decode)
def test_a_run_succeeds_and_each_event_is_stored_once_where_a_statement_is_cut_off(
    instance: dg.DagsterInstance, wire: Wire, postgres: int, statement: bytes, arrives: bool
) -> None:
    whole = stored(postgres, execute(instance).run_id)
    assert whole["events"] == whole["different"] > 10
    assert whole["checks"] == whole["assets"] == 1
    wire.cut_at = (statement, arrives)
    result = execute(instance)
    assert wire.cuts == 1
    assert result.success
    assert instance.get_run_by_id(result.run_id).status == dg.DagsterRunStatus.SUCCESS  # pyright: ignore[reportOptionalMemberAccess]
    assert stored(postgres, result.run_id) == whole


def test_what_a_database_refuses_is_not_waited_for(postgres: int) -> None:
    with pytest.raises(DagsterPostgresException, match="too many retries") as refused:
        PatientPostgresStorage(_url(postgres, password="wrong"))  # noqa: S106
    assert "password authentication failed" in str(refused.value.__cause__)


def test_who_waits_for_a_page_is_told_that_the_database_is_away(instance: dg.DagsterInstance, wire: Wire) -> None:
    instance.optimize_for_webserver(statement_timeout=5_000, pool_recycle=1, max_overflow=20)
    wire.cut_at = (b"FROM runs", False)
    with pytest.raises(sa.exc.OperationalError, match="server closed the connection unexpectedly"):
        instance.get_runs()
