"""Real PostgreSQL in every test: one embedded server a session, a fresh database a test from a migrated template."""

import itertools
import os
import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from psycopg.conninfo import make_conninfo

from marketwatch.config import Settings
from marketwatch.store import Store, embedded

settings.register_profile("calm", deadline=None)  # what is slow the first time, or under load, is not wrong
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "calm"))


@pytest.fixture(scope="session")
def server():
    """libpq string of a server of this session's own; gone at its end, also after failures."""
    var = Path(tempfile.mkdtemp(prefix="mw-test-"))
    var.chmod(0o755)
    try:
        dsn = embedded.start(var)
        with psycopg.connect(dsn, autocommit=True) as connection:
            for setting in (
                "fsync",
                "full_page_writes",
                "synchronous_commit",
            ):  # what is lost here is not missed
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
        yield dsn
    finally:
        embedded.stop(var)
        shutil.rmtree(var, ignore_errors=True)


@pytest.fixture(scope="session")
def template(server):
    name = "template_marketwatch"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    Store(make_conninfo(server, dbname=name)).close()
    return name


_numbers = itertools.count(1)


@pytest.fixture
def database_url(server, template):
    """A fresh, migrated database."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield make_conninfo(server, dbname=name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def store(database_url):
    with Store.open(Settings(home=Path(), database_url=database_url)) as opened:
        yield opened
