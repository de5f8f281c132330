"""A home of its own for every test: packs for a plain market, the project's rules, a fresh database; and the real
program started in it as a process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import yaml

from marketwatch.demo.plain import PlainMarket, is_planted, pack

CHECKOUT = Path(__file__).resolve().parents[2]


class Home:
    """`run` waits for a command, `start` leaves it running; both with heartbeats fit for a test."""

    def __init__(self, folder: Path, database_url: str | None) -> None:
        self.folder = folder
        self.var = folder / "var"
        self.started: list[subprocess.Popen] = []
        (folder / "spiders" / "platforms").mkdir(parents=True)
        (folder / "rules" / "packs").mkdir(parents=True)
        for part in (*(CHECKOUT / "rules").glob("*.yaml"), CHECKOUT / "rules" / "lists"):
            (folder / "rules" / part.name).symlink_to(part)
        (folder / "rules" / "packs" / "wildlife.yaml").symlink_to(
            CHECKOUT / "rules" / "packs" / "wildlife.yaml"
        )
        (folder / "data").mkdir()
        (folder / "data" / "reference").symlink_to(CHECKOUT / "data" / "reference")
        (folder / "scrapy.cfg").touch()
        self.env = os.environ | {
            "MARKETWATCH_HOME": str(folder),
            "MARKETWATCH_VAR": str(self.var),
            "MARKETWATCH_HEARTBEAT": "0.5",
            "MARKETWATCH_DEAD_AFTER": "16",
        }
        self.env.pop("MARKETWATCH_DATABASE_URL", None)
        if database_url:
            self.env["MARKETWATCH_DATABASE_URL"] = database_url

    def start(self, *args: str) -> subprocess.Popen:
        log = (self.folder / f"stderr-{len(self.started)}.log").open("w")
        command = [sys.executable, "-m", "marketwatch.cli", *args]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=log, text=True
        )
        log.close()
        self.started.append(process)
        return process

    def run(self, *args: str, code: int | None = 0) -> str:
        process = self.start(*args)
        out, _ = process.communicate(timeout=300)
        if code is not None:
            assert process.returncode == code, self.stderr()
        return out

    def stderr(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("stderr-*.log")))[-6000:]

    def campaign(self, market: PlainMarket, *, delay: float = 0.0, per_site: int = 4) -> Path:
        entries, hosts = [], [origin.removeprefix("http://") for origin in market.origins]
        for number, host in enumerate(hosts):
            name = f"plain-{number}"
            (self.folder / "spiders" / "platforms" / f"{name}.yaml").write_text(
                yaml.safe_dump(pack(name, host))
            )
            shops = range(number, market.targets, len(hosts))
            entries.append({"platform": name, "shop": [str(shop) for shop in shops]})
        path = self.folder / "campaign.yaml"
        polite = {"delay": delay, "per_site": per_site}
        made = {"name": "测试", "targets": entries, "allow": hosts, "politeness": polite, "capture": "none"}
        path.write_text(yaml.safe_dump(made, allow_unicode=True))
        return path

    def query(self, sql: str) -> list[tuple]:
        with psycopg.connect(self.dsn()) as connection:
            return connection.execute(sql).fetchall()

    def dsn(self) -> str:
        from marketwatch.config import Settings
        from marketwatch.store import Store

        settings = Settings(
            home=self.folder, var=self.var, database_url=self.env.get("MARKETWATCH_DATABASE_URL")
        )
        with Store.open(settings) as store:
            return store.dsn

    def check_nothing_lost_or_doubled(self, market: PlainMarket, run: str) -> None:
        """Every target done, every page once in the database, every planted lead exactly once."""
        expected = market.addresses()
        assert self.query("SELECT DISTINCT status FROM targets") == [("done",)], self.stderr()
        pages = self.query(f"SELECT url, outcome FROM pages WHERE run = '{run}'")
        assert len(pages) == len(expected)
        assert {url for url, outcome in pages if outcome == "done"} == expected
        leads = json.loads(
            "[" + ",".join(self.run("leads", "list", "--limit", "10000", "--json").splitlines()) + "]"
        )
        planted = {f"{t}-{p}" for t in range(market.targets) for p in range(market.pages) if is_planted(p)}
        found = [(lead["subject"], lead["rule"]) for lead in leads]
        assert len(found) == len(set(found))
        assert {subject for subject, _ in found} == planted
        events = self.query("SELECT lead, count(*) FROM lead_events WHERE event = 'found' GROUP BY lead")
        assert len(events) == len(found)
        assert {count for _, count in events} == {1}


@pytest.fixture
def home(tmp_path, database_url):
    made = Home(tmp_path / "home", database_url)
    yield made
    _kill(made)


@pytest.fixture
def own_home(tmp_path):
    """As `home`, with an embedded server of its own, for tests that stop it."""
    from marketwatch.store import embedded

    made = Home(tmp_path / "home", None)
    yield made
    _kill(made)
    embedded.stop(made.var)


def _kill(home: Home) -> None:
    for process in home.started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
