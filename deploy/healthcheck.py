"""The health check of the image: asks the server in the container whether it lives. Needs nothing but Python."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

PATIENCE = 4.0
"""Seconds; less than the time-out of the image's HEALTHCHECK."""


def main() -> int:
    """Return 0 if the server answers, 1 otherwise."""
    url = f"http://127.0.0.1:{os.environ.get('WELLKEPT_PORT', '8420')}/health/live"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PATIENCE) as answer:
            return 0 if answer.status == 200 else 1
    except (urllib.error.URLError, OSError) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
