"""python -m marketwatch.reading FILE --url URL: the records of one saved page as JSON lines."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from marketwatch.errors import MarketwatchError
from marketwatch.reading.saved import extract


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m marketwatch.reading")
    parser.add_argument("file", type=Path)
    parser.add_argument("--url", required=True)
    given = parser.parse_args()
    try:
        reading = extract(given.file, given.url)
    except MarketwatchError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    for record in reading.records:
        sys.stdout.write(json.dumps(record.to_json(), ensure_ascii=False) + "\n")
    sys.stderr.write(f"{reading.platform} {reading.kind} {reading.outcome} {reading.reason}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
