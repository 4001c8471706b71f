"""A web server on this machine that gives a file, or breaks off in the middle of it."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def served(path: Path, *, sent: float = 1.0, times: float = math.inf, busy: str = "") -> Iterator[str]:
    """The file's address; those beside it are served too.

    sent: after which fraction of the file the server closes, the first so many `times`. busy: the name of a file that it does
    not give when it is asked first.
    """
    asked, asked_busy = itertools.count(), itertools.count()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path[1:]
            if name == busy and next(asked_busy) == 0:
                self.send_error(503)
                return
            data = (path.parent / name).read_bytes()
            given = self.headers.get("Range", "bytes=0-")
            first = int(given.removeprefix("bytes=").partition("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - first))
            self.end_headers()
            self.wfile.write(data[first : int(len(data) * sent) if next(asked) < times else None])

        def log_message(self, format: str, *args: object) -> None:
            """Not into the tests' output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/{path.name}"
        finally:
            server.shutdown()
            thread.join()
