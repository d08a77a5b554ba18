"""SSH to the board. Host keys are verified, and nothing is trusted on first sight."""

import asyncio
import contextlib
import errno
import os
import re
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from sdq_fpga.deploy.transport import Finished, full_disk
from sdq_fpga.errors import StageError, UserError

__all__ = ["Login", "Ssh", "parse_login"]

T = TypeVar("T")

_FIRST_WAIT_S = 0.2
_CONNECT_S = 20.0
_KEEPALIVE_S = 5
_BLOCK = 1 << 16
_CUT = (
    asyncssh.ConnectionLost,
    asyncssh.ChannelOpenError,
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    ConnectionError,
    TimeoutError,
    asyncio.IncompleteReadError,
    BrokenPipeError,
)


@dataclass(frozen=True)
class Login:
    """Who logs in where, and how.

    Attributes:
        host: name or address.
        user: None for the one in ~/.ssh/config, or this one.
        port: None for the one in ~/.ssh/config, or 22.
        keys: files of private keys; empty for those of ~/.ssh and of the agent.
        known_hosts: file of host keys; None for ~/.ssh/known_hosts.
        password: None not to log in by password.
        own_files: whether ~/.ssh and the agent count.
    """

    host: str
    user: str | None = None
    port: int | None = None
    keys: tuple[Path, ...] = ()
    known_hosts: Path | None = None
    password: str | None = field(default=None, repr=False)
    own_files: bool = True


def parse_login(text: str) -> tuple[str | None, str, int | None]:
    """Reads USER@HOST, HOST or USER@HOST:PORT.

    Returns:
        User, host and port, as far as they are given.

    Raises:
        UserError: it is none of these; a password in it is refused, too.
    """
    found = re.fullmatch(
        r"(?:(?P<user>[\w.-]+)@)?(?P<host>[\w.-]+|\[[0-9a-fA-F:.%\w]+\])(?::(?P<port>\d{1,5}))?",
        text,
    )
    if found is None or found["host"].startswith("-"):
        raise UserError(
            "--board-host is not of the form USER@HOST",
            "give for example xilinx@192.168.2.99; passwords are asked for with --ask-password",
        )
    port = None if found["port"] is None else int(found["port"])
    if port is not None and not 0 < port < 2**16:
        raise UserError(f"{port} is not a port", "give 1..65535")
    return found["user"], found["host"].strip("[]"), port


class Ssh:
    """A connection that comes back when it is cut.

    Args:
        login: who logs in where.
        tries: how often anything is tried; it waits longer each time, 6 s for all of 6.

    Raises:
        UserError: the host is not known, its key is another than is known, or the login fails.
        StageError: it can't be reached.
    """

    def __init__(self, login: Login, tries: int = 6) -> None:
        self.where = login.host if login.user is None else f"{login.user}@{login.host}"
        self._login = login
        self._tries = tries
        self._runner = asyncio.Runner()
        self._connection: asyncssh.SSHClientConnection | None = None
        try:
            self._again(self._connected)
        except BaseException:
            self.close()
            raise

    def execute(self, command: Sequence[str]) -> Finished:
        """Runs a command; again, if the connection is cut before its end is known.

        Raises:
            StageError: the connection can't be kept up.
        """

        async def run() -> Finished:
            connection = await self._connected()
            done = await connection.run(shlex.join(command), check=False, stdin=asyncssh.DEVNULL)
            if done.returncode is None:  # the channel was closed without one
                raise ConnectionResetError(errno.ECONNRESET, "the command's end was not told")
            return Finished(done.returncode, _text(done.stdout), _text(done.stderr))

        return self._again(run)

    def put(self, data: bytes, path: str, sent: Callable[[int], None]) -> None:
        """Writes a file over SFTP; goes on where a cut transfer stopped.

        Raises:
            StageError: the board's disk is full, or the connection can't be kept up.
        """

        async def write() -> None:
            connection = await self._connected()
            async with connection.start_sftp_client() as sftp:
                there = await sftp.getsize(path) if await sftp.exists(path) else 0
                if there is None or there > len(data):
                    there = 0
                async with sftp.open(path, "r+b" if there else "wb") as file:
                    for start in range(there, len(data), _BLOCK):
                        block = data[start : start + _BLOCK]
                        await file.write(block, start)
                        sent(len(block))

        try:
            self._again(write)
        except asyncssh.SFTPError as error:
            if isinstance(error, _full_errors()) or os.strerror(errno.ENOSPC) in error.reason:
                raise full_disk(self.where) from error
            raise StageError(
                f"{path} can't be written on {self.where} ({error.reason})", "see why"
            ) from error

    def get(self, path: str) -> bytes:
        """Reads a file over SFTP.

        Raises:
            StageError: it can't be read, or the connection can't be kept up.
        """

        async def read() -> bytes:
            connection = await self._connected()
            async with connection.start_sftp_client() as sftp, sftp.open(path, "rb") as file:
                content: bytes = await file.read()
                return content

        try:
            return self._again(read)
        except asyncssh.SFTPError as error:
            raise StageError(
                f"{path} can't be read on {self.where} ({error.reason})", "try again"
            ) from error

    def close(self) -> None:
        """Ends the connection."""
        with contextlib.suppress(Exception):
            self._runner.run(self._drop())
        self._runner.close()

    async def _connected(self) -> asyncssh.SSHClientConnection:
        if self._connection is None:
            self._connection = await asyncio.wait_for(self._connect(), _CONNECT_S)
        return self._connection

    async def _connect(self) -> asyncssh.SSHClientConnection:
        login = self._login
        options: dict[str, Any] = {"keepalive_interval": _KEEPALIVE_S, "keepalive_count_max": 3}
        if login.user is not None:
            options["username"] = login.user
        if login.port is not None:
            options["port"] = login.port
        if login.known_hosts is not None:
            options["known_hosts"] = str(login.known_hosts)
        if login.keys:
            options["client_keys"] = [str(path) for path in login.keys]
        if login.password is not None:
            options["password"] = login.password
        if not login.own_files:
            options |= {"config": None, "agent_path": None, "gss_host": None}
        try:
            return await asyncssh.connect(login.host, **options)
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
            raise
        except ValueError as error:
            raise UserError(
                f"the settings of SSH can't be read ({error})",
                "correct ~/.ssh/config, or the file of known hosts",
            ) from error

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
            with contextlib.suppress(Exception):
                await connection.wait_closed()

    def _again(self, act: Callable[[], Awaitable[T]]) -> T:
        """Does something; after a cut, connects and does it again."""
        wait, cut = _FIRST_WAIT_S, ""
        for _ in range(self._tries):
            if cut:
                time.sleep(wait)
                wait *= 2
            try:
                return self._runner.run(_call(act))
            except asyncssh.HostKeyNotVerifiable as error:
                raise UserError(
                    f"the host key of {self._login.host} is not the known one ({error.reason})",
                    "connect once with ssh and compare its fingerprint with the board's, or, if "
                    "the key is known to have changed, remove the old one with ssh-keygen -R",
                ) from error
            except asyncssh.PermissionDenied as error:
                raise UserError(
                    f"{self.where} does not let you in ({error.reason})",
                    "give a key with --identity, load it into the agent, or use --ask-password",
                ) from error
            except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
                raise UserError(
                    f"the key can't be used ({error})", "give another, or load it into the agent"
                ) from error
            except _CUT as error:
                cut = str(error) or type(error).__name__
            except asyncssh.DisconnectError as error:
                cut = error.reason
            except OSError as error:
                cut = error.strerror or str(error)
            self._runner.run(self._drop())
        raise StageError(
            f"{self.where} can't be reached ({cut})",
            "see whether the board is on, and its address right; the same command goes on",
        )


async def _call(act: Callable[[], Awaitable[T]]) -> T:
    return await act()


def _text(said: bytes | str | None) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said or ""


def _full_errors() -> tuple[type[Exception], ...]:
    return (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)
