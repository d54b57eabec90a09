"""One connection at a time: what a peer may send, how late, and what it gets. `make test-hostile` runs these too."""

import itertools
import json
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_registry.listing import EXAMPLE
from tests.api.server import Server, serving
from tests.waiting import until

pytestmark = pytest.mark.hostile

BODY = json.dumps(EXAMPLE).encode()
JSON = b"Host: x\r\nContent-Type: application/json\r\n"
HEAD = b"POST /classify HTTP/1.1\r\n" + JSON
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service whose deadlines are short."""
    short = {"HEAD_SECONDS": "1", "BODY_SECONDS": "1", "IDLE_SECONDS": "0.5", "ANSWER_SECONDS": "1"}
    with serving(folder, tmp_path_factory.mktemp("log") / "api.log", **short) as running:
        yield running


def figure(client: httpx.Client, name: str) -> float:
    """A figure of /metrics; 0 where there is none."""
    lines = client.get("/metrics").text.splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name)), 0.0)


def told(port: int, *parts: bytes, end: bool = False) -> bytes:
    """All that the service says to some bytes, sent one after the other, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                if len(parts) > 1:
                    time.sleep(0.02)
            if end:
                connection.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass
        received = b""
        try:
            while part := connection.recv(65_536):
                received += part
        except ConnectionError:
            pass
        return received


def answer(connection: socket.socket) -> bytes:
    """The next answer on a connection, whole: head and body may come apart."""
    received = b""
    while not received.endswith((b"}", b"]")):
        part = connection.recv(65_536)
        assert part, received
        received += part
    return received


def statuses(answers: bytes) -> list[int]:
    """The statuses of some answers, in order."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]


def test_a_connection_that_says_nothing_is_closed(server: Server) -> None:
    before = figure(server.client, 'api_connections_ended_total{reason="head_timeout"}')
    assert told(server.port) == b""
    assert figure(server.client, 'api_connections_ended_total{reason="head_timeout"}') == before + 1


def test_a_head_that_does_not_come_to_its_end_is_a_408_however_busily_it_is_sent(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(HEAD)
        start, said = time.monotonic(), b""
        connection.settimeout(0.05)
        while not said and time.monotonic() < start + 5:
            connection.sendall(b"X: y\r\n")
            try:
                said = connection.recv(65_536)
            except TimeoutError:
                continue
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout")
    assert b"connection: close" in head
    assert json.loads(body) == {"status_code": 408, "detail": "The request's headers did not arrive in time."}


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"X: " + b"x" * 16_384 + b"\r\n\r\n",
        HEAD + b"X: " + b"x" * 1_000_000,
        HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(3_000)) + b"\r\n",
        b"GET /" + b"x" * 16_384 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n0\r\nX: " + b"x" * 1_000_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 1_000_000,
    ],
    ids=["a header", "without end", "many headers", "a path", "a trailer", "a chunk's extension"],
)
def test_what_is_no_body_and_larger_than_the_limit_is_a_431(sent: bytes, server: Server) -> None:
    said = told(server.port, sent)
    assert statuses(said) == [431]
    assert b"The request's line and headers are larger than 16,384 bytes." in said
    assert b"connection: close" in said


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"X: " + b"x" * 16_000 + b"\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
        HEAD
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY)
        + b"0\r\nX-Trailer: yes\r\n\r\n",
        HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    ],
    ids=["a header just within", "a chunk for each byte, and a trailer", "one that waits to be told to go on"],
)
def test_what_is_unusual_and_right_is_answered(sent: bytes, server: Server) -> None:
    assert statuses(told(server.port, sent))[-1] == 200


def test_a_connection_is_kept_for_the_next_request_and_closed_when_none_comes(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        for _ in range(3):
            connection.sendall(WHOLE)
            assert statuses(answer(connection)) == [200]
            time.sleep(0.1)
        assert connection.recv(65_536) == b""


@pytest.mark.parametrize(
    ("before", "meanwhile"),
    [(WHOLE[:40], WHOLE[40:]), (WHOLE[:-10], WHOLE[-10:]), (WHOLE[: -len(BODY)], BODY), (WHOLE, WHOLE)],
    ids=["half a head", "half a body", "a head", "a request that was answered"],
)
def test_time_in_which_the_service_itself_was_held_up_counts_against_no_peer(
    before: bytes, meanwhile: bytes, server: Server
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(before)
        if before == WHOLE:
            assert statuses(answer(connection)) == [200]
        time.sleep(0.1)
        server.process.send_signal(signal.SIGSTOP)
        try:
            connection.sendall(meanwhile)
            time.sleep(2)
        finally:
            server.process.send_signal(signal.SIGCONT)
        assert statuses(answer(connection)) == [200]


def test_what_comes_after_an_early_answer_is_thrown_away_for_a_while_only(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        assert answer(connection).startswith(b"HTTP/1.1 200")

        def refused() -> bool:
            try:
                connection.sendall(b" ")
            except ConnectionError:
                return True
            return False

        until(refused, seconds=10)


def test_a_peer_that_has_closed_its_half_gets_its_answer(server: Server) -> None:
    assert statuses(told(server.port, WHOLE, end=True)) == [200]
    assert statuses(told(server.port, WHOLE + LIVEZ, end=True)) == [200, 200]


def test_half_a_request_is_not_answered(server: Server) -> None:
    assert told(server.port, WHOLE[:-10], end=True) == b""


@pytest.mark.parametrize(
    "parts",
    [
        (HEAD + OFFER + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,),
        (HEAD + OFFER + b"Content-Length: %d\r\n\r\n" % len(BODY), BODY),
        (HEAD + OFFER + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(BODY), BODY), b"0\r\n\r\n"),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\n" + OFFER + b"\r\n",),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",),
    ],
)
def test_an_offer_of_another_protocol_is_answered_in_this_one(parts: tuple[bytes, ...], server: Server) -> None:
    assert statuses(told(server.port, *parts, LIVEZ)) == [200, 200]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (WHOLE.replace(b"/classify", b"/classify?probabilities=\xff"), 400),
        (b"GET /livez HTTP/1.0\r\n\r\n", 200),
        (b"GET /livez HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
    ],
)
def test_what_a_peer_in_front_may_have_read_otherwise_is_refused(request_: bytes, status: int, server: Server) -> None:
    said = told(server.port, request_, end=True)
    assert statuses(said) == [status]
    if status != 200:
        assert b"x-request-id: " in said
        assert b"x-content-type-options: nosniff" in said
        assert said.endswith(b"}")


def test_no_tunnel_is_offered(server: Server) -> None:
    assert statuses(told(server.port, b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n")) == [400]


def test_requests_sent_together_are_answered_in_order_and_not_without_end(server: Server) -> None:
    assert statuses(told(server.port, LIVEZ + WHOLE + LIVEZ.replace(b"livez", b"nothing") + LIVEZ)) == [
        200,
        200,
        404,
        200,
    ]
    for request in (LIVEZ, WHOLE):
        many = told(server.port, request * 100)
        assert statuses(many) == [200] * 33
        assert many.count(b"connection: close") == 1


def test_a_peer_that_leaves_while_its_requests_are_in_the_queue_is_no_fault_of_the_service(server: Server) -> None:
    body = json.dumps([EXAMPLE] * 9_000).encode()
    request = HEAD.replace(b"/classify", b"/classify/batch") + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request + WHOLE + WHOLE)
    until(lambda: "api_requests_under_way 1.0" in server.client.get("/metrics").text, seconds=5)
    assert '"level":"error"' not in server.log.read_text()


def test_what_is_no_http_ends_the_connection_after_the_answers_before_it(server: Server) -> None:
    answers = told(server.port, WHOLE + b"\x00\x01 nonsense\r\n\r\n")
    assert statuses(answers) == [200]
    answers = told(server.port, LIVEZ, b"\x00\x01 nonsense\r\n\r\n")
    assert statuses(answers) == [200, 400]
    assert b'"detail":"The request is not valid HTTP/1.1."' in answers


def test_an_answer_that_nobody_reads_is_given_up(server: Server) -> None:
    name = 'api_connections_ended_total{reason="unread"}'
    before = figure(server.client, name)
    body = json.dumps([EXAMPLE] * 9_000).encode()
    request = HEAD.replace(b"/classify", b"/classify/batch?probabilities=true")
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        for _ in range(5):
            connection.sendall(request + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            time.sleep(0.5)
            if figure(server.client, name) > before:
                break
        until(lambda: figure(server.client, name) > before, seconds=10)
    until(lambda: figure(server.client, "api_held_bytes") == 0, seconds=5)


def test_past_the_limit_the_connection_that_has_waited_longest_makes_room(folder: Path, tmp_path: Path) -> None:
    with serving(folder, tmp_path / "api.log", CONNECTION_LIMIT="10") as server, ExitStack() as stack:

        def connect() -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))

        assert figure(server.client, "api_connection_limit") == 10
        known = connect()
        known.sendall(LIVEZ)
        assert answer(known).startswith(b"HTTP/1.1 200")
        silent = [connect() for _ in range(30)]
        # The asking client's own is among the ten, and so is the one that was answered before: they are no strangers.
        until(lambda: figure(server.client, "api_connections ") == 10, seconds=5)
        assert figure(server.client, 'api_connections_ended_total{reason="crowded"}') == 22
        assert [one.recv(1) for one in silent[:22]] == [b""] * 22
        for one in (known, *silent[22:]):
            one.sendall(WHOLE)
            assert answer(one).startswith(b"HTTP/1.1 200")


def test_a_body_that_is_coming_is_not_left_for_connections_that_say_nothing(folder: Path, tmp_path: Path) -> None:
    with serving(folder, tmp_path / "api.log", CONNECTION_LIMIT="10") as server, ExitStack() as stack:

        def connect() -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))

        slow = connect()
        slow.sendall(WHOLE[:-10])
        for number in range(40):
            connect().sendall(LIVEZ[: number % 5])
        until(lambda: figure(server.client, "api_connections ") == 10, seconds=5)
        slow.sendall(WHOLE[-10:])
        assert answer(slow).startswith(b"HTTP/1.1 200")


def test_where_fewer_descriptors_are_allowed_than_connections_the_descriptors_are_the_limit(
    folder: Path, tmp_path: Path
) -> None:
    with serving(folder, tmp_path / "api.log", descriptors=200) as server, ExitStack() as stack:
        assert figure(server.client, "api_connection_limit") == 72
        for _ in range(400):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
        assert server.client.get("/readyz").status_code == 200
        assert httpx.get(f"{server.client.base_url}/readyz").status_code == 200
        until(lambda: figure(server.client, "api_connections ") <= 72, seconds=5)


def test_past_the_limit_of_bytes_the_body_that_has_waited_longest_makes_room(folder: Path, tmp_path: Path) -> None:
    with serving(folder, tmp_path / "api.log", BUFFER_LIMIT="1500000") as server, ExitStack() as stack:
        head = HEAD.replace(b"/classify", b"/classify/batch") + b"Content-Length: 700000\r\n\r\n["
        peers = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5)) for _ in range(3)]
        for number, peer in enumerate(peers, start=1):
            peer.sendall(head + b" " * 600_000)
            held = min(number, 2) * 600_001
            until(lambda held=held: figure(server.client, "api_held_bytes") == held, seconds=5)
        refused = answer(peers[0])
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in refused
        assert b"takes so long to arrive" in refused
        for peer in peers[1:]:
            row = json.dumps(EXAMPLE).encode()
            peer.sendall(row + b" " * (700_000 - 600_001 - len(row) - 1) + b"]")
            assert answer(peer).startswith(b"HTTP/1.1 200")
        assert figure(server.client, "api_held_bytes") == 0


def test_a_single_listing_is_answered_however_much_is_held(folder: Path, tmp_path: Path) -> None:
    with serving(folder, tmp_path / "api.log", BUFFER_LIMIT="1") as server:
        assert server.client.post("/classify", json=EXAMPLE).status_code == 200
        refused = server.client.post("/classify/batch", json=[EXAMPLE] * 1_000)
        assert refused.status_code == 503


_REQUESTS = [
    (WHOLE, 200),
    (LIVEZ, 200),
    (HEAD + OFFER + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY, 200),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\nX: y\r\n\r\n" % (len(BODY), BODY), 200),
    (HEAD + b"Content-Length: 2\r\n\r\n[]", 400),
    (LIVEZ.replace(b"livez", b"nothing"), 404),
    (b"\r\n" + LIVEZ.replace(b"GET", b"PUT"), 405),
]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(_REQUESTS), min_size=1, max_size=6), st.lists(st.integers(0, 3_000), max_size=8))
def test_wherever_a_stream_is_cut_it_is_the_same_requests(
    server: Server, requests: list[tuple[bytes, int]], cuts: list[int]
) -> None:
    stream = b"".join(sent for sent, _ in requests)
    places = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start, end in itertools.pairwise(places):
            connection.sendall(stream[start:end])
            time.sleep(0.002)
        received = b""
        while len(statuses(received)) < len(requests):
            part = connection.recv(65_536)
            assert part, received
            received += part
    assert statuses(received) == [status for _, status in requests]


@pytest.mark.skipif(not shutil.which("javac"), reason="there is no JDK on this machine")
def test_javas_own_client_is_answered_as_it_comes(server: Server) -> None:
    # It offers HTTP/2 with every request over plain text.
    program = Path(__file__).parent / "java" / "Classify.java"
    command = ["java", str(program), f"http://127.0.0.1:{server.port}/classify", BODY.decode(), "3"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert [line.split('"price_category"')[0] for line in said.stdout.splitlines()] == [
        'HTTP_1_1 200 {"id":39331263,'
    ] * 3


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl on this machine")
def test_curl_that_would_rather_speak_http_2_is_answered(server: Server) -> None:
    command = ["curl", "--http2", "--silent", "--show-error", "--write-out", "%{http_version} %{http_code}"]
    command += ["--json", BODY.decode(), f"http://127.0.0.1:{server.port}/classify"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout.endswith("}1.1 200")
