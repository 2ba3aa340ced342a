"""What can be typed: the verbs, their options, and the help with examples."""

import argparse
import math
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from deployer.decisions.rollout import LONGEST_INTERVAL
from lambda_rollout import __version__, called
from lambda_rollout.endings import MEANINGS

STACK = "aws-lambda-deploy-stack"

#: The most rollouts that a history tells of, where nothing is said, and can.
LAST = 10
_MOST = 1000

_STATUSES = "\n".join(f"  {status:<5}{meaning}" for status, meaning in MEANINGS.items())
_MAKE = """
`make` turns every status but 0 into its own 2: a pipeline that tells them apart runs
`.venv/bin/python -m lambda_rollout …`."""
_EPILOG = """\
examples:
{examples}

exit status:
{statuses}
{make}
Ctrl-C stops watching, never the rollout. Credentials, Region and AWS_ENDPOINT_URL are those of the environment.
"""

#: By verb: what it is for, and how it is typed.
_VERBS = {
    "start": (
        "start a rollout, then follow it to its end",
        (
            "start --function checkout --alias live --version 8 --steps 10 --interval 60",
            "start --function checkout --alias live --version 8 --type Canary10Percent5Minutes",
            """start --payload rollout.json --health '{"errors": "baseline"}' --json""",
        ),
    ),
    "watch": (
        "follow the rollout that runs on an alias, whoever started it",
        (
            "watch --function checkout --alias live",
            "watch --function checkout --alias live --wait 60",
        ),
    ),
    "plan": (
        "show what a rollout would do, and move nothing",
        ("plan --function checkout --alias live --version 8 --steps 10 --interval 60",),
    ),
    "stop": (
        "take the alias back to the original version, and so end the rollout that runs on it",
        (
            "stop --function checkout --alias live",
            "stop --function checkout --alias live --no-wait",
        ),
    ),
    "promote": (
        "put the alias on the new version alone, and so end the rollout that runs on it",
        ("promote --function checkout --alias live",),
    ),
    "undo": (
        "go back to the version before the alias's last rollout that succeeded",
        ("undo --function checkout --alias live", "undo --function checkout --alias live --yes"),
    ),
    "history": (
        "tell of the last rollouts: when, who, which versions, how they ended and why",
        (
            "history",
            "history --function checkout --alias live --last 3",
            "history --since 7d --json",
        ),
    ),
}


class Misspelt(SystemExit):
    """When nothing can be made of what was typed; that was said on standard error."""

    def __init__(self, told: str) -> None:
        super().__init__(2)
        self.told = told


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """As its base does, and tells why."""
        with suppress(OSError):
            self.print_usage(sys.stderr)
            print(f"{self.prog}: error: {message}", file=sys.stderr, flush=True)
        raise Misspelt(message)

    def print_help(self, file: Any = None) -> None:
        """As its base does, which would not notice that nothing could be written."""
        print(self.format_help(), end="", file=file, flush=True)


def parser() -> argparse.ArgumentParser:
    whole = Parser(
        prog=called.program(),
        description="Starts a rollout and follows it, or follows one that anybody has started; "
        "stops it, promotes it, undoes it, and tells of those before.",
        epilog=_epilog([examples[0] for _, examples in _VERBS.values()]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"{called.NAME} {__version__}")
    verbs = whole.add_subparsers(dest="verb", required=True, metavar=" | ".join(_VERBS))
    start = _verb(verbs, "start", aliases=("rollout",))
    _asked_for(start)
    start.add_argument(
        "--dry-run", nargs="?", const="1", metavar="1", help="show the plan, and move nothing"
    )
    _no_wait(start, "as soon as AWS has accepted it")
    watch = _verb(verbs, "watch")
    watch.add_argument(
        "--wait",
        metavar="SECONDS",
        type=_seconds,
        default=0.0,
        help="for a rollout to begin, if none runs (0)",
    )
    _asked_for(_verb(verbs, "plan"))
    _no_wait(_verb(verbs, "stop"), "as soon as the alias is taken back")
    _no_wait(_verb(verbs, "promote"), "as soon as the alias is on the new version")
    undo = _verb(verbs, "undo")
    undo.add_argument("--yes", action="store_true", help="do it without asking")
    _started_by(undo)
    _no_wait(undo, "as soon as AWS has accepted it")
    history = _verb(verbs, "history")
    history.add_argument(
        "--last", metavar="N", type=_count, default=LAST, help=f"at most so many ({LAST})"
    )
    history.add_argument(
        "--since", type=_ago, metavar="TIME", help="such as 24h, 7d or 2026-11-01 (90d)"
    )
    return whole


def _verb(verbs: Any, name: str, aliases: Sequence[str] = ()) -> Any:
    about, examples = _VERBS[name]
    made = verbs.add_parser(
        name,
        aliases=aliases,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=_epilog(examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.set_defaults(verb=name)
    made.add_argument("--function", help="the function: its name or ARN, without a version")
    made.add_argument("--alias", help="the alias that users call")
    made.add_argument("--stack", default=STACK, help=f"the deployer's stack, for its log ({STACK})")
    made.add_argument(
        "--plain", action="store_true", help="a line a change, as where the output is no terminal"
    )
    made.add_argument(
        "--json",
        action="store_true",
        help="one JSON object on standard output at the end; progress on standard error",
    )
    return made


def _asked_for(verb: Any) -> None:
    """The options that become the payload."""
    verb.add_argument("--version", metavar="NUMBER", help="the published version to deploy")
    verb.add_argument("--steps", metavar="N", help="how many weights, such as 10")
    verb.add_argument(
        "--interval", metavar="SECONDS", help="how long each weight lasts, such as 60"
    )
    verb.add_argument(
        "--type",
        help="linear (the default), exponential, canary, all-at-once, or a CodeDeploy name",
    )
    verb.add_argument(
        "--weights", metavar="LIST", help="instead of steps and type, such as 0.01,0.1,1"
    )
    verb.add_argument(
        "--health",
        metavar="JSON",
        help='the health check: true, false, or such as {"errors": "baseline"}',
    )
    verb.add_argument(
        "--payload",
        metavar="FILE",
        type=Path,
        help="a payload such as those in events/; the options change it",
    )
    _started_by(verb)


def _started_by(verb: Any) -> None:
    verb.add_argument(
        "--started-by",
        metavar="TEXT",
        help="who asks for it; the ARN of these credentials, where nothing is said",
    )


def _no_wait(verb: Any, when: str) -> None:
    verb.add_argument("--no-wait", action="store_true", help=f"end {when}")


def _epilog(examples: Sequence[str]) -> str:
    typed = "\n".join(f"  {called.program()} {example}" for example in examples)
    make = "" if called.installed() else f"{_MAKE}"
    return _EPILOG.format(examples=typed, statuses=_STATUSES, make=make)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= LONGEST_INTERVAL:
        rule = f"must be a number of seconds from 0 to {LONGEST_INTERVAL}"
        raise argparse.ArgumentTypeError(f"{rule}, but it is '{text}'.")
    return seconds


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 1 to {_MOST}, but it is '{text}'."
        )
    return int(text)


#: Units of a time ago, in seconds.
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


class Ago:
    """A time as it was typed: some time ago, or one of the calendar in UTC."""

    def __init__(self, text: str) -> None:
        """Raises `ValueError`."""
        self._back = 0.0
        self._at = 0.0
        short = re.fullmatch(r"([0-9]{1,6})([mhdw])", text)
        if short:
            self._back = int(short[1]) * _UNITS[short[2]]
            return
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        self._at = at.timestamp()

    def seconds(self, now: float) -> float:
        """Since 1970."""
        return self._at or max(0.0, now - self._back)


def _ago(text: str) -> Ago:
    try:
        return Ago(text)
    except ValueError as error:
        rule = "must be some time ago, such as 90m, 24h or 7d, or a date, such as 2026-11-01"
        raise argparse.ArgumentTypeError(f"{rule}, but it is '{text}'.") from error
