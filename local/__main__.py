"""`python -m local local`, `demo` or `workflow`: what make runs. They take a moment to load, in which
Ctrl-C may come."""

import sys

from local.farewell import with_a_sentence

#: The exit status where it is not known what is to be run.
REFUSED = 2


def main() -> int:
    match sys.argv[1:]:
        case ["local"]:
            from local.up import main as chosen
        case ["demo"] | ["workflow"]:
            from local.demo.acts import main as chosen
        case _:
            print("Which one? Run make local, make demo or make workflow.", file=sys.stderr)
            return REFUSED
    return chosen()


if __name__ == "__main__":
    with_a_sentence(main)
