"""The Action as GitHub runs it: the steps of action.yml as shell, with GitHub's files and variables.

GitHub's own part is played here: inputs get their defaults, expressions are filled in, what is
appended to its files and said in its log is read as GitHub reads it.
"""

import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from markdown_it import MarkdownIt

from local.cloud import ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())

#: What stands in the job's folder: modules that would break whatever imported them.
_IN_THE_WAY = ("json.py", "lambda_rollout.py", "pip.py", "venv.py", "signal.py")


class Command(NamedTuple):
    """One of GitHub's, as its log has it."""

    name: str
    properties: dict[str, str]
    message: str


class Job:
    """A folder with what a runner has, in which steps run."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        temp: Path | None = None,
    ) -> None:
        """`temp` is where another job has installed the command already."""
        self.folder = folder
        self.temp = temp or folder / "a temp"
        self.workspace = folder / "work"
        for each in (self.temp, self.workspace):
            each.mkdir(parents=True, exist_ok=True)
        for name in _IN_THE_WAY:
            (self.workspace / name).write_text("raise SystemExit('of the workspace')")
        self.output = folder / "output"
        self.summary = folder / "summary.md"
        self.environment = {
            **(os.environ if environment is None else environment),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_REPOSITORY": "shop/checkout",
            "GITHUB_RUN_ID": "123",
            "GITHUB_ACTOR": "ada",
        }

    def step(self, name: str, inputs: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
        """Run it with `shell: bash`, as GitHub does."""
        (step,) = [each for each in ACTION["runs"]["steps"] if each["name"] == name]
        script = self.folder / "step.sh"
        script.write_text(step["run"])
        variables = {key: filled(text, inputs) for key, text in step.get("env", {}).items()}
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=self.workspace,
            env={**self.environment, **variables},
            text=True,
            capture_output=True,
            check=False,
            timeout=300,
        )


def filled(text: str, inputs: Mapping[str, str]) -> str:
    """An `env:` of a step, whose only expression is the one for all inputs."""
    assert text == "${{ toJSON(inputs) }}"
    unset = {name: each.get("default", "") for name, each in ACTION["inputs"].items()}
    assert inputs.keys() <= unset.keys()
    return json.dumps({**unset, **inputs}, indent=2)


class Fake:
    """A `lambda-rollout` that says what it is told to, where the Action has installed it."""

    def __init__(self, job: Job) -> None:
        self._asked = job.folder / "asked.json"
        self._says = job.folder / "says.json"
        home = job.temp / "lambda-rollout"
        venv.create(home, symlinks=True)
        (site,) = home.glob("lib/python3*/site-packages")
        (site / "lambda_rollout.pth").write_text(f"{ROOT}\n")
        command = home / "bin" / "lambda-rollout"
        command.write_text(_FAKE.format(python=sys.executable, folder=str(job.folder)))
        command.chmod(0o755)

    def says(self, out: str, status: int, *lines: str, waits: bool = False) -> None:
        """Printed, and progress; where it `waits`, it ends as soon as it is interrupted."""
        self._says.write_text(
            json.dumps({"out": out, "status": status, "lines": lines, "waits": waits})
        )

    @property
    def asked(self) -> tuple[list[str], Any]:
        """Its arguments, without the payload's file, and the payload."""
        told = json.loads(self._asked.read_text())
        return told["arguments"], told["payload"]


_FAKE = """#!{python}
import json, pathlib, signal, sys
folder = pathlib.Path({folder!r})
arguments = sys.argv[1:]
at = arguments.index("--payload")
payload = json.loads(pathlib.Path(arguments[at + 1]).read_text())
del arguments[at : at + 2]
asked = dict(arguments=arguments, payload=payload)
(folder / "asked.json").write_text(json.dumps(asked))
says = json.loads((folder / "says.json").read_text())
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    for line in says["lines"]:
        print(line, file=sys.stderr, flush=True)
    while says["waits"]:
        signal.pause()
except KeyboardInterrupt:
    print("Stopped watching; the rollout goes on.", file=sys.stderr)
print(says["out"])
sys.exit(says["status"])
"""


# -- as GitHub reads it ---------------------------------------------------------------------------


def assigned(file: Path) -> dict[str, str]:
    """What stands in GITHUB_OUTPUT."""
    values = {}
    lines = iter(file.read_text().splitlines())
    for line in lines:
        name, end = line.split("<<", 1)
        held: list[str] = []
        for inner in lines:
            if inner == end:
                break
            held.append(inner)
        else:
            raise AssertionError(f"{name} does not end")
        values[name] = "\n".join(held)
    return values


def commands(log: str) -> list[Command]:
    """Those of GitHub's that stand in the log; while they are stopped a line is only a line."""
    found = []
    resume = ""
    for line in log.splitlines():
        told = re.match(r"^\s*::([a-zA-Z0-9-]+)(?: (.*?))?::(.*)$", line)
        between = "," if told else ";"
        # The older form counts wherever it stands.
        told = told or re.search(r"##\[([a-zA-Z0-9-]+)(?: (.*?))?\](.*)$", line)
        if not told or (resume and told[1] != resume):
            continue
        if told[1] == resume:
            resume = ""
            continue
        if told[1] == "stop-commands":
            resume = told[3]
            continue
        pairs = [each.split("=", 1) for each in (told[2] or "").split(between) if each]
        found.append(Command(told[1], {key: _read(value) for key, value in pairs}, _read(told[3])))
    return found


def _read(text: str) -> str:
    for written, meant in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(written, meant)
    return text


class Summary:
    """The step's summary, as its reader sees it."""

    def __init__(self, file: Path) -> None:
        tokens = MarkdownIt("commonmark").enable("table").parse(file.read_text())
        self.title = ""
        self.text = ""
        self.commands: list[str] = []
        self.html = ""
        self.tables: list[list[list[str]]] = []
        for before, token in zip([None, *tokens], tokens, strict=False):
            kind = before.type if before else ""
            if token.type == "table_open":
                self.tables.append([])
            elif token.type == "tr_open":
                self.tables[-1].append([])
            elif token.type == "html_block":
                self.html += token.content
            elif token.type == "inline":
                for inner in token.children or ():
                    assert inner.type in ("text", "strong_open", "strong_close"), inner
                seen = "".join(inner.content for inner in token.children or ())
                if kind in ("th_open", "td_open"):
                    self.tables[-1][-1].append(seen)
                elif kind == "heading_open":
                    self.title = seen
                else:
                    self.text += seen

    @property
    def facts(self) -> dict[str, str]:
        return {row[0]: row[1] for row in self.tables[0][1:]}
