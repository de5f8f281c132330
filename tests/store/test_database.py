"""Connections that fail and come back, the schema, and the address."""

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine, text

from marketwatch.config import Settings
from marketwatch.errors import ConfigError, DatabaseDown, EnvironmentFault
from marketwatch.store import Store
from marketwatch.store.tables import metadata


def opened(url, tmp_path):
    return Store.open(Settings(home=tmp_path, database_url=url))


def test_the_migrations_make_the_tables_of_the_code(database_url):
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _: kind != "table" or not name.startswith("procrastinate")
            },
        )
        assert compare_metadata(context, metadata) == []


def test_the_queue_has_the_schema_of_its_release(sql):
    assert sql("SELECT count(*) FROM procrastinate_jobs") == [(0,)]
    assert sql("SELECT count(*) > 30 FROM queue_schema") == [(True,)]


def test_a_migration_of_the_queue_that_came_with_an_update_is_applied(
    store, sql, database_url, monkeypatch, tmp_path
):
    folder = tmp_path / "migrations"
    folder.mkdir()
    for (name,) in sql("SELECT migration FROM queue_schema"):
        (folder / f"{name}.sql").write_text("SELECT 1 / 0")
    (folder / "99.00.00_01_pre_new.sql").write_text("CREATE TABLE procrastinate_new (); SELECT 100 % 7;")
    monkeypatch.setattr("marketwatch.store.database._queue_migrations", lambda: folder)
    for _ in range(2):
        opened(database_url, tmp_path).close()
    assert sql("SELECT count(*) FROM procrastinate_new") == [(0,)]


def test_a_database_newer_than_the_program_is_left_alone(store, sql, database_url, tmp_path):
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(EnvironmentFault, match="请升级"):
        opened(database_url, tmp_path)


@pytest.mark.parametrize(
    "form", ["postgresql://{user}@/{dbname}?host={host}", "postgresql+psycopg://{user}@/{dbname}?host={host}"]
)
def test_an_address_may_be_a_url(database_url, tmp_path, form):
    with opened(form.format(**conninfo_to_dict(database_url)), tmp_path) as store:
        assert store.list_runs() == []
        with psycopg.connect(store.dsn) as connection:
            assert connection.info.dbname == conninfo_to_dict(database_url)["dbname"]


def test_a_wrong_address_is_told_without_its_password(tmp_path):
    with pytest.raises(ConfigError) as told:
        opened("mysql://user:geheim@host/db?x", tmp_path)
    assert "geheim" not in str(told.value)
    assert "MARKETWATCH_DATABASE_URL" in str(told.value)


def test_a_server_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DatabaseDown) as told:
        opened("postgresql://user:geheim@127.0.0.1:1/db", tmp_path)
    assert "geheim" not in str(told.value)
    assert "127.0.0.1:1/db" in str(told.value)


def test_a_lost_connection_comes_back(store, run, server):
    name = conninfo_to_dict(store.dsn)["dbname"]
    with psycopg.connect(server, autocommit=True) as admin:
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        admin.execute(cut, [name])
        assert store.open_count(run) == 1  # found dead before use
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        admin.execute(cut, [name])
        with pytest.raises(DatabaseDown):
            store.open_count(run)
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert store.open_count(run) == 1


def test_a_connection_lost_within_a_transaction_is_told(store, run):
    def cut(connection):
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(DatabaseDown):
        store._run(cut)
    assert store.open_count(run) == 1


def test_a_full_disk_is_told(store, run, monkeypatch):
    def full(*_):
        raise psycopg.errors.DiskFull("no space left")

    with pytest.raises(EnvironmentFault, match="磁盘已满"):
        store._run(full)


def test_times_are_utc_whatever_the_server_thinks(store, run, server):
    name = conninfo_to_dict(store.dsn)["dbname"]
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Shanghai'")
    with Store(store.dsn) as other:
        assert other.run(run).started.utcoffset().total_seconds() == 0
