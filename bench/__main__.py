"""`make bench` runs all; `python -m bench corridor reading` only those named."""

import importlib
import pkgutil
import sys

import bench


def main() -> None:
    known = sorted(
        module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_")
    )
    wanted = sys.argv[1:] or known
    if unknown := set(wanted) - set(known):
        sys.exit(f"no such bench: {', '.join(unknown)}; there are {', '.join(known)}")
    for name in wanted:
        print(f"== {name}", flush=True)
        sys.argv[1:] = []  # some are programs of their own
        importlib.import_module(f"bench.{name}").main()


main()
