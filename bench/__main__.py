"""`python -m bench`: runs all trials, tells what came out, and writes bench.md, bench.csv and
bench.svg in docs/."""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

from bench import plot, tables, trials
from bench.cells import CELLS
from bench.checks import goals, healthy

DOCS = Path(__file__).parent.parent / "docs"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="The deployer and its peers in the same worlds."
    )
    parser.add_argument("--trials", type=int, default=200, help="of each cell (200)")
    parser.add_argument("--seed", type=int, default=1, help="of all draws (1)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument(
        "--docs", type=Path, default=DOCS, help="the folder with the page to renew (docs)"
    )
    options = parser.parse_args(arguments)
    start = time.monotonic()
    done = 0

    def tell(name: str) -> None:
        nonlocal done
        done += 1
        print(f"{time.monotonic() - start:5.0f} s  {done:2} of {len(CELLS)}  {name}", flush=True)

    found = trials.run(CELLS, options.trials, options.seed, options.workers, tell)
    page = options.docs / "bench.md"
    renewed = tables.renewed(page.read_text(encoding="utf-8"), found, options.seed)
    page.write_text(renewed, encoding="utf-8")
    (options.docs / "bench.csv").write_text(tables.everything(found), encoding="utf-8")
    (options.docs / "bench.svg").write_text(plot.draw(found), encoding="utf-8")
    print("", *healthy(found), "", *goals(found), sep="\n")
    used = os.times()
    computing = used.user + used.system + used.children_user + used.children_system
    took = f"{time.monotonic() - start:.0f} s, {computing:.0f} s of computing"
    print(f"\n{took}, {options.workers} processes.")
    print(f"Written: {page}, bench.csv and bench.svg beside it.")


if __name__ == "__main__":
    main()
