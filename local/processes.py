"""Other programs: started, asked over HTTP and surely stopped, and a port for them."""

import http.client
import os
import pty
import re
import signal
import socket
import subprocess
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO

STOP_SECONDS = 30
_LAST_LINES = 12
_CONTROL = re.compile(r"\x1b\[[\d;]*[mK]")


@contextmanager
def running(*command: str, log: Path | None = None, **environment: str) -> Generator[subprocess.Popen[bytes]]:
    """A process that is stopped with all its children at the end; its output goes to a file or to the terminal.

    The file begins anew; the one of the start before is kept beside it as <name>.1.
    """
    with _opened(log) as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **environment}, start_new_session=True
        )
        try:
            yield process
        finally:
            _stop(process)


@contextmanager
def on_a_terminal(*command: str) -> Generator[tuple[subprocess.Popen[bytes], Iterator[str]]]:
    """A process, and what it says on standard error while it runs, line by line, without colours and empty lines.

    It believes that a person reads it, so that it also says what is under way; in a terminal of any width, so that it
    cuts nothing off. Where a machine has no terminals to give, as a bare chroot, it says what is done.
    """
    try:
        ours, theirs = pty.openpty()
    except OSError:
        ours, theirs = os.pipe()
    with open(ours, errors="replace") as said:  # noqa: PTH123 (it has no path)
        try:
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=theirs, env={**os.environ, "COLUMNS": "1000"}
            )
        finally:
            os.close(theirs)
        with process:
            yield process, _lines(said)


def _lines(said: IO[str]) -> Iterator[str]:
    # The end of a terminal is an error: nobody holds the other side any more.
    with suppress(OSError):
        for line in said:
            if text := _CONTROL.sub("", line).rstrip():
                yield text


def _opened(log: Path | None) -> AbstractContextManager[IO[bytes] | None]:
    if log is None:
        return nullcontext()
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    return log.open("wb")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=STOP_SECONDS)
    finally:
        # What it left behind, or all of it where it did not end.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end_of(log: Path) -> str:
    """The last lines of a log file, indented and without colours."""
    text = _CONTROL.sub("", log.read_text(errors="replace"))
    return "\n".join(f"   {line}" for line in text.splitlines()[-_LAST_LINES:])


def request(port: int, method: str, path: str, body: str | None = None) -> tuple[int, http.client.HTTPMessage, str]:
    """One HTTP request to a program on this machine: status, headers, body. Raises OSError where none answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    except http.client.HTTPException as error:
        raise OSError(f"what answers on port {port} speaks no HTTP") from error
    finally:
        connection.close()


def is_taken(port: int) -> bool:
    """Whether another program listens on a port of this machine."""
    with socket.socket() as probe:
        # As the servers do: a connection that has just ended is no reason.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
