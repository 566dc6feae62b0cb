"""A network between a machine and the database server, which a test can cut."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from tests.postgres.server import free_port

COMMIT = b"COMMIT"


class Proxy:
    """Passes connections on to a port of this machine, until the test cuts or freezes them.

    Args:
        target: the port of the server.
    """

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._moving = threading.Event()
        self._moving.set()
        self._refuses = False
        self._cut_at: Callable[[bytes], bool] | None = None
        self._cut_at_answer_of: bytes | None = None
        self._cuts_next_answer = False
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Cut all connections; new ones are possible."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                _close(end)

    def cut_before(self, text: bytes) -> None:
        """Cut all connections when the machine next sends this text, before it reaches the server."""
        self._cut_at = lambda piece: text in piece

    def cut_after(self, text: bytes) -> None:
        """Cut all connections when the machine next sends this text, as soon as the server has answered."""
        self._cut_at_answer_of = text

    def refuse(self) -> None:
        """Cut all connections, and refuse new ones until `accept_again`."""
        self._refuses = True
        self.cut()

    def accept_again(self) -> None:
        self._refuses = False

    def freeze(self) -> None:
        """Pass nothing on any more: the connections are half open."""
        self._moving.clear()

    def close(self) -> None:
        self._moving.set()
        _close(self._listener)
        self.refuse()

    def _accept(self) -> None:
        while True:
            try:
                machine, _ = self._listener.accept()
            except OSError:
                return
            if self._refuses:
                _close(machine)
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                _close(machine)
                continue
            with self._lock:
                self._pairs.append((machine, server))
            for source, sink, is_machine in ((machine, server, True), (server, machine, False)):
                threading.Thread(target=self._pass_on, args=(source, sink, is_machine), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_machine: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                self._moving.wait()
                if is_machine and self._cut_at is not None and self._cut_at(piece):
                    self._cut_at = None
                    self.cut()
                    return
                if is_machine and self._cut_at_answer_of is not None and self._cut_at_answer_of in piece:
                    self._cut_at_answer_of, self._cuts_next_answer = None, True
                elif not is_machine and self._cuts_next_answer:
                    self._cuts_next_answer = False
                    self.cut()
                    return
                sink.sendall(piece)
        _close(source)
        _close(sink)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
