"""The connection: where the database is, its schema, transactions, and what its errors mean to a caller."""

from __future__ import annotations

import importlib.util
import logging
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Connection, create_engine, exc, text

from marketwatch.config import Settings
from marketwatch.errors import ConfigError, DatabaseDown, EnvironmentFault, Place
from marketwatch.store import embedded

MIGRATIONS = Path(__file__).parent / "migrations"
COLLISIONS = {"40001", "40P01", "25P03"}  # serialization failure, deadlock, idle: the same again succeeds
DISK_FULL = "53100"
OUT_OF_REACH = {
    "08",
    "53",
    "57",
    "58",
}  # connection, resources, operator's doing, system; others fault the call
ATTEMPTS = 5
MIGRATION_LOCK = 0x6D61726B  # any number of our own
IDLE_MS = 10_000  # a process that stands still in a transaction gives back the rows it has locked

T = TypeVar("T")

log = logging.getLogger(__name__)


class Database:
    """A pool of connections to one database whose schema is current. Safe to share among threads.

    Every method of the store raises DatabaseDown while the server cannot be reached, and works again when it
    can. An embedded server that crashed is started again.
    """

    def __init__(self, dsn: str, *, var: Path | None = None) -> None:
        self.dsn = dsn
        """The libpq connection string, for other libraries."""
        self._var = var  # of the embedded server
        told = conninfo_to_dict(dsn)
        self.where = f"{told.get('host', 'localhost')}:{told.get('port', 5432)}/{told.get('dbname', '')}"
        """The server and database, without credentials, for people."""
        self._engine = create_engine(
            "postgresql+psycopg://", creator=self._connect, pool_pre_ping=True, pool_size=4, max_overflow=12
        )
        self._bring_up_to_date()

    @classmethod
    def locate(cls, settings: Settings) -> tuple[str, Path | None]:
        """The connection string, and the embedded server's folder where it is that one; starts it."""
        if settings.database_url is None:
            return embedded.start(settings.var_dir), settings.var_dir
        try:
            dsn = re.sub(r"^postgres(ql)?\+\w+:", "postgresql:", settings.database_url)
            return make_conninfo(dsn, **{"connect_timeout": 10} | conninfo_to_dict(dsn)), None
        except psycopg.ProgrammingError:  # its text would show the password
            raise ConfigError(
                "不是可用的 PostgreSQL 连接地址",
                place=Place("MARKETWATCH_DATABASE_URL"),
                hint="例如 postgresql://用户:密码@主机:5432/库名",
            ) from None

    def close(self) -> None:
        self._engine.dispose()

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            connection = psycopg.connect(self.dsn)
        except psycopg.OperationalError:
            if self._var is None or not embedded.crashed(self._var):
                raise
            connection = psycopg.connect(embedded.start(self._var))
        connection.execute(f"SET TIME ZONE 'UTC'; SET idle_in_transaction_session_timeout = {IDLE_MS}")
        connection.commit()
        return connection

    def _run(self, work: Callable[[Connection], T]) -> T:
        """`work` in a transaction of its own, again when it collided with another one."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._translated(), self._engine.begin() as connection:
                    return work(connection)
            except _Collision as collision:
                if attempt == ATTEMPTS:
                    raise DatabaseDown(
                        f"数据库 {self.where} 太忙：{collision}", hint="请稍后再试"
                    ) from collision
                time.sleep(random.uniform(0.01, 0.05) * attempt)  # noqa: S311
        raise AssertionError

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (exc.DBAPIError, exc.TimeoutError, psycopg.Error) as fault:
            origin = fault.orig if isinstance(fault, exc.DBAPIError) else fault
            state = getattr(origin, "sqlstate", None)
            if state in COLLISIONS:
                raise _Collision(origin) from fault
            if state == DISK_FULL:
                raise EnvironmentFault(
                    f"数据库 {self.where} 所在磁盘已满", hint="腾出空间后用 --resume 继续"
                ) from fault
            if isinstance(origin, exc.TimeoutError | psycopg.InterfaceError) or (
                isinstance(origin, psycopg.OperationalError) and (state is None or state[:2] in OUT_OF_REACH)
            ):
                raise DatabaseDown(
                    f"连不上数据库 {self.where}：{str(origin).strip()}",
                    hint="确认数据库在运行后再试（marketwatch db status 会启动内置数据库）",
                ) from fault
            raise

    def _bring_up_to_date(self) -> None:
        """Applies what is missing of our migrations and of the queue's, in one transaction. Racing processes
        wait for one another."""
        wanted = (_newest(MIGRATIONS / "versions"), _newest(_queue_migrations()))
        with self._translated():
            with self._engine.connect() as connection:
                found = _schema(connection)
            if found == wanted:
                return
            if found[0] > wanted[0] or found[1] > wanted[1]:
                raise EnvironmentFault(
                    f"数据库 {self.where} 的结构（{'、'.join(found)}）比本程序（{'、'.join(wanted)}）新",
                    hint="请升级 marketwatch",
                )
            with self._engine.begin() as connection:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
                _migrate(connection)
                _migrate_queue(connection)


def patiently(call: Callable[..., T], *args: Any, patience: float = 30.0) -> T:
    """`call(*args)`, again while the database is away, for up to `patience` seconds. Blocks: call it in a thread."""
    end, wait = time.monotonic() + patience, 0.2
    while True:
        try:
            return call(*args)
        except DatabaseDown as exc:
            if time.monotonic() + wait > end:
                raise
            log.warning("数据库暂时不可用，%.1f 秒后重试：%s", wait, exc.message.partition("\n")[0])
            time.sleep(wait)
            wait = min(wait * 2, 5.0)


class _Collision(Exception):
    pass


def _newest(folder: Path) -> str:
    return max(path.stem for path in folder.iterdir() if path.stem[0].isdigit())


def _queue_migrations() -> Path:
    """Where procrastinate keeps its migrations, without the third of a second that importing it takes."""
    found = importlib.util.find_spec("procrastinate")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "sql" / "migrations"


def _schema(connection: Connection) -> tuple[str, str]:
    """The newest migrations applied, ours and the queue's; empty where none is."""
    if connection.scalar(
        text("SELECT to_regclass('alembic_version') IS NULL OR to_regclass('queue_schema') IS NULL")
    ):
        return "", ""
    ours = connection.scalar(text("SELECT version_num FROM alembic_version"))
    queue = connection.scalar(text("SELECT max(migration) FROM queue_schema"))
    return ours or "", queue or ""


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    command.upgrade(config, "head")


def _migrate_queue(connection: Connection) -> None:
    """procrastinate keeps no account of its migrations; `queue_schema` does."""
    folder = _queue_migrations()
    names = sorted(path.stem for path in folder.glob("*.sql"))
    done = set(connection.scalars(text("SELECT migration FROM queue_schema")))
    missing = [name for name in names if name not in done]
    if not missing:
        return
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    scripts = [folder / f"{name}.sql" for name in missing] if done else [folder.parent / "schema.sql"]
    for script in scripts:
        driver.execute(script.read_bytes())
    connection.execute(
        text("INSERT INTO queue_schema (migration) VALUES (:name)"), [{"name": n} for n in missing]
    )
