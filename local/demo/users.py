"""Users' traffic: calls to the alias at a steady rate, and a count of what they got."""

import threading
import time
from collections import Counter
from typing import Any

from local.cloud import ALIAS, FUNCTION, Cloud

_THREADS = 4


class Users:
    """Calls go on until the block ends. `calls` and `errors` count by the version that answered."""

    def __init__(self, cloud: Cloud, a_second: float, alias: str = ALIAS) -> None:
        self._alias = alias
        self.calls: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self._lambda, self._pause = cloud.client("lambda"), _THREADS / a_second
        self._stopped, self._lock = threading.Event(), threading.Lock()
        self._threads = [
            threading.Thread(target=self._call_on, daemon=True) for _ in range(_THREADS)
        ]

    def __enter__(self) -> "Users":
        for thread in self._threads:
            thread.start()
            time.sleep(self._pause / _THREADS)
        return self

    def __exit__(self, *_: Any) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _call_on(self) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            answer = self._lambda.invoke(
                FunctionName=FUNCTION, Qualifier=self._alias, Payload=b"{}"
            )
            with self._lock:
                self.calls[answer["ExecutedVersion"]] += 1
                self.errors[answer["ExecutedVersion"]] += "FunctionError" in answer
            due = max(due + self._pause, time.monotonic() - 1)
            self._stopped.wait(due - time.monotonic())
