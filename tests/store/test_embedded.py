"""The embedded server against real kills and races."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from marketwatch.config import Settings
from marketwatch.errors import DatabaseDown, EnvironmentFault
from marketwatch.store import Store, embedded

START = "import sys; from pathlib import Path; from marketwatch.store import embedded; "
OPEN = (
    "import sys; from pathlib import Path; from marketwatch.config import Settings; "
    "from marketwatch.store import Store; store = Store.open(Settings(var=Path(sys.argv[1]))); "
    "print(store.create_run('活动', config={}, rulebook_version='', code_version=''), flush=True); "
)


@contextmanager
def own_folder():
    """Not below pytest's own, which the server's user may not pass."""
    folder = Path(tempfile.mkdtemp(prefix="mw-test-"))
    try:
        yield folder
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fresh():
    """A folder in which no server ever was."""
    with own_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def stopped():
    with own_folder() as folder:
        embedded.start(folder)
        embedded.stop(folder)
        yield folder


@pytest.fixture
def var(stopped, fresh):
    """A folder whose server was stopped."""
    subprocess.run(["cp", "-a", stopped / "pg", fresh / "pg"], check=True)
    return fresh


def postmaster(var):
    return int((var / "pg" / "data" / "postmaster.pid").read_text().splitlines()[0])


def value(dsn):
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT 42").fetchone()[0]


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.02)


def test_a_server_is_found_again_and_stops_on_request(fresh):
    assert not embedded.running(fresh)
    assert not embedded.stop(fresh)
    dsn = embedded.start(fresh)
    pid = postmaster(fresh)
    assert value(dsn) == 42
    assert embedded.start(fresh) == dsn
    assert postmaster(fresh) == pid
    assert embedded.running(fresh)
    assert embedded.stop(fresh)
    assert not embedded.running(fresh)
    assert not embedded.crashed(fresh)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn)


def test_what_is_committed_survives_a_killed_server(var):
    dsn = embedded.start(var)
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    os.kill(postmaster(var), signal.SIGKILL)
    dsn = embedded.start(var)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_a_stale_pid_file_that_names_a_living_process_does_not_matter(var):
    dsn = embedded.start(var)
    os.kill(postmaster(var), signal.SIGKILL)
    wait_until(lambda: embedded.crashed(var))
    pid_file = var / "pg" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    embedded.start(var)
    assert value(dsn) == 42


def test_a_server_outlives_the_process_that_started_it(var):
    starter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            START + "embedded.start(Path(sys.argv[1])); print(1, flush=True); input()",
            str(var),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert starter.stdout.readline()
    starter.kill()
    starter.wait()
    pid = postmaster(var)
    assert value(embedded.start(var)) == 42
    assert postmaster(var) == pid


def test_a_first_start_cut_short_is_made_good(fresh):
    starter = subprocess.Popen(
        [sys.executable, "-c", START + "embedded.start(Path(sys.argv[1]))", str(fresh)]
    )
    wait_until(lambda: (fresh / "pg" / "data.new").exists())
    starter.kill()
    starter.wait()
    assert value(embedded.start(fresh)) == 42


def test_four_processes_racing_at_first_use_share_one_server_and_one_schema(fresh):
    racers = [
        subprocess.Popen([sys.executable, "-c", OPEN, str(fresh)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    runs = {racer.communicate(timeout=60)[0].strip() for racer in racers}
    assert all(racer.returncode == 0 for racer in racers)
    assert {run.rpartition("-")[2] for run in runs} == {"1", "2", "3", "4"}
    with psycopg.connect(embedded.start(fresh)) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_a_store_in_use_revives_a_killed_server_but_not_a_stopped_one(var):
    with Store.open(Settings(var=var)) as store:
        run = store.create_run("活动", config={}, rulebook_version="", code_version="")
        os.kill(postmaster(var), signal.SIGKILL)
        wait_until(lambda: embedded.crashed(var))
        assert store.run(run).campaign == "活动"
        embedded.stop(var)
        with pytest.raises(DatabaseDown, match="连不上数据库"):
            store.run(run)
        assert not embedded.running(var)
        embedded.start(var)
        assert store.run(run).campaign == "活动"


@pytest.mark.parametrize("name", ["x" * 120, "逗号,引号'\" 和空格"])
def test_a_checkout_may_lie_anywhere(fresh, stopped, name):
    deep = fresh / name
    deep.mkdir()
    subprocess.run(["cp", "-a", stopped / "pg", deep / "pg"], check=True)
    dsn = embedded.start(deep)
    assert value(dsn) == 42
    folder = Path(psycopg.conninfo.conninfo_to_dict(dsn)["host"])
    assert folder.stat().st_mode & 0o077 == 0
    assert embedded.stop(deep)
    if not folder.is_relative_to(fresh):
        assert not folder.exists()


def test_other_users_cannot_come_in(var):
    embedded.start(var)
    assert (var / "pg").stat().st_mode & 0o077 == 0
    assert (var / "pg" / "data").stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(EnvironmentFault, match="不能在"):
        embedded.start(blocked / "var")


def test_a_server_that_cannot_start_shows_its_log(var):
    embedded.start(var)
    embedded.stop(var)
    with (var / "pg" / "data" / "postgresql.conf").open("a") as conf:
        conf.write("shared_buffers = nonsense\n")
    with pytest.raises(DatabaseDown, match="shared_buffers"):
        embedded.start(var)


def test_data_of_another_version_is_left_alone(var):
    embedded.start(var)
    embedded.stop(var)
    (var / "pg" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EnvironmentFault, match="PostgreSQL 9"):
        embedded.start(var)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand the server to another user")
def test_root_hands_the_server_to_a_user_of_the_system(fresh):
    home = fresh / "private"
    home.mkdir(mode=0o700)
    embedded.start(home)
    assert (home / "pg").stat().st_uid not in (0,)
    assert home.stat().st_mode & 0o077 == 0o001
    embedded.stop(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_has_a_server_of_its_own_and_nobody_elses(fresh, var):
    nobody = pwd.getpwnam("nobody")
    os.chown(fresh, nobody.pw_uid, nobody.pw_gid)
    fresh.chmod(0o755)
    home = fresh / "home"
    embedded.start(var)
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            assert value(embedded.start(home)) == 42
            assert embedded.stop(home)
            with pytest.raises(EnvironmentFault, match="属于用户"):
                embedded.start(var)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert (home / "pg").stat().st_uid == nobody.pw_uid
