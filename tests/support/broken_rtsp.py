"""An RTSP server that answers late, badly, or not at all, until it is told to be what is behind it.

python -m tests.support.broken_rtsp PORT [--hang METHOD] [--late S] [--answer STATUS] [--garbage] [--then PORT]

--hang: from that method on, nothing is answered; CONNECT: from the start. --late: each answer comes after so long.
--answer: what is said to all but OPTIONS, as in "404 Not Found" or "302 Moved; Location: rtsp://...". --garbage: what is
said is not RTSP. --then: once it is told "relay", connections that come are carried on to that port.
Prints "ready", then the method and address of each request.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import socketserver
import sys
import threading
import time

from tests.support.children import Child, free_port
from tests.support.link import carry
from tests.support.processes import until

_METHODS = "OPTIONS, DESCRIBE, ANNOUNCE, SETUP, PLAY, RECORD, TEARDOWN"


class BrokenRtsp(Child):
    """A context manager; `lines` are the requests that it reported so far."""

    def __init__(self, *arguments: object) -> None:
        port = free_port()
        words = ["-m", "tests.support.broken_rtsp", str(port), *map(str, arguments)]
        super().__init__([sys.executable, *words], port)

    def url(self, path: str = "live", login: str = "") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}/{path}"

    def methods(self, count: int) -> list[str]:
        """The methods of its requests, once there are `count`: a client may have its answer before the request is read here."""
        until(lambda: len(self.lines) >= count, f"{count} requests did not come: {self.lines}")
        return [line.split()[0] for line in self.lines]


class _Peer(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        asked = server.asked
        if server.relays.is_set():
            with socket.create_connection(("127.0.0.1", asked.then)) as behind:
                carry(self.connection, behind, lambda data: data, 0.0)
            return
        while (line := self.rfile.readline().decode(errors="replace").strip()) and asked.hang != "CONNECT":
            method = line.split()[0]
            headers = {}
            while field := self.rfile.readline().decode(errors="replace").strip():
                name, _, value = field.partition(":")
                headers[name.lower()] = value.strip()
            self.rfile.read(int(headers.get("content-length", 0)))
            print(*line.split()[:2], flush=True)
            time.sleep(asked.late)
            if method == asked.hang:
                break
            self._answer(method, headers.get("cseq", "1"))
        # Connected, and silent.
        with contextlib.suppress(OSError):
            while self.connection.recv(4096):
                pass

    def _answer(self, method: str, number: str) -> None:
        server = self.server
        assert isinstance(server, _Server)
        if server.asked.garbage:
            self.wfile.write(b"\x00\xffHello.\r\n" * 20)
            return
        if method == "OPTIONS":
            status, more = "200 OK", f"Public: {_METHODS}"
        else:
            status, _, more = server.asked.answer.partition("; ")
        fields = [f"RTSP/1.0 {status}", f"CSeq: {number}", *([more] if more else []), "", ""]
        self.wfile.write("\r\n".join(fields).encode())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, asked: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", asked.port), _Peer)
        self.asked = asked
        self.relays = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever hangs up is no error."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--hang", default="")
    parser.add_argument("--late", type=float, default=0.0)
    parser.add_argument("--answer", default="500 Internal Server Error")
    parser.add_argument("--garbage", action="store_true")
    parser.add_argument("--then", type=int)
    with _Server(parser.parse_args()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print("ready", flush=True)
        for line in sys.stdin:
            if line.strip() == "relay":
                server.relays.set()
            print("heard", flush=True)


if __name__ == "__main__":
    main()
