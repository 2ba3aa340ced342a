"""The function that the demo and the tests deploy. FAILS says which share of its calls fails."""

import os
import random
import time
from typing import Any


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    time.sleep(event.get("sleep", 0))
    if random.random() < float(os.environ["FAILS"]):
        raise RuntimeError("The checkout is broken in this version.")
    return {"version": os.environ["AWS_LAMBDA_FUNCTION_VERSION"]}
