"""A PostgreSQL cluster of the tests' own, and databases in it."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4


def binaries() -> Path | None:
    """Where PostgreSQL's programs are, or None."""
    found = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found).resolve().parent if found else debian[-1].parent if debian else None


@dataclass
class Cluster:
    """A running cluster, reached over a socket in its own directory."""

    programs: Path
    path: Path

    def as_user(self, *command: object) -> None:
        """Run a program as somebody who is not root, whom PostgreSQL refuses."""
        words = [str(word) for word in command]
        before = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        subprocess.run([*before, *words], check=True, capture_output=True, cwd=self.path)

    def control(self, action: str, *options: str) -> None:
        """Start or stop it."""
        log = self.path / "log"
        program = self.programs / "pg_ctl"
        self.as_user(program, action, "-D", self.path / "data", "-w", "-l", log, *options)

    def start(self) -> None:
        """Start it without TCP."""
        self.control("start", "-o", f"-c listen_addresses='' -c fsync=off -k {self.path}")

    def stop(self) -> None:
        """Stop it at once, as a crash would."""
        self.control("stop", "-m", "immediate")

    def database(self) -> str:
        """The URL of a new database."""
        name = f"t{uuid4().hex}"
        self.as_user(self.programs / "createdb", "-h", self.path, name)
        return self.url(name)

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql:///{name}?host={self.path}&user=postgres"

    def execute(self, statement: str) -> None:
        """Run a statement as an administrator."""
        psql = self.programs / "psql"
        self.as_user(psql, "-h", self.path, "-U", "postgres", "-q", "-c", statement)

    @contextmanager
    def replica(self) -> Iterator["Cluster"]:
        """A standby that streams from this cluster, which from now on waits for it at each
        commit."""
        path = owned_directory()
        standby = Cluster(self.programs, path)
        try:
            standby.as_user(
                self.programs / "pg_basebackup", "-h", self.path, "-U", "postgres", "-R",
                "-D", path / "data", "--no-sync", "--checkpoint=fast",
            )  # fmt: skip
            standby.start()
            self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            self.execute("SELECT pg_reload_conf()")
            yield standby
            standby.stop()
        finally:
            shutil.rmtree(path, ignore_errors=True)


def owned_directory() -> Path:
    """A new directory of the user whom clusters run as."""
    path = Path(tempfile.mkdtemp(prefix="pushwise-postgresql-"))
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(path, owner.pw_uid, owner.pw_gid)
    return path


@contextmanager
def running() -> Iterator[Cluster]:
    """A cluster while the context lasts; `binaries` must have found PostgreSQL."""
    programs = binaries()
    assert programs is not None
    path = owned_directory()
    cluster = Cluster(programs, path)
    try:
        cluster.as_user(
            programs / "initdb", "-D", path / "data", "-U", "postgres", "-A", "trust",
            "--no-sync", "-E", "UTF8",
        )  # fmt: skip
        cluster.start()
        yield cluster
        cluster.stop()
    finally:
        shutil.rmtree(path, ignore_errors=True)
