"""Starts AWS on this machine: `python -m local.server --port 0 --delay 60`. Prints its address,
stays until ended."""

import argparse
import logging
import os
import signal
import sys
import threading
from contextlib import suppress

from lambda_rollout.say import let_go
from local.sandbox import ACCOUNT, REGION, emulator

# moto reads them when it is imported.
os.environ.update(MOTO_ACCOUNT_ID=ACCOUNT, AWS_DEFAULT_REGION=REGION)
os.environ.update(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local")

from moto.core.config import default_user_config
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from local import logs, patches, resources
from local.events import Schedules
from local.faults import Gate
from local.pollers import Pollers
from local.scheduler import LATEST, Timers
from local.service import Service


def main() -> None:
    arguments = _arguments()
    try:
        emulator()
    except RuntimeError as error:
        sys.exit(str(error))
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    if arguments.with_parent:
        threading.Thread(target=_end_with_parent, args=(ended,), daemon=True).start()
    _prepare_moto()
    logs.settings = logs.Settings(delay=arguments.log_delay)
    server = ThreadedMotoServer("127.0.0.1", arguments.port, verbose=False)
    server.start()
    # "localhost" and not the number: moto knows template addresses by that name.
    _, port = server.get_host_and_port()
    endpoint = f"http://localhost:{port}"
    os.environ["MOTO_PORT"] = str(port)  # where moto's state machines reach Lambda
    service = Service(arguments.delay, endpoint)
    service.take_over()
    server._server.app = Gate(server._server.app, service)
    for keep in (Pollers(service).keep, Schedules().keep, Timers(arguments.latest).keep):
        threading.Thread(target=keep, args=(service.stopped,), daemon=True).start()
    with suppress(OSError):  # who has started it may have gone
        print(endpoint, flush=True)
    let_go(sys.stdout)
    ended.wait()
    service.close()
    server.stop()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m local.server", description="AWS on this machine.")
    delay = "seconds from a minute's end to its publication"
    latest = "within so many seconds a schedule fires"
    log_delay = "seconds from a line in a log until it can be read"
    with_parent = "end when standard input is closed"
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--delay", type=float, default=60.0, help=delay)
    parser.add_argument("--latest", type=float, default=LATEST, help=latest)
    parser.add_argument("--log-delay", type=float, default=logs.DELAY, help=log_delay)
    parser.add_argument("--with-parent", action="store_true", help=with_parent)
    return parser.parse_args()


def _prepare_moto() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not a line for every request
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)  # nor for every failure
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    patches.apply()
    resources.declare()


def _end_with_parent(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    main()
