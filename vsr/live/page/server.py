"""Serves the page of one stream or of several, on a thread of its own. Pictures are made only while somebody looks at them."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import re
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from vsr.core.errors import ConfigError, MissingDependencyError, VsrError, reason
from vsr.core.extras import install
from vsr.live.page.metrics import CONTENT_TYPE, exposition
from vsr.live.page.viewers import MOST_WIDTH, Streams, Viewed, Viewer

if TYPE_CHECKING:
    from aiohttp import web

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FILES = Path(__file__).parent / "files"
_TYPES = {"index.html": "text/html", "page.js": "text/javascript", "page.css": "text/css"}
_FIGURES_S = 0.5
_CLOSE_S = 3.0
# Most connections at a time: they use descriptors that the stream's files and sockets need, too.
_MOST_CONNECTIONS = 64
# A connection without a request with the token is closed after this time.
_STRANGER_S = 10.0
# A picture for whoever asked for one comes within this time, or there is none.
_SNAPSHOT_S = 3.0


def parse_listen(text: str) -> tuple[str, int]:
    """(host, port) of `[host]:port`; the host is this machine unless it is given. Raises ConfigError."""
    match = re.fullmatch(r"(?:(\[[0-9a-fA-F:.]+\]|[^:\[\]]*):)?(\d{1,5})", text)
    if match is None or int(match[2]) > 65535:
        raise ConfigError(
            f"{text!r} is not an address to listen at", hint="write it like :8080 or 0.0.0.0:8080"
        )
    return (match[1] or "127.0.0.1").strip("[]"), int(match[2])


class PageServer:
    """Listens from its construction on. `port` is its port, `url` its address for a browser."""

    def __init__(
        self,
        listen: tuple[str, int],
        token: str | None,
        streams: Callable[[], Streams],
        reload: Callable[[], str] | None = None,
    ) -> None:
        """streams: those that there are now. reload: reads their file again, and says what changed.

        Raises ConfigError where it cannot listen there, MissingDependencyError without aiohttp.
        """
        try:
            import aiohttp.web  # noqa: F401 - fails here rather than on the thread
        except ImportError:
            raise MissingDependencyError("--preview needs aiohttp", hint=install("live")) from None
        host, port = listen
        self._token = token
        self._streams = streams
        self._reload = reload
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            raise ConfigError(
                f"cannot listen at {host}:{port}: {reason(error).lower()}", hint="choose another port"
            ) from error
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        # Browsers keep cookies by host, whatever the port. The cookie contains no token, and stays valid after a restart.
        self._cookie = f"vsr-{self.port}"
        self._pass = hmac.digest((token or "").encode(), self._cookie.encode(), "sha256").hex()
        self._only_here = _is_loopback(self._socket.getsockname()[0])
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._drawing = ThreadPoolExecutor(1, "vsr-preview")
        # Connections that have sent no request with the token, the oldest first.
        self._strangers: dict[asyncio.BaseTransport, None] = {}
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="vsr-page", daemon=True)
        self._thread.start()
        self._listening.wait(_CLOSE_S)

    def close(self) -> None:
        """Close all connections, and end."""
        if self._loop is not None and self._ending is not None:
            self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(_CLOSE_S)
        self._drawing.shutdown(wait=False, cancel_futures=True)

    # Serving, on the event loop's thread

    def _serve(self) -> None:
        try:
            asyncio.run(self._main())
        finally:
            self._listening.set()
            self._socket.close()

    async def _main(self) -> None:
        from aiohttp import web

        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guard(request, handler)

        application = web.Application(middlewares=[guard])
        application.router.add_get("/healthz", self._health)
        application.router.add_get("/status", self._status)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/live", self._live)
        application.router.add_get("/snapshot.jpg", self._snapshot)
        application.router.add_post("/reload", self._read_again)
        application.router.add_get("/", self._file)
        application.router.add_get("/{name}", self._file)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0, keepalive_timeout=15.0)
        await runner.setup()
        assert runner.server is not None
        accepting = asyncio.ensure_future(self._accept(runner.server))
        self._listening.set()
        await self._ending.wait()
        accepting.cancel()
        await runner.cleanup()

    async def _accept(self, server: web.Server) -> None:
        """Let connections in, up to a number; a new one takes the place of the oldest stranger."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._socket)
            except OSError:  # No descriptor is left, or the client has gone already.
                await asyncio.sleep(_FIGURES_S)
                continue
            if len(server.connections) >= _MOST_CONNECTIONS:
                if not self._strangers:
                    connection.close()
                    continue
                self._let_go(next(iter(self._strangers)))
            try:
                transport, _ = await loop.connect_accepted_socket(server, connection)
            except OSError:
                connection.close()
                continue
            self._strangers[transport] = None
            loop.call_later(_STRANGER_S, self._let_go, transport)

    def _let_go(self, transport: asyncio.BaseTransport) -> None:
        if transport in self._strangers:
            del self._strangers[transport]
            assert isinstance(transport, asyncio.Transport)
            transport.abort()

    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse requests without the token, where there is one, and requests from other sites' pages."""
        from aiohttp import web

        host = request.host.rpartition(":")[0] if re.search(r":\d+$", request.host) else request.host
        if self._only_here and host.strip("[]") != "localhost" and not _is_loopback(host.strip("[]")):
            raise web.HTTPForbidden(text="this page is for this machine\n")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.host:
            raise web.HTTPForbidden(text="asked for by another site\n")
        if self._token is not None and request.path == "/healthz":
            return await handler(request)
        asked = request.query.get("token", "")
        if self._token is not None:
            bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
            known = _same(request.cookies.get(self._cookie, ""), self._pass)
            if not (known or _same(asked, self._token) or _same(bearer, self._token)):
                raise web.HTTPUnauthorized(text="the token is missing or wrong: open /?token=...\n")
        if request.transport is not None:
            self._strangers.pop(request.transport, None)
        response = await handler(request)
        if self._token is not None and asked and not response.prepared:
            response.set_cookie(self._cookie, self._pass, httponly=True, samesite="Strict")
        return response

    async def _file(self, request: web.Request) -> web.Response:
        from aiohttp import web

        name = request.match_info.get("name", "index.html")
        if name not in _TYPES:
            raise web.HTTPNotFound
        text = (_FILES / name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=_TYPES[name], headers={"Cache-Control": "no-cache"})

    def _asked(self, request: web.Request) -> tuple[str, Viewed] | None:
        """The stream that is asked for; None for all. One alone need not be named."""
        from aiohttp import web

        streams, name = self._streams(), request.query.get("stream")
        if name is None:
            return ("", streams[""]) if "" in streams else None
        if name not in streams:
            raise web.HTTPNotFound(text="no stream has that name\n")
        return name, streams[name]

    async def _health(self, request: web.Request) -> web.Response:
        from aiohttp import web

        asked = self._asked(request)
        streams = {"": asked[1]} if asked is not None else self._streams()
        reports = {name: stream.report() for name, stream in streams.items()}
        well = all(report.health.well for report in reports.values())
        said = [
            f"{name}: {text}" if name else text
            for name, report in reports.items()
            for text in ([report.state] if report.health.well else report.health.why_not)
        ]
        return web.Response(text="\n".join(said) + "\n", status=200 if well else 503)

    async def _status(self, request: web.Request) -> web.Response:
        from aiohttp import web

        asked = self._asked(request)
        if asked is not None:
            return web.json_response(asked[1].report().as_dict())
        reports = {name: stream.report().as_dict() for name, stream in self._streams().items()}
        return web.json_response({"streams": reports})

    async def _metrics(self, request: web.Request) -> web.Response:
        from aiohttp import web

        asked = self._asked(request)
        streams = dict([asked]) if asked is not None else self._streams()
        text = exposition({name: stream.report() for name, stream in streams.items()})
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _read_again(self, request: web.Request) -> web.Response:
        """Read the file of streams again. 422 with the faults, if it has some."""
        from aiohttp import web

        if self._reload is None:
            raise web.HTTPNotFound(text="the streams are from no file\n")
        if self._token is None:
            raise web.HTTPForbidden(text="the page has no token: set one, or send SIGHUP\n")
        try:
            said = await asyncio.get_running_loop().run_in_executor(None, self._reload)
        except VsrError as error:
            return web.Response(text=f"{error.message}\n", status=422)
        return web.Response(text=f"{said}\n")

    async def _snapshot(self, request: web.Request) -> web.Response:
        """One picture, as JPEG: `before` or after, `width` pixels wide at most."""
        from aiohttp import web

        asked = self._asked(request)
        if asked is None:
            raise web.HTTPNotFound(text="name a stream: /snapshot.jpg?stream=...\n")
        width = request.query.get("width", str(MOST_WIDTH))
        if not re.fullmatch(r"[1-9]\d{0,4}", width):
            raise web.HTTPBadRequest(text="width is a number of pixels\n")
        which = int("before" not in request.query)
        with Viewer(self._drawing).looking(asked[1].watchers) as viewer:
            try:
                picture = await asyncio.wait_for(viewer.one(which, int(width)), _SNAPSHOT_S)
            except TimeoutError:
                said = f"no picture within {_SNAPSHOT_S:g} s, {asked[1].report().state}\n"
                raise web.HTTPServiceUnavailable(text=said) from None
        return web.Response(body=picture, content_type="image/jpeg", headers={"Cache-Control": "no-store"})

    async def _live(self, request: web.Request) -> web.WebSocketResponse:
        """Pictures as binary messages (length of the first JPEG, the first, the second), figures as text."""
        from aiohttp import web

        asked = self._asked(request)
        if asked is None:
            raise web.HTTPNotFound(text="name a stream: /live?stream=...\n")
        live = web.WebSocketResponse(heartbeat=10, compress=False)
        await live.prepare(request)
        assert self._ending is not None
        with Viewer(self._drawing).looking(asked[1].watchers) as viewer:
            tasks = [
                asyncio.ensure_future(work)
                for work in (
                    _send_pictures(live, viewer),
                    self._send_figures(live, *asked),
                    self._ending.wait(),
                    _until_closed(live),
                )
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await live.close()
        return live

    async def _send_figures(self, live: web.WebSocketResponse, name: str, stream: Viewed) -> None:
        """Until a reload takes the stream away."""
        while self._streams().get(name) is stream:
            await live.send_str(json.dumps(stream.report().as_dict()))
            await asyncio.sleep(_FIGURES_S)


async def _send_pictures(live: web.WebSocketResponse, viewer: Viewer) -> None:
    """A slow client gets the newest pictures when it is ready for them."""
    while True:
        await live.send_bytes(await viewer.both())


def _same(given: str, right: str) -> bool:
    """Compared in a time that says nothing. Headers may hold any bytes."""
    return hmac.compare_digest(given.encode(errors="surrogateescape"), right.encode())


async def _until_closed(live: web.WebSocketResponse) -> None:
    async for _ in live:
        pass


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
