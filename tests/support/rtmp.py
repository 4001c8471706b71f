"""nginx as an RTMP server, which relays what is published to it."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.children import free_port
from tests.support.processes import started, until

_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
_CONFIG = """
load_module {module};
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/errors info;
events {{ worker_connections 64; }}
rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; idle_streams off; }} }} }}
"""

needs_rtmp_server = pytest.mark.skipif(
    shutil.which("nginx") is None or not _MODULE.exists(), reason="needs Debian's nginx and libnginx-mod-rtmp"
)


@contextmanager
def rtmp_server(folder: Path) -> Iterator[str]:
    """Its address, to which a stream's name is added. folder: for nginx's files."""
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(module=_MODULE, folder=folder, port=port))
    with started("nginx", "-p", folder, "-c", config, "-e", folder / "errors"):
        until(lambda: _listens(port))
        yield f"rtmp://127.0.0.1:{port}/live/"


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
