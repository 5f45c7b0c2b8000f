"""Says to Docker whether a service is well: exit 0 or 1. `healthy.py URL [PART]`; needs the standard library only.

http: the address answers with success; with PART, the JSON it answers says that this part is healthy.
smtp: a server greets.
"""

import json
import socket
import sys
import urllib.request
from urllib.parse import urlsplit

SECONDS = 8


def is_well(url: str, part: str = "") -> bool:
    """Return whether the service answers as a healthy one does; never raises for one that does not."""
    parts = urlsplit(url)
    try:
        if parts.scheme == "smtp":
            with socket.create_connection(
                (parts.hostname or "", parts.port or 25), timeout=SECONDS
            ) as connection:
                return connection.recv(3) == b"220"  # RFC 5321, section 4.2.2
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=SECONDS) as answer:
            return not part or bool(json.load(answer)[part]["status"] == "healthy")
    except (OSError, ValueError, KeyError, TypeError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_well(*sys.argv[1:]) else 1)
