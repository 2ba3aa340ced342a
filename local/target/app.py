"""The function that the demo and the tests deploy.

FAILS is the share of its calls that fail; SLEEPS is how many seconds each call takes.
"""

import os
import random
import time
from typing import Any


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    time.sleep(float(os.environ["SLEEPS"]))
    if random.random() < float(os.environ["FAILS"]):
        raise RuntimeError("The checkout is broken in this version.")
    return {"version": os.environ["AWS_LAMBDA_FUNCTION_VERSION"]}
