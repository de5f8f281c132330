"""`python -m marketwatch.demo`: serve the market places until interrupted; prints their origins as one JSON line."""

from __future__ import annotations

import argparse
import json
import signal
from pathlib import Path

from marketwatch.demo.places import DEFAULT_PORTS, DEFAULT_SEED, MarketPlaces


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m marketwatch.demo", description=__doc__)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument(
        "--hostile", action="store_true", help="switch on all that real sites do against crawlers"
    )
    parser.add_argument("--ports", type=int, nargs=3, default=DEFAULT_PORTS, help="0 takes a free one")
    parser.add_argument("--log", type=Path, help="append a line per request to this file")
    given = parser.parse_args()
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(
        signal.SIG_BLOCK, signals
    )  # before the servers' thread starts: it inherits the mask
    with MarketPlaces(given.seed, hostile=given.hostile, ports=tuple(given.ports), log=given.log) as market:
        print(json.dumps(market.origins), flush=True)  # noqa: T201 - the one thing this command is for
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
