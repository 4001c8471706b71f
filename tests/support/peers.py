"""Servers that answer badly or not at all, and a link that is slow or stands still."""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def peer(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server whose connections are given to `serve`, each on a thread. All are closed in the end."""
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            serve(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connections.append(listening.accept()[0])
                threads.append(threading.Thread(target=one, args=(connections[-1],), daemon=True))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        # What it has not read yet waits on our side.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield listening.getsockname()[1]
        finally:
            for each in (listening, *connections):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
            for thread in (acceptor, *threads):
                thread.join(10)


def says_nothing(connection: socket.socket) -> None:
    """Reads, and never answers."""
    while connection.recv(4096):
        pass


def answers_options(connection: socket.socket) -> None:
    """Answers RTSP's OPTIONS, and nothing after it."""
    asked = b""
    while more := connection.recv(4096):
        asked += more
        number = re.search(rb"OPTIONS .*CSeq: *(\d+)\r\n", asked, re.DOTALL)
        if number and b"\r\n\r\n" in asked:
            public = b"OPTIONS, ANNOUNCE, SETUP, RECORD, TEARDOWN"
            connection.sendall(b"RTSP/1.0 200 OK\r\nCSeq: %s\r\nPublic: %s\r\n\r\n" % (number[1], public))
            asked = b""


class Link:
    """A way to a port of this machine that takes `delay_s` in each direction; while it is `held`, nothing is read from us."""

    def __init__(self, port: int, delay_s: float = 0.0) -> None:
        self._port = port
        self._delay_s = delay_s
        self._passes = threading.Event()
        self._passes.set()

    def hold(self) -> None:
        self._passes.clear()

    def let_go(self) -> None:
        self._passes.set()

    def serve(self, near: socket.socket) -> None:
        """For `peer`."""
        with socket.create_connection(("127.0.0.1", self._port)) as far:
            back = threading.Thread(target=self._carry, args=(far, near), daemon=True)
            back.start()
            self._carry(near, far)
            back.join(10)

    def _carry(self, here: socket.socket, there: socket.socket) -> None:
        under_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

        def arrive() -> None:
            with contextlib.suppress(OSError):
                while True:
                    at, data = under_way.get()
                    time.sleep(max(0.0, at - time.monotonic()))
                    if not data:
                        there.shutdown(socket.SHUT_WR)
                        return
                    there.sendall(data)

        arrival = threading.Thread(target=arrive, daemon=True)
        arrival.start()
        data = b"-"
        while data:
            self._passes.wait(60)
            try:
                data = here.recv(1 << 16)
            except OSError:
                data = b""
            under_way.put((time.monotonic() + self._delay_s, data))
        arrival.join(10)
