"""`python -m local local`, `demo` or `workflow`: what make runs. They take a moment to load, in which
Ctrl-C may come."""

import sys

from local.farewell import with_a_sentence


def main() -> int:
    if sys.argv[1:] == ["local"]:
        from local.up import main as chosen
    else:
        from local.demo.acts import main as chosen
    return chosen()


if __name__ == "__main__":
    with_a_sentence(main)
