"""A line that can be cut: forwards TCP, and closes a connection after so many bytes."""

import socket
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sdq_fpga.deploy.ssh import Login


class CutLine:
    """Forwards to the port of a login.

    Args:
        login: where to forward to.
        cuts: for each connection, bytes towards the server after which it is closed; further
            connections stay.
        folder: gets a known_hosts file for this port.
    """

    def __init__(self, login: Login, cuts: list[int], folder: Path) -> None:
        self.cuts = list(cuts)
        self.happened = 0
        self._live: list[socket.socket] = []
        self._target = (login.host, login.port)
        self._socket = socket.create_server(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        known = folder / f"known-{port}"
        known.write_text(login.known_hosts.read_text().replace(f":{login.port} ", f":{port} "))
        self.login = replace(login, port=port, known_hosts=known)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "CutLine":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def cut(self) -> None:
        """Cuts all connections that there are now."""
        for each in self._live:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            self._live += [client, server]
            limit = self.cuts.pop(0) if self.cuts else None
            for pair, most in (((client, server), limit), ((server, client), None)):
                threading.Thread(target=self._forward, args=(*pair, most), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(4096):
                passed += len(data)
                if limit is not None and passed > limit:
                    self.happened += 1
                    break
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
