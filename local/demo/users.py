"""Users' traffic: calls to an alias at a steady rate, and a count of what they got."""

import threading
import time
from collections import Counter
from typing import Any

from local.cloud import ALIAS, FUNCTION, Cloud

_THREADS = 4


class Users:
    """Calls go on until the block ends. `calls` and `errors` count by the version that answered;
    `first_errors` tells when its first call failed, in seconds since 1970."""

    def __init__(
        self, cloud: Cloud, a_second: float, alias: str = ALIAS, function: str = FUNCTION
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.first_errors: dict[str, float] = {}
        self._function = function
        self._alias = alias
        self._lambda = cloud.client("lambda")
        self._pause = _THREADS / a_second
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._go_on, daemon=True) for _ in range(_THREADS)]

    def __enter__(self) -> "Users":
        for thread in self._threads:
            thread.start()
            time.sleep(self._pause / _THREADS)
        return self

    def __exit__(self, *_: Any) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            self._call()
            due = max(due + self._pause, time.monotonic() - 1)
            self._stopped.wait(due - time.monotonic())

    def _call(self) -> None:
        invoke = self._lambda.invoke
        answer = invoke(FunctionName=self._function, Qualifier=self._alias, Payload=b"{}")
        version = answer["ExecutedVersion"]
        with self._lock:
            self.calls[version] += 1
            if "FunctionError" in answer:
                self.errors[version] += 1
                self.first_errors.setdefault(version, time.time())
