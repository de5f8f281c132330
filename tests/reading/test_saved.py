import json
import subprocess
import sys
from pathlib import Path

import pytest

from marketwatch.errors import PageError
from marketwatch.reading import extract, guess_type, page_from_file
from marketwatch.records import Outcome

URL = "https://search.jd.com/Search?keyword=x"
ROW = '<li class="gl-item" data-sku="7"><div class="p-name"><em>茶</em></div></li>'


def test_a_response_with_its_headers(tmp_path: Path) -> None:
    file = tmp_path / "page.txt"
    file.write_bytes(b"HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\nContent-Type: text/html\r\n\r\n<p>x</p>")
    page = page_from_file(file, URL)
    assert (page.status, page.header("retry-after"), page.body) == (429, "3", b"<p>x</p>")
    assert extract(file, URL).outcome is Outcome.RATE_LIMITED


def test_bare_files_and_what_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(ROW, "utf-8")
    assert extract(file, URL).records[0].item_id == "7"
    assert guess_type("a.jsonl") == guess_type("a.json") == "application/json"
    with pytest.raises(PageError, match="cannot be read"):
        page_from_file(tmp_path / "none", URL)


def test_the_command_prints_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(ROW, "utf-8")
    command = [sys.executable, "-m", "marketwatch.reading", str(file), "--url", URL]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [json.loads(line)["title"] for line in run.stdout.splitlines()] == ["茶"]
