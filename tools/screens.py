"""Every state that `make watch` shows, from real rollouts on this machine's AWS, in a large and in a
small terminal: for looking at.

`make screens FOLDER=/tmp/screens` writes each into a file, `silent-80x24.txt` and the like, and
tells when the state was first seen, in seconds after what brought it about. Stories that are named
behind the folder, as in `python -m tools.screens /tmp/screens killed bad`, are played alone.
Nothing of it is kept in the repository.
"""

import json
import re
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local import processes
from local.cloud import FAILING, FUNCTION, HEALTHY, ORIGINAL, WORDS, Cloud, running
from local.demo.users import Users
from tools.terminal import Frame, recorded

DEPLOYER = "SimpleDeployFunction"
WATCH = ".venv/bin/python -m lambda_rollout watch --function {} --alias {} --wait 120"
ROLLOUT = ".venv/bin/python -m lambda_rollout rollout --function {} --alias {}"

#: Columns and rows.
SIZES = ((120, 40), (80, 24))

#: The local AWS: how many seconds after its end a minute is published.
DELAY = 20.0
#: Seconds after which a line in a log can be read.
LOG_DELAY = 5.0
#: For so many seconds AWS cannot be reached in one story.
OUTAGE = 100.0
#: Users' calls a second.
RATE = 2.0

#: An ending begins with one of these signs.
_ENDED = re.compile("[✔✘■?] [A-Z]")

#: What happens to a rollout once it has begun; its return is when, on the monotonic clock.
Act = Callable[["Stage", str], float]


class Stage:
    """A local AWS, and what a person may do to a rollout on it."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._lambda = cloud.client("lambda")
        self._requests: dict[str, str] = {}

    def prepare(self, alias: str) -> None:
        self._lambda.create_alias(
            FunctionName=FUNCTION, Name=alias, FunctionVersion=ORIGINAL, Description=WORDS
        )

    def invoke(self, alias: str, payload: dict[str, Any]) -> None:
        target = {"function-name": FUNCTION, "alias-name": alias, "new-version": HEALTHY}
        answer = self._lambda.invoke(
            FunctionName=DEPLOYER,
            InvocationType="Event",
            Payload=json.dumps({**target, **payload}),
        )
        self._requests[alias] = answer["ResponseMetadata"]["RequestId"]

    def execute(self, alias: str, payload: dict[str, Any]) -> None:
        target = {"function-name": FUNCTION, "alias-name": alias, "new-version": HEALTHY}
        self.cloud.client("stepfunctions").start_execution(
            stateMachineArn=self.cloud.output("StateMachineArn"),
            name=alias,
            input=json.dumps({**target, **payload}),
        )

    def wait_for_split(self, alias: str) -> None:
        while not self.alias(alias).get("RoutingConfig"):
            time.sleep(0.5)

    def alias(self, alias: str) -> dict[str, Any]:
        return dict(self._lambda.get_alias(FunctionName=FUNCTION, Name=alias))

    def kill(self, alias: str) -> float:
        """`kill -9` to its deployer, 20 s after the first shift."""
        time.sleep(20)
        for sandbox in self.cloud.sandboxes(DEPLOYER):
            if sandbox["request-id"] == self._requests[alias]:
                processes.kill(sandbox["pids"])
        return time.monotonic()

    def kill_for_good(self, alias: str) -> float:
        """The same, and its lease is gone: nobody comes."""
        died = self.kill(alias)
        mark = re.search(r"\[rollout (\w+) ", self.alias(alias)["Description"])
        assert mark
        scheduler = self.cloud.client("scheduler")
        for lease in scheduler.list_schedules()["Schedules"]:
            if lease["Name"] == mark[1]:
                scheduler.delete_schedule(Name=lease["Name"], GroupName=lease["GroupName"])
        return died

    def stop_execution(self, alias: str) -> float:
        time.sleep(20)
        machine = self.cloud.output("StateMachineArn")
        execution = f"{machine.replace(':stateMachine:', ':execution:')}:{alias}"
        self.cloud.client("stepfunctions").stop_execution(executionArn=execution)
        return time.monotonic()

    def take_back(self, alias: str) -> float:
        self._move(alias, ORIGINAL)
        return time.monotonic()

    def promote(self, alias: str) -> float:
        self._move(alias, HEALTHY)
        return time.monotonic()

    def _move(self, alias: str, version: str) -> None:
        nothing: Any = {"AdditionalVersionWeights": {}}
        time.sleep(8)
        self._lambda.update_alias(
            FunctionName=FUNCTION, Name=alias, FunctionVersion=version, RoutingConfig=nothing
        )

    def out_of_order(self, alias: str) -> float:
        time.sleep(30)  # a look has been read
        self.cloud.outage(OUTAGE, how="drop")
        return time.monotonic()


@dataclass(frozen=True)
class Story:
    """A rollout of an alias of that name, what happens to it, and the states that it must show: by
    their names, words that the screen has then."""

    name: str
    payload: dict[str, Any]
    shows: dict[str, str]
    act: Act | None = None
    calls: bool = True
    by_machine: bool = False
    ctrl_c: str = "never"
    options: str = ""
    typed: str = ""  # the options of a rollout that is started in the terminal itself


CHECK: dict[str, Any] = {"settle": 60, "every": 5}
SLOW: dict[str, Any] = {"weights": [0.2, 1], "interval": 120}
STORIES = (
    Story(
        "good",
        {"steps": 2, "interval": 60, "health-check": CHECK},
        {
            "looking": r"(?s)step \d of .*nothing wrong so far",
            "settling": "settling:",
            "succeeded": "✔ SUCCEEDED",
        },
    ),
    Story(
        "quiet",
        {"steps": 2, "interval": 20, "health-check": {"settle": 20, "every": 5}},
        {
            "no-data": r"(?s)step \d of .*no calls published yet",
            "succeeded-unjudged": "✔ SUCCEEDED",
        },
        calls=False,
    ),
    Story(
        "bad",
        {"new-version": FAILING, "steps": 5, "interval": 30, "health-check": CHECK},
        {"suspended": "SUSPENDED at", "rolled-back": "✘ HealthCheckFailed"},
    ),
    Story(
        "few",
        {
            "steps": 2,
            "interval": 15,
            "health-check": {"min-invocations": 50, "hold": 40, "every": 5},
        },
        {"held": "held for calls", "inconclusive": "✘ HealthCheckInconclusive"},
        calls=False,
    ),
    Story(
        "by-hand",
        {"steps": 2, "interval": 60},
        {"stopped-by-hand": "Stopped by hand"},
        act=Stage.take_back,
    ),
    Story("promoted", {"steps": 2, "interval": 60}, {"promoted": "Promoted by"}, act=Stage.promote),
    Story(
        "refused",
        {},
        {"refused": "✘ InvalidRollout"},
        typed=" --version 99 --steps 2 --interval 5",
    ),
    Story(
        "ctrl-c",
        {"steps": 2, "interval": 30},
        {"ctrl-c": "Stopped watching"},
        ctrl_c="step 1 of 2",
    ),
    Story(
        "deaf",
        {"steps": 2, "interval": 15, "health-check": {"settle": 0}},
        {"no-log": "No log", "unknown": r"\? ENDED"},
        options=" --stack absent",
    ),
    Story(
        "killed",
        SLOW,
        {"silent": "NO WORD", "lease-over": "seems to have died", "rescued": "✘ RolloutInt"},
        act=Stage.kill,
    ),
    Story(
        "stopped",
        SLOW,
        {"silent-execution": "NO WORD", "rescued-execution": "✘ RolloutInt"},
        act=Stage.stop_execution,
        by_machine=True,
    ),
    Story("left", SLOW, {"still-split": "✘ ABANDONED"}, act=Stage.kill_for_good),
)

#: It takes AWS from all the others: so it comes alone.
ALONE = Story(
    "cut-off",
    {"weights": [0.2, 1], "interval": 100, "health-check": {"settle": 0}},
    {"unreachable": "AWS cannot be reached", "reached-again": "✔ SUCCEEDED|✘ "},
    act=Stage.out_of_order,
    calls=False,
)


@dataclass
class Played:
    """A story's frames, by the size of the terminal; times are on the monotonic clock."""

    began: float = 0.0
    acted: float = 0.0
    frames: dict[tuple[int, int], "Future[tuple[list[Frame], int]]"] = field(default_factory=dict)


def play(stage: Stage, story: Story, pool: ThreadPoolExecutor) -> Played:
    """From its beginning to its end, with a watch in a terminal of each size."""
    played = Played()
    stage.prepare(story.name)
    with ExitStack() as stack:
        if story.calls:
            stack.enter_context(Users(stage.cloud, RATE, alias=story.name))
        played.began = time.monotonic()
        watch = WATCH.format(FUNCTION, story.name) + story.options
        if story.typed:
            watch = ROLLOUT.format(FUNCTION, story.name) + story.typed
        for size in SIZES:
            asked = (watch, stage.cloud.environment, story.ctrl_c, *size)
            played.frames[size] = pool.submit(recorded, *asked)
        time.sleep(6)  # they wait for a rollout
        if story.by_machine:
            stage.execute(story.name, story.payload)
        elif not story.typed:
            stage.invoke(story.name, story.payload)
        if story.act:
            stage.wait_for_split(story.name)
            played.acted = story.act(stage, story.name)
        for frames in played.frames.values():
            frames.result()
    return played


def write(folder: Path, story: Story, played: Played) -> None:
    """Each state's last screen in a file; and when it was first seen."""
    for (columns, rows), future in played.frames.items():
        frames, status = future.result()
        for state, words in story.shows.items():
            found = [frame for frame in frames if re.search(words, frame.text)]
            found = [frame for frame in found if not _ENDED.search(frame.text)] or found
            told = "never seen"
            if found:
                origin = played.acted or played.began
                told = f"seen after {played.began + found[0].at - origin:.1f} s"
                told += f", until {played.began + found[-1].at - origin:.1f} s"
                file = folder / f"{state}-{columns}x{rows}.txt"
                file.write_text(f"{found[-1].text}\n", encoding="utf-8")
            print(f"{state:<20}{columns} × {rows}  {told}; exit status {status}", flush=True)


def main() -> None:
    if len(sys.argv) < 2:
        raise SystemExit("Into which folder? make screens FOLDER=/tmp/screens")
    folder = Path(sys.argv[1])
    wanted = sys.argv[2:] or [story.name for story in (*STORIES, ALONE)]
    folder.mkdir(parents=True, exist_ok=True)
    # The last end comes ten minutes after a lease has run out.
    print("Recording: all of it takes about a quarter of an hour …", flush=True)
    with running(DELAY, log_delay=LOG_DELAY) as cloud, ThreadPoolExecutor(64) as pool:
        cloud.install()
        cloud.publish_checkout()
        stage = Stage(cloud)
        told = threading.Lock()

        def tell(story: Story) -> None:
            played = play(stage, story, pool)
            with told:
                write(folder, story, played)

        stories = []
        for story in STORIES:
            if story.name not in wanted:
                continue
            stories.append(pool.submit(tell, story))
            time.sleep(3)
        for each in stories:
            each.result()
        if ALONE.name in wanted:
            tell(ALONE)
    print(f"Written into {folder}.")


if __name__ == "__main__":
    main()
