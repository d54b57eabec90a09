"""The gateway before the API's replicas, on a real engine: what it does for clients that behave."""

import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from model_registry.listing import EXAMPLE
from tests.containers.hostile import exchanged, upgrading_to_h2c
from tests.containers.light import Light, light_stack
from tests.containers.load import burst, load
from tests.containers.stack import ROOT, reason_to_skip, say, told
from tests.containers.test_alerts import IMAGE as PROMETHEUS
from tests.waiting import until

pytestmark = pytest.mark.containers


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Light]:
    """Two replicas behind a gateway."""
    if reason := reason_to_skip():
        pytest.skip(f"no containers here: {reason}")
    with light_stack(tmp_path_factory.mktemp("light")) as stack:
        yield stack


def published(stack: Light) -> tuple[str, int]:
    """Where clients on this machine reach the gateway."""
    return "127.0.0.1", int(stack.settings["API_PORT"])


def is_problem(answer: httpx.Response, status: int) -> bool:
    """Whether an answer has the API's shape of an error."""
    problem = answer.json()
    return (
        answer.status_code == problem["status_code"] == status
        and bool(problem["detail"])
        and answer.headers["Content-Type"] == "application/json"
        and answer.headers["X-Content-Type-Options"] == "nosniff"
        and answer.headers["Cache-Control"] == "no-store"
    )


def test_only_the_gateway_is_published(stack: Light) -> None:
    for replica in stack.containers("api"):
        assert not any(replica["NetworkSettings"]["Ports"].values())
    assert stack.ask().version == stack.versions[0]


def test_requests_are_spread_over_the_replicas(stack: Light) -> None:
    def answered() -> list[int]:
        pages = [stack.client.get(f"{api}/metrics").text for api in stack.apis()]
        counts = [
            re.search(r'api_requests_total\{market="new-york",method="POST",route="/classify",status="200"} (\S+)', p)
            for p in pages
        ]
        return [int(float(count[1])) if count else 0 for count in counts]

    before = answered()
    with load(published(stack), 8) as told_of:
        time.sleep(2)
    each = [after - first for first, after in zip(before, answered(), strict=True)]
    say(f"{told_of}; by replica {each}")
    assert told_of.good == told_of.asked
    assert min(each) > told_of.asked / 4


def test_no_request_fails_while_both_replicas_are_replaced_one_by_one(stack: Light) -> None:
    before = {replica["Id"] for replica in stack.containers("api")}
    with load(published(stack)) as told_of, load(published(stack), 4, batch=100) as batches:
        time.sleep(1)
        stack.make("compose-roll")
        time.sleep(1)
    assert {replica["Id"] for replica in stack.containers("api")}.isdisjoint(before)
    say(f"make compose-roll under 16 connections: {told_of}; batches of 30 kB on 4 more: {batches}")
    assert told_of.good == told_of.asked > 500
    assert batches.good == batches.asked


def test_no_request_fails_while_the_champion_changes_and_a_replica_ends(stack: Light) -> None:
    with load(published(stack)) as told_of:
        time.sleep(1)
        stack.promote(stack.versions[1])
        time.sleep(3)
        replica = stack.containers("api")[0]["Id"]
        told("docker", "stop", replica)
        time.sleep(1)
        told("docker", "start", replica)
        stack.promote(stack.versions[0])
        time.sleep(3)
    say(f"promotion, SIGTERM of a replica, promotion back under 16 connections: {told_of}")
    assert told_of.good == told_of.asked > 500
    assert set(told_of.answers) == set(stack.versions)


def test_no_request_fails_while_replicas_come_and_go(stack: Light) -> None:
    with load(published(stack)) as told_of:
        stack.start(4)
        time.sleep(1)
        stack.start(2)
        time.sleep(1)
    say(f"from two replicas to four and back under 16 connections: {told_of}")
    assert told_of.good == told_of.asked > 500


def test_no_request_fails_when_a_replica_is_killed_but_those_it_had_in_hand(stack: Light) -> None:
    # They too are sent to another replica: what is lost is an answer half sent.
    with load(published(stack)) as told_of:
        time.sleep(1)
        stack.kill("api")
        time.sleep(2)
    say(f"SIGKILL of a replica under 16 connections: {told_of}")
    assert told_of.asked - told_of.good <= 1


def test_what_is_more_than_the_replicas_take_waits_in_the_queue(stack: Light) -> None:
    # Each replica turns away the eleventh request under way: two hundred at once would mostly be refused.
    stack.start(CONCURRENCY_LIMIT="10")
    try:
        asked = [burst(published(stack), 400) for _ in range(5)]
        queued = stack.figure('haproxy_backend_max_queue{proxy="ready"}')
    finally:
        stack.start()
    say(f"5 times 400 at once to two replicas that take 10 each: up to {queued:.0f} in the queue, then {asked[-1]}")
    assert all(told_of.good == told_of.asked == 400 for told_of in asked)
    assert queued > 0


def test_h2c_is_answered_both_ways(stack: Light) -> None:
    upgraded = upgrading_to_h2c(published(stack))
    assert upgraded.startswith(b"HTTP/1.1 200 OK\r\n"), upgraded
    # With prior knowledge: the preface and empty settings are answered by settings, not by an error.
    answer = exchanged(
        published(stack), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]), seconds=2
    )
    assert answer[3] == 4, answer


def test_the_client_is_named_by_the_gateway_alone_and_its_request_id_kept(stack: Light) -> None:
    asked = stack.client.post(
        f"{stack.url()}/classify", json=EXAMPLE, headers={"X-Request-Id": "mine-1", "X-Forwarded-For": "9.9.9.9"}
    )
    assert asked.headers["X-Request-Id"] == "mine-1"
    line = log_line(stack, "mine-1")
    say(f"the gateway's log: {json.dumps(line)}")
    assert (line["method"], line["path"], line["status"]) == ("POST", "/classify", 200)
    assert line["client"] != "9.9.9.9"
    assert isinstance(line["milliseconds"], int)


def test_every_log_line_of_a_request_is_json_whatever_its_path_is(stack: Light) -> None:
    paths = ['/a"b', "/a%22b%0A", "/\\u0000", "/" + "x" * 5000, "/{}", "/a'b"]
    for path in paths:
        exchanged(published(stack), f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    lines = logged(stack)
    assert len([json.loads(line) for line in lines]) > len(paths)


def logged(stack: Light) -> list[str]:
    """What the gateway has written to stdout since it was made."""
    return told("docker", "logs", stack.container("gateway")["Id"]).stdout.splitlines()


def log_line(stack: Light, request_id: str) -> dict[str, object]:
    """What the gateway logged of a request."""
    [line] = [json.loads(line) for line in logged(stack) if request_id in line]
    return line


def test_what_the_gateway_refuses_has_the_apis_shape(stack: Light) -> None:
    long = stack.client.get(f"{stack.url()}/livez", headers={"X-Long": "x" * 9_000})
    assert is_problem(long, 431)
    slow = exchanged(published(stack), b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    assert slow.startswith(b"HTTP/1.1 408 ")
    assert json.loads(slow.partition(b"\r\n\r\n")[2])["status_code"] == 408
    chunked = stack.client.post(f"{stack.url()}/classify", content=iter([b" " * 4_000] * 5))
    assert is_problem(chunked, 411)
    # The API's own refusals come through as they are.
    assert stack.client.post(f"{stack.url()}/classify", content=b"x" * 2_000_000).status_code in (413, 415)
    assert stack.client.post(f"{stack.url()}/classify", json={}).json()["status_code"] == 400


def test_a_client_whose_body_was_refused_early_can_go_on(stack: Light) -> None:
    for _ in range(20):
        refused = stack.client.post(f"{stack.url()}/classify", content=b"x" * 2_000_000)
        assert refused.status_code in (413, 415)
        assert stack.client.post(f"{stack.url()}/classify", json=EXAMPLE).status_code == 200


def test_without_a_replica_it_says_so_and_a_request_waits_for_one(stack: Light) -> None:
    stack.compose("stop", "api")
    try:
        until(lambda: stack.figure("haproxy_backend_active_servers") == 0, seconds=10, every=0.1)
        refused = stack.get("/readyz")
        assert is_problem(refused, 503)
        say(f"no replica: {refused.text}")
        answers: list[int] = []
        waiting = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{stack.url()}/classify", json=EXAMPLE, timeout=60).status_code)
        )
        waiting.start()
        time.sleep(1)
        stack.compose("start", "api")
        waiting.join()
    finally:
        stack.start()
    assert answers == [200]


def test_its_figures_can_be_scraped(stack: Light) -> None:
    url = f"http://127.0.0.1:{stack.settings['GATEWAY_METRICS_PORT']}"
    families = {family.name for family in text_string_to_metric_families(stack.client.get(f"{url}/metrics").text)}
    assert {
        "haproxy_backend_active_servers",
        "haproxy_backend_current_queue",
        "haproxy_process_current_connections",
    } <= families
    assert stack.client.get(f"{url}/livez").status_code == 200
    assert stack.client.get(f"{url}/x").status_code == 404


def test_the_example_configuration_finds_every_replica_and_the_gateway(stack: Light) -> None:
    folder, name = ROOT / "containers" / "prometheus", f"{stack.project}-prometheus"
    run = ("docker", "run", "--detach", "--name", name, "--user=0", f"--network={stack.project}_serving")
    config = ("--config.file=/etc/prometheus/prometheus.yaml", "--storage.tsdb.path=/tmp/figures")
    told(*run, "--volume", f"{folder}:/etc/prometheus:ro", PROMETHEUS, *config)
    try:
        [network] = json.loads(told("docker", "inspect", name).stdout)[0]["NetworkSettings"]["Networks"].values()

        def value(query: str) -> list[float]:
            url = f"http://{network['IPAddress']}:9090/api/v1/query"
            try:
                answer = stack.client.get(url, params={"query": query})
            except httpx.TransportError:
                return []
            return [float(row["value"][1]) for row in answer.json()["data"]["result"]] if answer.is_success else []

        until(lambda: value("sum by (job) (up)") == [2, 1], seconds=60, every=1)
        # What the rules ask the gateway for has these names and labels.
        assert value('haproxy_backend_active_servers{job="gateway", proxy="ready"}') == [2]
        assert value('haproxy_backend_current_queue{proxy=~"ready|large"}') == [0, 0]
        assert value('haproxy_frontend_limit_sessions{proxy="clients"}') == [8000]
        assert value('haproxy_frontend_current_sessions{proxy="clients"}')
        assert value('haproxy_frontend_http_responses_total{proxy="clients", code="5xx"}')
        say("Prometheus, in the network with the example configuration: two replicas and the gateway are up")
    finally:
        told("docker", "rm", "--force", "--volumes", name)


def test_a_client_over_its_rate_is_a_429_and_health_is_not_counted(stack: Light) -> None:
    stack.start(RATE_LIMIT="5")
    try:
        start = time.monotonic()
        answers = [stack.client.post(f"{stack.url()}/classify", json=EXAMPLE) for _ in range(30)]
        took = time.monotonic() - start
        refused = [answer for answer in answers if answer.status_code != 200]
        say(f"RATE_LIMIT=5: {len(refused)} of 30 requests in {took:.2f} s refused: {refused[0].text}")
        assert len(refused) >= 25 - 5 * took
        assert all(is_problem(answer, 429) and answer.headers["Retry-After"] == "1" for answer in refused)
        assert all(stack.get("/readyz").status_code == 200 for _ in range(30))
        # One that keeps to what it may is served again at once.
        until(
            lambda: stack.client.post(f"{stack.url()}/classify", json=EXAMPLE).status_code == 200, seconds=5, every=0.3
        )
    finally:
        stack.start()


def certificate(folder: Path, name: str = "certificate.pem") -> Path:
    """A self-signed certificate for localhost and its key in one PEM file that every user may read."""
    key, chain = folder / "key.pem", folder / "chain.pem"
    told(
        *(
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(chain)),
    )
    pem = folder / name
    pem.write_text(chain.read_text() + key.read_text())
    pem.chmod(0o644)
    return pem


def handshake(stack: Light, trusted: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> tuple[str, str, bytes]:
    """The protocol of TLS, the one that ALPN chose, and the certificate that was shown."""
    context = ssl.create_default_context(cafile=str(trusted))
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(published(stack), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        return (
            str(secured.version()),
            str(secured.selected_alpn_protocol()),
            secured.getpeercert(binary_form=True) or b"",
        )


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_tls_is_ended_where_a_certificate_is_given_and_renewed_without_a_stop(stack: Light, tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    stack.start(TLS_CERTIFICATE=str(pem))
    try:
        version, protocol, shown = handshake(stack, pem)
        say(f"TLS_CERTIFICATE: {version}, {protocol}")
        assert (version, protocol) == ("TLSv1.3", "h2")
        with pytest.raises(ssl.SSLError):
            handshake(stack, pem, ssl.TLSVersion.TLSv1_1)
        context = ssl.create_default_context(cafile=str(pem))
        answer = httpx.post(f"https://localhost:{published(stack)[1]}/classify", json=EXAMPLE, verify=context)
        assert answer.status_code == 200
        (tmp_path / "next").mkdir()
        fresh = certificate(tmp_path / "next")
        pem.write_text(fresh.read_text())
        stack.compose("kill", "--signal=HUP", "gateway")
        until(lambda: _shows_another(stack, fresh, shown), seconds=20, every=0.3)
        say("a renewed certificate was taken over by SIGHUP")
    finally:
        stack.start()


def _shows_another(stack: Light, trusted: Path, before: bytes) -> bool:
    try:
        return handshake(stack, trusted)[2] != before
    except OSError:
        return False


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        ("", 0o600, "TLS_CERTIFICATE cannot be read: let user 99 read it (chown 99 FILE)."),
        (
            "hello",
            0o644,
            "TLS_CERTIFICATE holds no certificate: write the chain and its private key into one PEM file.",
        ),
        (
            "chain",
            0o644,
            "TLS_CERTIFICATE holds no private key: write the chain and its private key into one PEM file.",
        ),
        ("broken", 0o644, "TLS_CERTIFICATE cannot be used:"),
        ("other", 0o644, "TLS_CERTIFICATE cannot be used:"),
    ],
)
def test_a_bad_certificate_stops_the_start_in_one_sentence(
    stack: Light, tmp_path: Path, content: str, mode: int, said: str
) -> None:
    pem = certificate(tmp_path)
    (tmp_path / "other").mkdir()
    other = certificate(tmp_path / "other").parent / "key.pem"
    contents = {
        "chain": (tmp_path / "chain.pem").read_text(),
        "broken": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nAAAA\n",
        "other": (tmp_path / "chain.pem").read_text() + other.read_text(),
    }
    pem.write_text(contents.get(content, content))
    pem.chmod(mode)
    refused = started_alone(stack, "--volume", f"{pem}:/run/secrets/certificate:ro")
    assert refused.returncode == 1
    assert refused.stderr.startswith(said), refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    say(refused.stderr.strip())


@pytest.mark.parametrize("setting", ["RATE_LIMIT=many", "RATE_LIMIT=0", "CONCURRENCY_LIMIT=-1"])
def test_a_wrong_setting_stops_the_start_and_is_named(stack: Light, setting: str) -> None:
    refused = started_alone(stack, "--env", setting)
    assert refused.returncode == 1
    assert refused.stderr.startswith(setting.partition("=")[0]), refused.stderr
    say(refused.stderr.strip())


def started_alone(stack: Light, *options: str) -> "subprocess.CompletedProcess[str]":
    """The gateway's image started by itself, which is to end at once."""
    image = f"listing-price-category/gateway:{stack.settings['TAG']}"
    return told("docker", "run", "--rm", "--network=none", *options, image, check=False)


def test_the_gateway_may_write_only_to_tmpfs_and_is_not_root(stack: Light) -> None:
    program = "id -u; find / -path /proc -prune -o -type d -writable -print 2>/dev/null || true"
    user, *folders = stack.inside("gateway", "sh", "-c", program).stdout.splitlines()
    say(f"gateway: user {user}, may write to {', '.join(folders)}")
    assert user != "0"
    assert {folder for folder in folders if not folder.startswith("/dev/")} == {"/tmp"}  # noqa: S108 (of the container)
    assert stack.revision("gateway")


def test_the_gateway_is_started_again_after_a_kill_and_ends_in_time_when_told_to(stack: Light) -> None:
    stack.kill("gateway")
    until(stack.ready, seconds=20, every=0.5)
    with load(stack.gateway(), patience=5) as told_of:
        time.sleep(1)
        start = time.monotonic()
        stack.compose("stop", "gateway")
        took, code = time.monotonic() - start, stack.container("gateway")["State"]["ExitCode"]
    # Who came too late could not connect, or found its idle connection closed.
    lost = {what for what in told_of.answers if what not in stack.versions}
    say(f"docker compose stop gateway under 16 connections: {took:.1f} s, exit code {code}; {told_of}")
    stack.start()
    assert code == 0
    too_late = ("refused", "No route to host", "timed out", "RemoteDisconnected", "Broken pipe", "reset by peer")
    assert all(any(words in what for words in too_late) for what in lost), lost
