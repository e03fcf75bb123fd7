"""Child processes that die with their parent, the accounts they run as, and their logs."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kraj.errors import ConfigurationError

LOG_BYTES_MAX = 16 * 1024 * 1024
"""A log above this is set aside as ``.1`` at the next start, so that two files of this size are the most."""


@dataclass(frozen=True, slots=True)
class Account:
    """A system user without privileges."""

    name: str
    uid: int
    gid: int


def service_account(name: str) -> Account | None:
    """Return the account that a service should run as: None (our own) unless we are root.

    The account is created when it is missing, as PostgreSQL refuses to run as root and a broker never should.
    """
    if os.geteuid() != 0:
        return None
    failure = "useradd is not installed"
    for _ in range(20):  # useradd fails while another one holds the lock of /etc/passwd
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            pass
        else:
            return Account(name, entry.pw_uid, entry.pw_gid)
        useradd = shutil.which("useradd") or "/usr/sbin/useradd"
        if Path(useradd).exists():
            options = ("--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent")
            command = [useradd, *options, "--shell", "/usr/sbin/nologin", name]
            failure = subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()
        time.sleep(0.1)
    raise ConfigurationError(f"cannot create the system user {name} ({failure}); create it, or run as a normal user")


def permits(account: Account | None, test: str, path: Path) -> bool:
    """Tell whether the account passes ``test`` (as test(1): ``-x``, ``-r``, ``-w``) on the path, parents included."""
    return run(["test", test, str(path)], account=account, folder=Path("/")).returncode == 0


def run(
    command: Sequence[str], *, account: Account | None, folder: Path, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a short command as the account and return its result; the caller judges the exit code."""
    return subprocess.run(
        list(command),
        cwd=folder,
        env=dict(env) if env is not None else None,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def mortal(command: Sequence[str], death: signal.Signals = signal.SIGKILL) -> list[str]:
    """Prefix a command so that the kernel sends it ``death`` when its parent dies, even by SIGKILL.

    setpriv(1) and sh(1) replace themselves by the command, so the process id is the command's. A ``preexec_fn`` could
    do the same, but it runs Python between fork and exec, where a parent with threads can deadlock. The parent is the
    *thread* that starts the child: start children from a thread that lives as long as they should. Whoever dies
    before setpriv has spoken to the kernel is not waited for: the child sees that its parent is another one, and ends.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ConfigurationError("setpriv is missing; install the package util-linux")
    told = [setpriv, "--pdeathsig", death.name.removeprefix("SIG"), "--"]
    return [*told, "/bin/sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid()), *command]


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    folder: Path,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    death: signal.Signals = signal.SIGKILL,
) -> "subprocess.Popen[bytes]":
    """Start a direct child in its own process group (Ctrl-C is for us to hand on), its output appended to ``log``."""
    rotate(log)
    with log.open("ab") as output:
        return subprocess.Popen(
            mortal(command, death),
            cwd=folder,
            env=dict(env) if env is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )


def end(process: "subprocess.Popen[bytes]", *steps: tuple[signal.Signals, float]) -> None:
    """Stop a child: each signal with its patience in seconds, SIGKILL at last; returns when it is gone."""
    for number, patience_s in steps:
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
        return
    process.kill()
    process.wait()


def rotate(log: Path) -> None:
    """Set a log aside when it has grown too long, also while a child writes to it.

    The child goes on appending to the same file, so that file is copied and emptied; a line written between the two
    is lost. On a full disk the log stays as it is, and room is made by the loss of the one set aside before.
    """
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        aside = log.with_name(log.name + ".1")
        try:
            shutil.copyfile(log, aside)
        except OSError:
            aside.unlink(missing_ok=True)
        else:
            os.truncate(log, 0)


def tail(log: Path, lines: int = 12) -> str:
    """Return the last lines of a log, for an error message."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def port_free(port: int) -> bool:
    """Tell whether a server could listen on this port of loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a port of loopback on which nobody listens, and that the system gives to nobody else for a minute.

    The connection of a moment that rests in TIME-WAIT keeps it; a server that asks for the port by number gets it.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address: tuple[str, int] = probe.getsockname()
        with socket.create_connection(address):
            probe.accept()[0].close()
    return address[1]
