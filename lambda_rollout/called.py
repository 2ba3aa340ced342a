"""How the command was called, and so how the next one is typed: with make in a clone, as
`lambda-rollout` where that is installed.

Imports next to nothing: it must be there before the rest of the command is loaded.
"""

import shlex
import sys

NAME = "lambda-rollout"
MODULE = "python -m lambda_rollout"

#: What make calls a verb, where it is not the same.
TARGETS = {"start": "rollout", "plan": "rollout DRY_RUN=1"}


def installed() -> bool:
    """Whether it is no clone's."""
    file = sys.argv[0].replace("\\", "/").rpartition("/")[2]
    return file.removesuffix(".exe") == NAME


def program() -> str:
    return NAME if installed() else MODULE


def command(verb: str, **options: str) -> str:
    """The whole command."""
    if installed():
        typed = [f"--{name} {shlex.quote(value)}" for name, value in options.items()]
        return " ".join([NAME, verb, *typed])
    typed = [f"{name.upper()}={shlex.quote(value)}" for name, value in options.items()]
    return " ".join(["make", TARGETS.get(verb, verb), *typed])


def typed(to_make: str, option: str) -> str:
    """How one thing is typed: to make or as an option where there is a clone."""
    return option if installed() else f"{to_make}, or {option}"


def stack() -> str:
    """How the deployer's stack is named."""
    return "--stack" if installed() else "--stack (make: STACK=)"


def install() -> str:
    """How the deployer is installed."""
    return "./install.sh in a clone of its repository" if installed() else "./install.sh"


def goes_on() -> str:
    """The end of a sentence for who cannot be told more."""
    return f"a rollout that has begun goes on: '{command('watch')}' tells."
