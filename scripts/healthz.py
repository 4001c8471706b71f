"""Whether a stream is well, for Docker's HEALTHCHECK: ends with 0 where the page at that port says so, or none is served there.

healthz.py PORT. The port is one of this machine; see "The page" in docs/live.md.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

_TIMEOUT_S = 5.0


def main(port: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=_TIMEOUT_S) as answer:
            print(answer.read().decode().strip())
            return 0
    except urllib.error.HTTPError as error:
        print(error.read().decode().strip())
        return 1
    except (OSError, ValueError) as error:
        if isinstance(getattr(error, "reason", None), ConnectionRefusedError):
            print(f"no page at port {port}")
            return 0
        print(error)
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
