"""A path or URL leads to the bytes, or to one sentence on why it does not."""

import gzip
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mle_assets.listings.bad_snapshot import BadSnapshot, without_password
from mle_assets.listings.fetching import fetched
from mle_assets.listings.snapshot import read_snapshot


def fetch(source: str, idle_seconds: float = 5, total_seconds: float = 10) -> bytes:
    with fetched(source, idle_seconds, total_seconds) as file:
        return file.read()


def refusal(source: str, idle_seconds: float = 5, total_seconds: float = 10) -> str:
    with pytest.raises(BadSnapshot) as refused:
        fetch(source, idle_seconds, total_seconds)
    said = str(refused.value)
    assert said.isprintable()
    assert said.startswith("The snapshot ")
    assert said.endswith(".")
    return said


# Paths


@pytest.mark.parametrize("name", ["listings.csv", "New York, 4 December.csv", "café.csv", "100%.csv", "a\nb.csv"])
def test_a_path_is_taken_as_it_is_and_so_is_its_file_url(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"id")
    assert fetch(str(tmp_path / name)) == b"id"
    for url in ((tmp_path / name).as_uri(), f"FILE://localhost{(tmp_path / name).as_uri()[len('file://') :]}"):
        assert fetch(url) == b"id"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"id")
    for path in (tmp_path / "nothing.csv", tmp_path / "file" / "x.csv"):
        assert refusal(str(path)).startswith(
            f"The snapshot {path} is not there: give the path of a csv, csv.gz or parquet file, or a URL"
        )


def test_a_name_with_a_line_break_stays_in_one_line(tmp_path: Path) -> None:
    assert "/a\\nb.csv is not there" in refusal(f"{tmp_path}/a\nb.csv")


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name_is_refused(name: str) -> None:
    assert "is an empty name: give the path" in refusal(name)


def test_a_broken_link_is_refused_with_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("gone.csv")
    assert "is a link to gone.csv, which is not there" in refusal(str(tmp_path / "link.csv"))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "is a folder: name the file in it." in refusal(str(tmp_path))
    assert "is a folder: name the file in it." in refusal(tmp_path.as_uri())


def test_a_pipe_or_device_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (str(tmp_path / "pipe"), "/dev/zero"):
        assert "is a pipe or a device" in refusal(path)


def test_an_unknown_user_is_refused() -> None:
    assert "begins with ~nosuchuser, and there is no such user here" in refusal("~nosuchuser/listings.csv")


@pytest.mark.parametrize("name", ["x" * 5_000, "a\0b"], ids=["too long", "NUL"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    assert "cannot be opened (" in refusal(name)


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert "cannot be opened (" in refusal(str(tmp_path / "a"))


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    (tmp_path / "secret.csv").touch(mode=0)
    assert "may not be read by this user" in refusal(str(tmp_path / "secret.csv"))


def test_a_file_that_fails_while_it_is_read_is_refused() -> None:
    if not Path("/proc/self/mem").exists():
        pytest.skip("only Linux has a file that cannot be read from its start")
    with pytest.raises(BadSnapshot, match="cannot be read .*: check the disk it lies on"):
        read_snapshot("/proc/self/mem")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("s3://bucket", "names no object: give s3://bucket/name"),
        ("S3://bucket/", "names no object: give s3://bucket/name"),
        (
            "ftp://host/listings.csv",
            "an address of ftp://, which is not read here: copy the file to this machine (curl",
        ),
        ("abfss://c@host/listings.csv", "an address of abfss://, which is not read here"),
        ("file://host/listings.csv", "is a file of another machine (host): file:///folder/name has three slashes"),
        ("http://", "names no host"),
        ("http:///listings.csv", "names no host"),
        ("http://host:port/listings.csv", "is no URL that can be read"),
        ("http://[::1/listings.csv", "is no URL that can be read"),
        (f"http://{'a' * 70}.com/listings.csv", "is no URL that can be read"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused_with_the_cure(source: str, words: str) -> None:
    assert words in refusal(source)


# Passwords


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("http://me:secret@host/x.csv", "http://***@host/x.csv"),
        ("https://me:se/cr@et@host:8000/x.csv", "https://***@host:8000/x.csv"),
        ("s3://key:secret@bucket/x", "s3://***@bucket/x"),
        ("http://token-secret@host/x", "http://***@host/x"),
        ("http://host:8000/a@b.csv", "http://host:8000/a@b.csv"),
        ("http://host/x.csv?mail=a@b", "http://host/x.csv?mail=a@b"),
        ("/data/a@b.csv", "/data/a@b.csv"),
    ],
)
def test_a_password_is_never_shown(source: str, shown: str) -> None:
    assert without_password(source) == shown
    assert "secret" not in str(BadSnapshot(source, "is bad."))


# Downloads

Respond = Callable[[BaseHTTPRequestHandler], None]
Serve = Callable[[Respond], str]
Talk = Callable[[Callable[[socket.socket], None]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that answer by a function, until the test ends."""
    servers: list[ThreadingHTTPServer] = []

    def start(respond: Respond) -> str:
        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                respond(self)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        server.daemon_threads = True
        server.block_on_close = False
        server.handle_error = lambda *_: None  # pyright: ignore
        servers.append(server)
        threading.Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, body: bytes = b"", status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def talk() -> Iterator[Talk]:
    """Starts peers that do as they like with a connection; gives their port."""
    listeners: list[socket.socket] = []

    def start(behave: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept() -> None:
            try:
                connection, _ = listener.accept()
                with connection:
                    behave(connection)
            except OSError:
                return  # the other side, or the test, is done

        threading.Thread(target=accept, daemon=True).start()
        return listener.getsockname()[1]

    yield start
    for listener in listeners:
        listener.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(synthetic_snapshot: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=synthetic_snapshot.parent)) as server:
        threading.Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_url_is_read_as_a_file_is_and_its_scheme_may_be_in_capitals(served: str, synthetic_snapshot: Path) -> None:
    for url in (f"{served}/{synthetic_snapshot.name}", f" HTTP{served[4:]}/{synthetic_snapshot.name}\n"):
        snapshot = read_snapshot(url)
        assert snapshot.source == url
        assert snapshot.sha256 == read_snapshot(str(synthetic_snapshot)).sha256


def test_what_the_server_packs_by_itself_is_read(serve: Serve, synthetic_snapshot: Path) -> None:
    packed = gzip.compress(synthetic_snapshot.read_bytes())
    url = serve(lambda handler: answer(handler, packed, Content_Encoding="gzip"))
    assert len(read_snapshot(url).listings) == 2_000


def test_another_encoding_of_the_server_is_refused(serve: Serve) -> None:
    url = serve(lambda handler: answer(handler, b"x", Content_Encoding="br"))
    assert "comes in the encoding br, which nobody asked for" in refusal(url)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("/New York.csv", "/New%20York.csv"),
        ("/New%20York.csv", "/New%20York.csv"),
        ("/café.csv", "/caf%C3%A9.csv"),
        ("/100%.csv", "/100%25.csv"),
        ("/x.csv?day=4 Dec&é=1#rows", "/x.csv?day=4%20Dec&%C3%A9=1"),
        ("", "/"),
    ],
)
def test_a_url_may_be_written_as_people_do(written: str, sent: str, serve: Serve) -> None:
    url = serve(lambda handler: answer(handler, handler.path.encode()))
    assert fetch(url + written) == sent.encode()


def test_a_host_may_have_accents() -> None:
    # Nobody has it, and the name that is asked for is the one that the domain name system would be asked for.
    assert "cannot be downloaded (the host xn--caf-dma.invalid" in refusal("http://café.invalid/listings.csv")


def test_a_user_and_password_are_sent_and_not_told_to_where_the_server_points(serve: Serve) -> None:
    told = serve(lambda handler: answer(handler, str(handler.headers["Authorization"]).encode()))
    pointing = serve(lambda handler: answer(handler, status=302, Location=told))
    assert fetch(told.replace("//", "//me:p%40ss@")) == b"Basic bWU6cEBzcw=="
    assert fetch(pointing.replace("//", "//me:p%40ss@")) == b"None"


def test_a_password_is_in_no_refusal(serve: Serve) -> None:
    url = serve(lambda handler: answer(handler, status=401))
    said = refusal(url.replace("//", "//me:secret@"))
    assert "cannot be downloaded (HTTP Error 401: Unauthorized): check whether it needs a password" in said
    assert "secret" not in said
    assert "secret" not in refusal("http://me:secret@host:port/x.csv")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "cannot be downloaded (HTTP Error 404: Not Found): check the address"),
        (403, "check whether it needs a password or has expired"),
        (503, "the server cannot give it now, try again later"),
    ],
)
def test_a_refusal_of_the_server_is_told_with_the_cure(status: int, words: str, serve: Serve) -> None:
    assert words in refusal(serve(lambda handler: answer(handler, status=status)))


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "/again"])
def test_a_redirect_in_circles_or_to_no_http_address_is_not_followed(target: str, serve: Serve) -> None:
    url = serve(lambda handler: answer(handler, status=302, Location=target))
    assert "is redirected in circles or to what is no http(s) address (HTTP 302)" in refusal(url)


@pytest.mark.parametrize("said", [b"", b"5\r\nid,pr\r\n", b"5\r\nid,pr\r\n9\r\nice"])
def test_a_chunked_body_that_breaks_off_is_refused(said: bytes, serve: Serve) -> None:
    url = serve(lambda handler: answer(handler, said, Transfer_Encoding="chunked"))
    assert "broke off after" in refusal(url)


def test_a_body_shorter_than_promised_is_refused(serve: Serve) -> None:
    url = serve(lambda handler: answer(handler, b"id,price\n", Content_Length="1000"))
    assert "broke off after 9 of 1,000 bytes: try again." in refusal(url)


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\x15\x03\x01\x00\x02\x02F", b"220 ftp ready\r\n"])
def test_a_peer_that_speaks_no_http_is_told_so(said: bytes, talk: Talk) -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(said)

    port = talk(behave)
    assert f"(what answers at 127.0.0.1:{port} speaks no HTTP): check the address and port" in refusal(
        f"http://127.0.0.1:{port}/x.csv"
    )


def test_a_peer_that_speaks_no_tls_is_told_so(serve: Serve) -> None:
    url = serve(lambda handler: answer(handler, b"id")).replace("http:", "https:")
    assert "speaks no TLS): check the port, or try http://" in refusal(url)


def test_a_peer_that_hangs_up_is_told_so(talk: Talk) -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(10_000)

    port = talk(behave)
    assert "(the connection was closed without an answer)" in refusal(f"http://127.0.0.1:{port}/x.csv")


def test_a_port_that_nobody_listens_at_is_told_so() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    assert f"(nobody listens at 127.0.0.1:{port})" in refusal(f"http://127.0.0.1:{port}/x.csv")


def test_a_peer_that_says_nothing_is_given_up(talk: Talk) -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.recv(1)

    port = talk(behave)
    assert "(silence for 0.3 s)" in refusal(f"http://127.0.0.1:{port}/x.csv", idle_seconds=0.3)


def _trickle(connection: socket.socket, begin: bytes) -> None:
    connection.recv(10_000)
    connection.sendall(begin)
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize(
    "begin",
    [
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFF\r\n",
    ],
    ids=["header", "body", "body of a length", "chunk"],
)
def test_what_trickles_for_ever_is_given_up(begin: bytes, talk: Talk) -> None:
    port = talk(lambda connection: _trickle(connection, begin))
    said = refusal(f"http://127.0.0.1:{port}/x.csv", total_seconds=0.5)
    assert "takes longer than 0.5 s to download: fetch it by other means and give its path." in said


def test_a_server_that_cannot_be_trusted_is_told_by_its_certificate(talk: Talk, tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl, which makes the certificate, is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout"]
    subprocess.run([*make, str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    port = talk(lambda connection: context.wrap_socket(connection, server_side=True).close())
    assert "(its certificate is refused: self-signed certificate): check the address" in refusal(
        f"https://127.0.0.1:{port}/x"
    )
