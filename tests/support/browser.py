"""A real browser, headless Chromium, spoken to as WebDriver has it (W3C), without another library."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

needs_chromium = pytest.mark.skipif(
    shutil.which("chromium") is None or shutil.which("chromedriver") is None,
    reason="needs Debian's chromium and chromium-driver",
)

_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,1000",
]


class Page:
    """One tab."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, url: str) -> None:
        _ask(f"{self._session}/url", {"url": url})

    def run(self, script: str, *args: Any) -> Any:
        """What the script returns."""
        return _ask(f"{self._session}/execute/sync", {"script": script, "args": list(args)})

    def drag(self, x: int, y: int, to_x: int) -> None:
        """Press the mouse at x, y, move it and let go."""
        moves = [
            {"type": "pointerMove", "x": x, "y": y, "duration": 0},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerMove", "x": to_x, "y": y, "duration": 50},
            {"type": "pointerUp", "button": 0},
        ]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": moves}
        _ask(f"{self._session}/actions", {"actions": [mouse]})

    def press(self, key: str) -> None:
        """Press a key and let go."""
        moves = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        _ask(f"{self._session}/actions", {"actions": [{"type": "key", "id": "keys", "actions": moves}]})

    def resize(self, width: int, height: int) -> None:
        """Make the window as large as that."""
        _ask(f"{self._session}/window/rect", {"width": width, "height": height})

    def screenshot(self) -> bytes:
        """A PNG of what is seen."""
        return base64.b64decode(_ask(f"{self._session}/screenshot"))


def _ask(url: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["value"]


@contextmanager
def browser(profile: Path) -> Generator[Page]:
    """A browser with a new profile in that folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}", "--silent"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    base = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                _ask(f"{base}/status")
                break
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < deadline, "chromedriver does not come up"
                time.sleep(0.05)
        wanted = {"goog:chromeOptions": {"args": [*_ARGUMENTS, f"--user-data-dir={profile}"]}}
        session = _ask(f"{base}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        try:
            yield Page(f"{base}/session/{session}")
        finally:
            _ask(f"{base}/session/{session}", method="DELETE")
    finally:
        driver.terminate()
        driver.wait(10)
