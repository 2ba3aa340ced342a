"""An AWS that lets aliases be read, and denies everything else: for the tests of what is said where
permissions are missing, which the local AWS does not enforce for people."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from deployer.decisions.stamp import Stamp
from tests.watched import ID

#: The aliases: one that nothing moves, one that a rollout has split, one that may not be read.
FREE = "free"
SPLIT = "split"
DENIED = "denied"

_WHY = "User: arn:aws:iam::123456789012:user/ada is not authorized"


class _Denies(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        alias = self.path.rsplit("/", 1)[-1]
        if "/aliases/" not in self.path or alias == DENIED:
            self._deny()
            return
        until = datetime.now(UTC) + timedelta(seconds=900)
        answer: dict[str, Any] = {"Name": alias, "FunctionVersion": "7", "RevisionId": "1"}
        if alias == SPLIT:
            answer["Description"] = str(Stamp(ID, "8", 0.5, 1, 2, until))
            answer["RoutingConfig"] = {"AdditionalVersionWeights": {"8": 0.5}}
        self._answer(200, json.dumps(answer))

    def do_POST(self) -> None:
        self._deny()

    def do_PUT(self) -> None:
        self._deny()

    def _deny(self) -> None:
        """In JSON, as Lambda and CloudWatch Logs do, or in XML."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = "AccessDeniedException"
        if "x-www-form-urlencoded" in self.headers.get("Content-Type", ""):
            told = f"<Error><Code>AccessDenied</Code><Message>{_WHY}</Message></Error>"
            self._answer(403, f"<ErrorResponse>{told}</ErrorResponse>")
            return
        self._answer(403, json.dumps({"__type": kind, "Message": _WHY}), kind)

    def _answer(self, status: int, body: str, kind: str = "") -> None:
        self.send_response(status)
        if kind:
            self.send_header("x-amzn-ErrorType", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Nothing is to be said of it."""


@contextmanager
def denying() -> Iterator[str]:
    """Its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Denies) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
