"""What action.yml runs, `python -m lambda_rollout.github`: the Action's inputs become a payload, the
command `lambda-rollout` rolls it out, and GitHub is told how it ended.

Progress goes into the log, a table into the step's summary, `status`, `rollout` and
`original-version` into its outputs; a failure is an annotation. What people have written (inputs,
reasons, names) is data everywhere: never a command of the shell or of GitHub, never Markdown.
"""

import html
import json
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from deployer.decisions.rollout import LONGEST_STARTER
from lambda_rollout import request
from lambda_rollout.endings import Status

#: The inputs that are no keys of the payload.
OWN = ("wait", "stack")
#: The keys that are taken as they are written; the others are JSON.
_TEXTS = ("function-name", "alias-name", "new-version", "type", "started-by", "deadline")
_FLAGS = {"true": True, "false": False}

#: Lines of the command's progress (plain.py): a step's beginning, and the calls so far.
_STEP = re.compile(r"^(\S+)  weight (\S+ %)  step (\d+) of (\d+)\b")
_CALLS = re.compile(r"^\S+  calls since \S+  version \d*: (.+); version \d*: (.+)$")

#: By exit status: the picture in the summary's title.
_PICTURES = {Status.DEPLOYED: "✅", Status.REFUSED: "⛔", Status.CHANGED: "✋"}
_FAILED = "❌"

#: Where the command has not said it, by exit status: what to do next, and the verb for it.
_NEXT = {
    Status.DEPLOYED: ("Nothing has to be done.", ""),
    Status.ROLLED_BACK: ("Publish a version that is mended, and roll that one out.", ""),
    Status.REFUSED: ("Nothing was moved: mend what is named, and run the job again.", ""),
    Status.CHANGED: ("Ask who has moved the alias. What was done before:", "history"),
    Status.UNKNOWN: ("See where the alias is, and what was done:", "history"),
    Status.STILL_SPLIT: ("Take the alias back:", "stop"),
    Status.NOT_SEEN: ("See how it goes:", "watch"),
    Status.BROKEN_OFF: ("A rollout that has begun goes on. See how it goes:", "watch"),
    Status.STOPPED_WATCHING: ("The rollout goes on. See how it goes, or stop it:", "watch"),
}

#: The same where the status of the rollout says more.
_NEXT_BY_NAME = {
    "ACCEPTED": ("It was not waited for. See how it goes:", "watch"),
    "PLANNED": ("Nothing was moved: it was a dry run.", ""),
}


class Step(NamedTuple):
    """One step of the rollout, as its progress tells it: when it began, and the calls that the
    original and the new version had had by its end."""

    number: int
    weight: str
    at: str
    calls: tuple[str, str] | None = None


class Ran(NamedTuple):
    """What the command has said: its object, its steps, and its exit status."""

    answer: Mapping[str, Any]
    steps: tuple[Step, ...]
    most: int  # steps in all; 0 where unknown
    status: Status

    @property
    def name(self) -> str:
        """How it ended, in the deployer's own word."""
        return self.text("status") or "UNKNOWN"

    def text(self, key: str) -> str:
        """On one line; empty where the command has not said it."""
        said = self.answer.get(key)
        return one_line(str(said)) if said not in (None, "") else ""

    @property
    def said(self) -> str:
        """Why it ended so, and where the alias is."""
        return " ".join(filter(None, (self.text("reason"), self.text("where"))))


# -- from GitHub to the command -------------------------------------------------------------------


def payload(inputs: Mapping[str, str], who: str) -> dict[str, Any]:
    """What was given, as the payload has it. What is no JSON stays text: the command says what is
    wrong with it."""
    event: dict[str, Any] = {}
    for key, text in inputs.items():
        if key not in OWN and text.strip():
            event[key] = _value(key, text.strip())
    return {"started-by": who, **event}


def _value(key: str, text: str) -> Any:
    if key in _TEXTS:
        return text
    try:
        return request.as_json(key, text)
    except (ValueError, RecursionError):
        return text


def who(environment: Mapping[str, str]) -> str:
    """The workflow's run, in as many letters as `started-by` may have."""
    repository = environment.get("GITHUB_REPOSITORY", "")
    run = environment.get("GITHUB_RUN_ID", "")
    actor = environment.get("GITHUB_ACTOR", "")
    rest = f" run {run} by {actor}"
    room = LONGEST_STARTER - len(rest) - len("GitHub ")
    return f"GitHub {repository[:room]}{rest}"


# -- from the command to GitHub -------------------------------------------------------------------


def steps(lines: Iterable[str]) -> tuple[tuple[Step, ...], int]:
    """The steps that the progress tells of, and how many there are in all."""
    found: dict[int, Step] = {}
    last = 0
    most = 0
    for line in lines:
        begun = _STEP.match(line)
        counted = _CALLS.match(line)
        if begun:
            at, weight, number, of = begun.groups()
            last = int(number)
            most = int(of)
            known = found.get(last)
            found[last] = known or Step(last, weight, at)
        elif counted and last:
            found[last] = found[last]._replace(calls=(counted[1], counted[2]))
    return tuple(found.values()), most


def ran(out: str, lines: list[str], status: int) -> Ran:
    """What the command has said. Where it has printed no object, its last words are the reason."""
    told = _object(out)
    unknown = status not in set(Status)
    if told is None:
        said = [line for line in lines if line.strip()]
        silent = f"lambda-rollout has ended with status {status}, and has not said why."
        told = {"reason": said[-1] if said else silent}
        # Python's own 1, when it could not even begin, is no rollback; nor is a 0 without a word.
        unknown = unknown or status in (Status.DEPLOYED, Status.ROLLED_BACK)
    return Ran(told, *steps(lines), Status.BROKEN_OFF if unknown else Status(status))


def _object(out: str) -> Mapping[str, Any] | None:
    try:
        told = json.loads(out)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def outputs(ran: Ran) -> dict[str, str]:
    return {
        "status": ran.name,
        "rollout": ran.text("rollout"),
        "original-version": ran.text("original-version"),
    }


def annotation(target: str, ran: Ran) -> str:
    """GitHub's command for a failure; empty where there is none."""
    if ran.status == Status.DEPLOYED:
        return ""
    title = f"{target}: {ran.name}"
    return f"::error title={_property(title)}::{_data(ran.said or ran.name)}"


def summary(inputs: Mapping[str, str], ran: Ran) -> str:
    """Markdown: how it ended, its steps, and what to do next."""
    target = target_of(inputs)
    picture = _PICTURES.get(ran.status, _FAILED)
    parts = [f"### {picture} {_cell(target)}: {_cell(ran.name)}", _table(_facts(inputs, ran))]
    if ran.steps:
        parts.append(_table(_progress(ran)))
    words, verb = next_of(ran)
    parts.append(f"**Next:** {_cell(words)}")
    if verb:
        names = (shlex.quote(inputs.get(key, "")) for key in ("function-name", "alias-name"))
        command = "lambda-rollout {} --function {} --alias {}".format(verb, *names)
        parts.append(f"<pre>{html.escape(one_line(command))}</pre>")
    return "\n\n".join(parts) + "\n\n"


def next_of(ran: Ran) -> tuple[str, str]:
    """What to do next, as the command says it; else in words of ours, and the verb for it."""
    told = ran.text("next")
    if told:
        return told, ""
    return _NEXT_BY_NAME.get(ran.name) or _NEXT.get(ran.status, _NEXT[Status.NOT_SEEN])


def target_of(inputs: Mapping[str, str]) -> str:
    return one_line(f"{inputs.get('function-name', '')}:{inputs.get('alias-name', '')}")


def _facts(inputs: Mapping[str, str], ran: Ran) -> list[tuple[str, ...]]:
    original = ran.text("original-version")
    new = ran.text("new-version") or one_line(inputs.get("new-version", ""))
    warnings = ran.answer.get("warnings")
    rows = [
        ("how it ended", ran.name),
        ("why", ran.text("reason")),
        ("the alias", ran.text("where")),
        ("versions", f"{original} → {new}" if original else new),
        ("steps", f"{ran.steps[-1].number} of {ran.most}" if ran.steps else ""),
        ("rollout", ran.text("rollout")),
        ("started by", ran.text("started-by")),
    ]
    if isinstance(warnings, list):
        rows += [("warning", one_line(str(each))) for each in warnings]
    return [("", ""), *(row for row in rows if row[1])]


def _progress(ran: Ran) -> list[tuple[str, ...]]:
    original = ran.text("original-version") or "the original"
    new = ran.text("new-version") or "the new one"
    header = ("step", "weight", "at (UTC)", f"calls of {original} so far", f"calls of {new} so far")
    rows: list[tuple[str, ...]] = [header]
    calls = ("not published yet", "not published yet")
    for step in ran.steps:
        calls = step.calls or calls
        rows.append((str(step.number), step.weight, step.at, *calls))
    return rows


# -- what is written so that it stays data --------------------------------------------------------


def one_line(text: str) -> str:
    return " ".join(text.split())


def _words(text: str) -> str:
    """Without the older beginning of a command of GitHub's, which counts anywhere in a line."""
    return text.replace("##[", "## [")


def _data(text: str) -> str:
    """The message of a command of GitHub's."""
    return _words(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """A property of one, such as its title."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    """Without a meaning in Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>|~#!&$])", r"\\\1", one_line(text))


def _table(rows: list[tuple[str, ...]]) -> str:
    """The first row is the header."""
    lines = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("---" for _ in rows[0]) + " |")
    return "\n".join(lines)


def _assigned(name: str, text: str) -> str:
    """A line of GITHUB_OUTPUT, with an end that nobody can have written."""
    end = f"end-{secrets.token_hex(16)}"
    return f"{name}<<{end}\n{text}\n{end}\n"


# -- the process ----------------------------------------------------------------------------------


def main() -> int:
    """The command's own exit status."""
    inputs: dict[str, str] = json.loads(os.environ["INPUTS"])
    target = target_of(inputs)
    waits = inputs.get("wait", "").strip().lower() or "true"
    if waits in _FLAGS:
        ended = _run(inputs, _FLAGS[waits])
    else:
        reason = f"The input 'wait' must be true or false, but it is '{waits}'. Nothing was sent."
        ended = Ran({"status": "InvalidRollout", "reason": reason}, (), 0, Status.REFUSED)
    _append("GITHUB_OUTPUT", "".join(_assigned(*each) for each in outputs(ended).items()))
    _append("GITHUB_STEP_SUMMARY", summary(inputs, ended))
    print(_words(f"Rollout of {target}: {ended.name}. {ended.said}".rstrip()))
    failed = annotation(target, ended)
    if failed:
        print(failed)
    return ended.status


def _run(inputs: Mapping[str, str], waits: bool) -> Ran:
    """Have the command roll it out, with its progress in a group of the log."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "payload.json"
        file.write_text(json.dumps(payload(inputs, who(os.environ))), encoding="utf-8")
        command = [str(Path(sys.executable).with_name("lambda-rollout")), "start", "--json"]
        command += ["--payload", str(file)]
        if inputs.get("stack", "").strip():
            command.append(f"--stack={inputs['stack'].strip()}")
        if not waits:
            command.append("--no-wait")
        out = Path(folder) / "out.json"
        lines = []
        print(f"::group::{_data(f'Rollout of {target_of(inputs)}')}")
        # Until this word comes, no line is a command, whatever it begins with.
        word = secrets.token_hex(16)
        print(f"::stop-commands::{word}", flush=True)
        with out.open("wb") as stream:
            # The job's own PYTHONPATH may hold packages of our names.
            rest = {key: text for key, text in os.environ.items() if not key.startswith("PYTHON")}
            child = subprocess.Popen(command, env=rest, stdout=stream, stderr=subprocess.PIPE)
            # A job that is cancelled: the command says that the rollout goes on, and ends.
            signal.signal(signal.SIGINT, lambda *_: child.send_signal(signal.SIGINT))
            for written in child.stderr or ():
                line = written.decode(errors="replace").rstrip("\r\n")
                print(line, flush=True)
                lines.append(line)
            status = child.wait()
        print(f"::{word}::\n::endgroup::", flush=True)
        said = out.read_text(encoding="utf-8", errors="replace")
    return ran(said, lines, status)


def _append(name: str, text: str) -> None:
    """To one of GitHub's files."""
    with Path(os.environ[name]).open("a", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main())
