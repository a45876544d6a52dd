"""The container's health check: does the data plane answer? Standard library only."""  # noqa: INP001 - a script, no package

import http.client
import os
import sys


def healthy(host: str, port: int) -> bool:
    """Whether ``GET /healthz`` answers 200 within three seconds."""
    connection = http.client.HTTPConnection(host, port, timeout=3)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if healthy("127.0.0.1", int(os.environ.get("SLUICE_PORT") or "8080")) else 1)
