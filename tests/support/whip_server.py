"""A server that takes streams by WHIP, by aiortc: whip_server.py PORT. It prints "ready", then a line for each frame."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

connections: set[Any] = set()
tasks: set[asyncio.Task[None]] = set()


async def read(track: Any) -> None:
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            print(track.kind, "end", flush=True)
            return
        of = f"{frame.width}x{frame.height}" if track.kind == "video" else f"{frame.sample_rate}"
        print(track.kind, of, flush=True)


async def publish(request: web.Request) -> web.Response:
    connection = RTCPeerConnection()
    connections.add(connection)
    connection.on("track", lambda track: tasks.add(asyncio.ensure_future(read(track))))
    await connection.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    answer = connection.localDescription.sdp
    headers = {"Location": "/whip/1"}
    return web.Response(status=201, text=answer, content_type="application/sdp", headers=headers)


async def end(_request: web.Request) -> web.Response:
    for connection in connections:
        await connection.close()
    return web.Response()


async def ready(_application: web.Application) -> None:
    print("ready", flush=True)


application = web.Application()
application.router.add_post("/whip", publish)
application.router.add_delete("/whip/1", end)
application.on_startup.append(ready)
web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=None)
