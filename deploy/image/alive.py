"""`alive URL [--ray]`: exit 0 where a GET answers 200, for health checks; images need no curl for it.

--ray shows the token in the file that RAY_AUTH_TOKEN_PATH names, as Ray's own dashboard asks for it.
"""

import argparse
import os
import sys
import urllib.request
from http import HTTPStatus
from pathlib import Path

_SECONDS = 4.0


def main() -> int:
    """Exit code; what was wrong is on stderr, where `docker inspect` shows a failed check's words."""
    parser = argparse.ArgumentParser(prog="alive")
    parser.add_argument("url")
    parser.add_argument("--ray", action="store_true")
    given = parser.parse_args()
    headers = {}
    try:
        if given.ray:
            token = Path(os.environ["RAY_AUTH_TOKEN_PATH"]).read_text(encoding="utf-8").strip()
            headers["Authorization"] = f"Bearer {token}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(given.url, headers=headers), timeout=_SECONDS) as answer:
            return 0 if answer.status == HTTPStatus.OK else 1
    except (KeyError, OSError, ValueError) as error:
        print(f"{given.url}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
