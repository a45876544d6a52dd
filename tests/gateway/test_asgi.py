import gzip
import zlib

import brotli
import pytest

from gateway.asgi import BodyTooLarge, ClientGone, Request, UnsupportedEncoding, decode

pytestmark = pytest.mark.anyio

RAW = zlib.compressobj(wbits=-15)
TEXT = "文字".encode() * 100


def request(*pieces, headers=(), gone=False):
    """A request whose body comes in pieces."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.disconnect"} if gone else {"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    return Request({"method": "POST", "headers": list(headers)}, receive)


async def test_a_body_is_joined_from_its_pieces():
    """However a body is cut, it is read whole; a header is found by its lower-case name."""
    asked = request(b"ab", b"", b"c", headers=[(b"x-name", b"value")])
    assert await asked.body(3) == b"abc"
    assert asked.header(b"x-name") == b"value"
    assert asked.header(b"absent") == b""


async def test_a_body_over_the_limit_is_not_read_on():
    """One byte more than the limit is too large."""
    with pytest.raises(BodyTooLarge):
        await request(b"ab", b"cd").body(3)


async def test_a_client_that_leaves_is_no_body():
    """Half a body is never judged."""
    with pytest.raises(ClientGone):
        await request(b"ab", gone=True).body(10)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        (b"", TEXT),
        (b"identity", TEXT),
        (b"gzip", gzip.compress(TEXT, mtime=0)),
        (b"GZIP", gzip.compress(TEXT, mtime=0)),
        (b"deflate", zlib.compress(TEXT)),
        (b"deflate", RAW.compress(TEXT) + RAW.flush()),
        (b"br", brotli.compress(TEXT)),
        (b"br, gzip", gzip.compress(brotli.compress(TEXT), mtime=0)),
    ],
)
async def test_known_encodings_are_undone(encoding, data):
    """gzip, deflate with and without its header, br, and one upon the other."""
    assert decode(data, encoding, 10_000) == TEXT


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        (b"zstd", TEXT),
        (b"gzip", b"no gzip"),
        (b"gzip", gzip.compress(TEXT, mtime=0)[:-4]),
        (b"br", brotli.compress(TEXT)[:-2]),
    ],
)
async def test_what_cannot_be_decoded_is_said(encoding, data):
    """Unknown names, foreign bytes and bodies that end too early are no text."""
    with pytest.raises(UnsupportedEncoding, match="gzip, deflate, br"):
        decode(data, encoding, 10_000)


@pytest.mark.parametrize(
    ("encoding", "pack"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress), (b"br", brotli.compress)]
)
async def test_a_bomb_is_stopped_at_the_limit(encoding, pack):
    """Ten megabytes out of a few kilobytes are too large."""
    with pytest.raises(BodyTooLarge):
        decode(pack(b"0" * 10_000_000), encoding, 100_000)
