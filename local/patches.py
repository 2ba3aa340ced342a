"""Where moto is changed: `@replaces` declares a patch, and `apply` puts them all in their places.

The docstring of a patch says, in a sentence or two each, what AWS does ("AWS:"), what moto does
instead ("moto:"), and what moto would have to take over for the patch to go ("Upstream:").
tests/test_local_patches.py asks it of each. Nothing in local/ may change moto in any other way.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

#: The rooms that declare patches, each when it is imported.
ROOMS = (
    "alarms",
    "aliases",
    "codedeploy",
    "destinations",
    "events",
    "executions",
    "functions",
    "logs",
    "metrics",
    "pollers",
    "queues",
    "scheduler",
    "service",
    "stepfunctions",
    "templates",
)


class Patch(NamedTuple):
    """What takes the place of an attribute; its owner is a class or a module of moto's."""

    owner: Any
    name: str
    new: Any
    why: str


_declared: list[Patch] = []


def replaces(owner: Any, name: str, kind: Any = None) -> Callable[[Function], Function]:
    """A function that takes the place of moto's; `kind` is `classmethod` or such, if it is one."""

    def declare(function: Function) -> Function:
        new = kind(function) if kind else function
        _declared.append(Patch(owner, name, new, function.__doc__ or ""))
        return function

    return declare


def replace_value(owner: Any, name: str, new: Any, why: str) -> None:
    """The same for what is no function; `why` is what a docstring would say."""
    _declared.append(Patch(owner, name, new, why))


def declared() -> list[Patch]:
    """All patches of all rooms."""
    for room in ROOMS:
        importlib.import_module(f"local.{room}")
    return list(_declared)


def apply() -> None:
    """Changes moto in this process, once."""
    for patch in declared():
        setattr(patch.owner, patch.name, patch.new)
