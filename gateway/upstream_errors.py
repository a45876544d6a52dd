"""How a request to the model API can fail; each says how far it came."""

from __future__ import annotations


class UpstreamError(Exception):
    """The upstream did not answer as an HTTP server does."""

    status = 502
    kind = "broken"
    code = "upstream_error"


class UpstreamUnreachable(UpstreamError):  # noqa: N818 - names what happened
    """No connection; nothing was sent."""

    kind = "unreachable"
    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):  # noqa: N818 - the same
    """No connection, or no byte, in time."""

    status = 504
    kind = "timeout"
    code = "upstream_timeout"


class UpstreamBroken(UpstreamError):  # noqa: N818 - the same
    """The connection ended before the answer did, or what came is not HTTP."""
