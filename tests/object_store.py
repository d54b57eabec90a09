"""An object store for tests: moto's S3 in a process of its own, which fails as it is told to.

Requests have their turn one after another, so its conditional writes are as atomic as a good store's.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4
from wsgiref.types import StartResponse, WSGIEnvironment

BUCKET = "bucket"
CONTROL = "/-/faults"
KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_REGION": "us-east-1"}


class ObjectStore:
    """A running store; `variables` is the environment that leads to it."""

    def __init__(self, port: int, process: "subprocess.Popen[str]") -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.variables = {**KEYS, "AWS_ENDPOINT": self.endpoint}
        self.process = process

    def new_url(self, name: str = "prefix") -> str:
        """The URL of a prefix that nobody has used."""
        return f"s3://{BUCKET}/{name}-{uuid4().hex[:12]}"

    def fail(self, **fault: Any) -> None:
        """Have requests fail from now on, or, without arguments, no more.

        `status`: answer with it; `seconds`: be so slow; `lost`: do as asked and answer 500; `methods`: of these only;
        `requests`: so many of them, then no more; `path`: only where the path has this in it.
        """
        self._control(fault)

    @contextmanager
    def failing(self, **fault: Any) -> Generator[None]:
        """Have requests fail meanwhile; see `fail`."""
        self.fail(**fault)
        try:
            yield
        finally:
            self.fail()

    def asked(self) -> list[str]:
        """The requests since this was last asked, each as «METHOD /path status»."""
        with urlopen(self.endpoint + CONTROL, timeout=10) as answer:
            return json.load(answer)

    def _control(self, fault: dict[str, Any]) -> None:
        body = json.dumps(fault).encode()
        with urlopen(Request(self.endpoint + CONTROL, data=body, method="POST"), timeout=10) as answer:
            answer.read()


@contextmanager
def object_store() -> Generator[ObjectStore]:
    """A store with an empty bucket, for as long as the context lasts."""
    code = [sys.executable, "-W", "ignore", __file__]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | KEYS
    with subprocess.Popen(code, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout
            port = process.stdout.readline()
            assert port, "the object store did not start"
            yield ObjectStore(int(port), process)
        finally:
            process.kill()


class Faulty:
    """A WSGI application before another one, whose requests it lets through one by one, unless they are to fail."""

    def __init__(self, app: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]) -> None:
        self._app, self._lock = app, threading.Lock()
        self._fault: dict[str, Any] = {}
        self._asked: list[str] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == CONTROL:
            return self._controlled(environ, start_response)
        fault = self._fault_of(environ)
        time.sleep(fault.get("seconds", 0))
        if "status" in fault:
            return self._answer(environ, start_response, f"{fault['status']} Failed")
        answer: list[str] = []

        def started(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            answer[:] = [status]
            return start_response("500 Lost" if fault.get("lost") else status, headers, *more)

        with self._lock:
            content = list(self._app(environ, started))
        self._asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {answer[0][:3]}")
        return content

    def _fault_of(self, environ: WSGIEnvironment) -> dict[str, Any]:
        fault = self._fault
        wanted = environ["REQUEST_METHOD"] in fault.get("methods", [environ["REQUEST_METHOD"]])
        if not fault or not wanted or fault.get("path", "") not in environ["PATH_INFO"]:
            return {}
        if "requests" in fault:
            fault["requests"] -= 1
            if fault["requests"] == 0:
                self._fault = {}
        return fault

    def _controlled(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            self._fault = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            start_response("200 OK", [])
            return [b""]
        asked, self._asked = self._asked, []
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(asked).encode()]

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse, status: str) -> Iterable[bytes]:
        # What was sent is read first: a client that cannot finish would say it lost the connection.
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self._asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {status[:3]}")
        start_response(status, [])
        return [b""]


def main() -> None:
    """Serve until killed, and say on which port."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # or every request is told of
    import boto3  # here, for the tests' own process need not load any of it
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = Faulty(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{server.port}")
    client.create_bucket(Bucket=BUCKET)
    app._asked.clear()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
