"""A link to a server on this machine that is slow, or changes what passes.

python -m tests.support.link PORT BACKEND [--delay S] [--without-parameter-sets] [--rtp]

--delay: each byte comes so much later, each way. --without-parameter-sets: the SDP of what passes tells no SPS and PPS. --rtp:
takes lines that edit RTP within RTSP's TCP connection; see tests.support.rtp.
Prints "ready" once it listens. `freeze` holds all that passes up, and loses nothing of it.
"""

from __future__ import annotations

import argparse
import contextlib
import queue
import re
import socket
import sys
import threading
import time
from collections.abc import Callable

from tests.support.children import Child, free_port
from tests.support.rtp import Edits, Interleaved


class Link(Child):
    """A context manager."""

    def __init__(self, backend: int, *arguments: object) -> None:
        port = free_port()
        words = ["-m", "tests.support.link", str(port), str(backend), *map(str, arguments)]
        super().__init__([sys.executable, *words], port)


def carry(
    client: socket.socket, server: socket.socket, edit: Callable[[bytes], bytes], delay_s: float
) -> None:
    """Carry bytes both ways until both sides have ended. edit: of what the server says."""
    back = threading.Thread(target=_pump, args=(server, client, edit, delay_s))
    back.start()
    _pump(client, server, lambda data: data, delay_s)
    back.join()


def _pump(giver: socket.socket, taker: socket.socket, edit: Callable[[bytes], bytes], delay_s: float) -> None:
    waiting: queue.Queue[tuple[float, bytes]] = queue.Queue()
    sender = threading.Thread(target=_send, args=(waiting, taker, giver))
    sender.start()
    with contextlib.suppress(OSError):
        while data := giver.recv(65536):
            waiting.put((time.monotonic() + delay_s, edit(data)))
    waiting.put((time.monotonic() + delay_s, b""))
    sender.join()


def _send(waiting: queue.Queue[tuple[float, bytes]], taker: socket.socket, giver: socket.socket) -> None:
    try:
        while True:
            due, data = waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                taker.shutdown(socket.SHUT_WR)
                return
            taker.sendall(data)
    except OSError:
        with contextlib.suppress(OSError):
            giver.shutdown(socket.SHUT_RDWR)


def _without_parameter_sets(data: bytes) -> bytes:
    head, blank, body = data.partition(b"\r\n\r\n")
    if b"sprop-parameter-sets" not in body:
        return data
    body = re.sub(rb";?sprop-parameter-sets=[^;\r\n]*", b"", body)
    head = re.sub(rb"(?i)(Content-Length): \d+", rb"\1: %d" % len(body), head)
    return head + blank + body


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("backend", type=int)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--without-parameter-sets", action="store_true")
    parser.add_argument("--rtp", action="store_true")
    asked = parser.parse_args()
    edits = Edits()

    def serve(client: socket.socket) -> None:
        with (
            client,
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", asked.backend)) as behind,
        ):
            if asked.rtp:
                edit: Callable[[bytes], bytes] = Interleaved(edits).edited
            else:
                edit = _without_parameter_sets if asked.without_parameter_sets else lambda data: data
            carry(client, behind, edit, asked.delay)

    def listen(server: socket.socket) -> None:
        while True:
            client, _ = server.accept()
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", asked.port)) as server:
        threading.Thread(target=listen, args=(server,), daemon=True).start()
        print("ready", flush=True)
        for line in sys.stdin:
            name, value = line.split()
            setattr(edits, name, float(value))
            print("heard", flush=True)


if __name__ == "__main__":
    main()
