"""The SSH server of an emulated board, on the loopback interface."""

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncssh

from sdq_fpga.deploy.ssh import Login
from sdq_fpga.deploy.transport import Local

__all__ = ["EmulatedBoard"]

_IMAGE = Path(__file__).parent / "image"
_LOOPBACK = "127.0.0.1"
_USER = "xilinx"
_STOP_S = 5.0


class EmulatedBoard:
    """A board's shell and files behind a real SSH server; a context manager.

    Host key and login key are made for it alone; the host key goes into a known_hosts file, so
    that the client verifies it as it would any other.

    Args:
        folder: the board's disk; what was installed stays there.
        python: the Python of the board's environment.
        name: what the board calls itself.

    Attributes:
        login: how to log in; while it runs.
        lock: the lock file of the accelerator.
    """

    login: Login

    def __init__(self, folder: Path, python: Path, name: str) -> None:
        self._folder = folder
        self._home = folder / "home"
        self._python = python
        self._name = name
        self.lock = str(folder / "accelerator.lock")
        self._stop: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    def local(self) -> Local:
        """The board's own shell."""
        self._home.mkdir(parents=True, exist_ok=True)
        return Local(self._home, self._environment())

    def __enter__(self) -> Self:
        self._home.mkdir(parents=True, exist_ok=True)
        self._keys = Path(tempfile.mkdtemp(prefix="keys-", dir=self._folder))
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        self._thread.join(_STOP_S)
        shutil.rmtree(self._keys)

    async def _serve(self) -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = await self._listen()
        except BaseException as error:
            self._failure = error
            self._ready.set()
            return
        self._stop = lambda: loop.call_soon_threadsafe(stopped.set)
        self._ready.set()
        async with server:
            await stopped.wait()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        user_key = asyncssh.generate_private_key("ssh-ed25519")
        key_file = self._keys / "id_ed25519"
        key_file.touch(mode=0o600)
        key_file.write_bytes(user_key.export_private_key())
        allowed = self._keys / "authorized_keys"
        allowed.write_bytes(user_key.export_public_key())
        server = await asyncssh.listen(
            _LOOPBACK,
            0,
            server_host_keys=[host_key],
            authorized_client_keys=str(allowed),
            process_factory=self._run,
            sftp_factory=lambda channel: asyncssh.SFTPServer(
                channel, chroot=os.fsencode(self._home)
            ),
            encoding=None,
            gss_host=None,
        )
        port = server.get_port()
        known = self._keys / "known_hosts"
        public = host_key.export_public_key().decode().strip()
        known.write_text(f"[{_LOOPBACK}]:{port} {public}\n", encoding="utf-8")
        self.login = Login(
            _LOOPBACK, _USER, port, keys=(key_file,), known_hosts=known, own_files=False
        )
        return server

    async def _run(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        """Runs a command as sshd does: by the shell, in the home directory."""
        if process.command is None:
            process.stderr.write(b"this board has no interactive shell\n")
            process.exit(1)
            return
        child = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            process.command,
            cwd=self._home,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await child.communicate()
        with contextlib.suppress(OSError):  # the client may have gone
            process.stdout.write(out)
            process.stderr.write(err)
            process.exit(child.returncode or 0)

    def _environment(self) -> dict[str, str]:
        """Variables of a login shell on the board, and none of ours."""
        return {
            "HOME": str(self._home),
            "USER": _USER,
            "LOGNAME": _USER,
            "LANG": "C.UTF-8",
            "PATH": f"{self._python.parent}:/usr/bin:/bin",
            "PYTHONPATH": str(_IMAGE),
            "MPLCONFIGDIR": str(self._home),
            "BOARD": self._name,
        }
