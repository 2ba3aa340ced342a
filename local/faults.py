"""What goes wrong, on purpose: AWS's API out of order for some seconds, sandboxes to be killed, and
logs that are late and come in small pages.

It must never reach a function that runs: its processes go on while the API is away.
"""

import json
import re
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from local import codedeploy, events, logs, scheduler
from local.service import Service

#: How the API is out of order: it refuses with 503, hangs up at once, or does what it is asked and
#: then hangs up.
REFUSE = "refuse"
DROP = "drop"
LOSE = "lose"

#: Below this path the local AWS itself answers, also while the API is out of order.
PREFIX = "/_local/"

#: The paths of Lambda's API, and of Scheduler's.
_REST = re.compile(r"/(\d{4}-\d\d-\d\d|schedules|schedule-groups)(/|$)")
_SERVICE = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/aws4_request")


class Gate:
    """A WSGI application in front of moto's."""

    def __init__(self, app: Callable[..., Any], service: Service) -> None:
        self._app = app
        self._service = service
        self._until = 0.0
        self._how = REFUSE
        self._services: frozenset[str] = frozenset()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(PREFIX):
            answer = self._asked(environ["PATH_INFO"].removeprefix(PREFIX), _body(environ))
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(answer).encode()]
        if time.monotonic() >= self._until or not self._meant(environ):
            return self._app(environ, start_response)  # type: ignore[no-any-return]
        if self._how == REFUSE:
            return _refuse(environ, start_response)
        if self._how == LOSE:
            list(self._app(environ, start_response))
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError("The local AWS hangs up, as it was told.")

    def _asked(self, what: str, about: dict[str, Any]) -> Any:
        if what == "sandboxes":
            return self._service.sandboxes(about.get("function"))
        if what == "written":
            return logs.written(about["group"])
        if what == "outage":
            self._how = about.get("how", REFUSE)
            self._services = frozenset(about.get("services", ()))
            self._until = time.monotonic() + float(about["seconds"])
        elif what == "logs":
            logs.settings = logs.Settings(**about)
        elif what == "codedeploy":
            codedeploy.settings = codedeploy.Settings(**about)
        elif "schedule" in about:
            scheduler.fire_named(about["group"], about["schedule"])
        else:
            events.fire_named(about["rule"])
        return {}

    def _meant(self, environ: dict[str, Any]) -> bool:
        """Whether the outage is of this service, by the name that the request was signed for."""
        signed = _SERVICE.search(environ.get("HTTP_AUTHORIZATION", ""))
        return not self._services or bool(signed and signed[1] in self._services)


def _body(environ: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(_read(environ) or b"{}"))


def _read(environ: dict[str, Any]) -> bytes:
    return bytes(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


def _refuse(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """503: `ServiceException` where the service speaks JSON; where it speaks XML, nothing more."""
    _read(environ)  # else the client sees a reset instead
    answer = b""
    headers = []
    if "HTTP_X_AMZ_TARGET" in environ or _REST.match(environ["PATH_INFO"]):
        body = {
            "__type": "ServiceException",
            "Type": "Server",
            "message": "The local AWS is out of order, as it was told.",
        }
        answer = json.dumps(body).encode()
        headers.append(("Content-Type", "application/json"))
        headers.append(("x-amzn-ErrorType", "ServiceException"))
    headers.append(("Content-Length", str(len(answer))))
    start_response("503 Service Unavailable", headers)
    return [answer]
