"""A socket in front of PostgreSQL that lets the answer to a COMMIT get lost."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.postgres import PORT

_NAME = f".s.PGSQL.{PORT}"


class Cut:
    """Passes everything on. Once armed it passes on one more COMMIT and cuts the line before the answer."""

    def __init__(self, server: Path, front: Path) -> None:
        self.armed = False
        self.happened = threading.Event()
        self._server = server
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(front / _NAME))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server / _NAME))
            self._sockets += [client, server]
            cut = threading.Event()
            threading.Thread(target=self._ask, args=(client, server, cut), daemon=True).start()
            threading.Thread(target=self._answer, args=(client, server, cut), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self.armed and b"COMMIT\0" in data:
                    self.armed = False
                    cut.set()
                server.sendall(data)
        _hang_up(server)

    def _answer(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if cut.is_set():
                    # The server has answered, so the commit is durable there; nobody here learns of it.
                    self.happened.set()
                    break
                client.sendall(data)
        _hang_up(client)

    def close(self) -> None:
        """Hang up everywhere."""
        for each in (self._listener, *self._sockets):
            _hang_up(each)
            each.close()


def _hang_up(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting(server: Path, front: Path) -> Iterator[Cut]:
    """A cut in front of the server's socket directory, listening in another directory."""
    cut = Cut(server, front)
    try:
        yield cut
    finally:
        cut.close()
