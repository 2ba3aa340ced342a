"""Connections that died while Lambda had frozen the sandbox: a warm deployer still tells, and still
smoke-tests.

A server on this machine answers one request a connection and keeps it open, as AWS does; whoever
uses it again gets no answer, as after a freeze.
"""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ConnectionClosedError

from deployer import aws
from deployer.tell import tell

ONE_ATTEMPT: Any = {"total_max_attempts": 1}
DETAIL = {"rollout": "0123456789ab", "where": "Alias 'live' of 'checkout' is on version 7."}


class Server(ThreadingHTTPServer):
    """`connections` were opened; `asked` requests came, of which `told` events were taken."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.connections, self.asked = 0, 0
        self.told: list[Any] = []


class Answers(BaseHTTPRequestHandler):
    """One a connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1
        self._used = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        if self._used:
            self.close_connection = True
            return
        self._used = True
        answer = b"null"
        if "X-Amz-Target" in self.headers:
            self.server.told += json.loads(body)["Entries"]
            answer = b'{"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests tell."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """AWS's place is taken by the server, for clients that are made from now on."""
    with Server() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        aws._client.cache_clear()
        serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield server
        server.shutdown()
        serving.join()
        aws._client.cache_clear()


def invocation() -> aws.Means:
    """The means of another invocation in the same sandbox."""
    context: Any = SimpleNamespace(
        get_remaining_time_in_millis=lambda: 900_000,
        invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:SimpleDeployFunction",
    )
    return aws.Means(context)


def smoke_test(client: Any) -> bytes:
    answer = client.invoke(FunctionName="checkout", Qualifier="8", Payload=b"{}")
    return bytes(answer["Payload"].read())


def test_the_server_is_as_bad_as_a_freeze_is_to_a_client_with_one_attempt(server: Server) -> None:
    client = boto3.client("lambda", config=aws._ONCE)
    assert smoke_test(client) == b"null"
    with pytest.raises(ConnectionClosedError):
        smoke_test(client)
    assert (server.connections, server.asked) == (1, 2)


def test_an_event_is_told_though_the_connection_has_died_since_the_last_one(server: Server) -> None:
    for status in ("STARTED", "SHIFTED"):
        tell(invocation(), status, **DETAIL)
    told = [json.loads(entry["Detail"])["status"] for entry in server.told]
    assert told == ["STARTED", "SHIFTED"]
    assert (server.connections, server.asked) == (2, 3), "one was sent into a dead connection first"


def test_a_second_smoke_test_of_a_sandbox_has_a_connection_of_its_own(server: Server) -> None:
    same = invocation()
    for means in (same, same, invocation()):
        assert smoke_test(means.once) == b"null"
    assert (server.connections, server.asked) == (3, 3), "none is sent twice: it has one attempt"


def test_the_other_clients_live_as_long_as_the_sandbox(server: Server) -> None:
    assert invocation().events is invocation().events
    assert invocation().lambda_ is invocation().lambda_


def test_telling_takes_no_longer_than_is_said(server: Server) -> None:
    """Whatever happens to each attempt, and with the pause of a second at most between two."""
    settings = invocation().events.meta.config
    attempts = settings.retries["total_max_attempts"]
    assert settings.retries["mode"] == "standard" and attempts == 2
    longest = attempts * (settings.connect_timeout + settings.read_timeout) + (attempts - 1)
    assert longest == aws.TELL_SECONDS <= aws.CALL_SECONDS
