"""Undoing content encodings, piece by piece."""

import gzip
import zlib

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decoding import PIECE, CannotDecode, Decoding

PACK = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": brotli.compress,
    b"gzip, br": lambda data: brotli.compress(gzip.compress(data)),
    b"identity": bytes,
    b"": bytes,
}


def bare(data):
    """Deflate without zlib's frame, as some servers send it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def undone(name, data, size):
    """The decoded bytes of data that comes in pieces of a size."""
    decoding = Decoding(name)
    out = b"".join(piece for start in range(0, len(data), size) for piece in decoding.feed(data[start : start + size]))
    decoding.finish()
    return out


@given(st.sampled_from(sorted(PACK)), st.binary(max_size=500), st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_every_encoding_in_every_cut(name, data, size):
    """What was packed comes back, however it is cut."""
    assert undone(name, PACK[name](data), size) == data


@given(st.binary(min_size=1, max_size=200), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_lenient_forms_are_read_as_everybody_reads_them(data, size):
    """Bare deflate, several gzip members and their padding are no way to show two readers two bodies."""
    assert undone(b"deflate", bare(data), size) == data
    assert undone(b"gzip", gzip.compress(data) + gzip.compress(data) + b"\0\0", size) == data * 2


@pytest.mark.parametrize("name", [b"gzip", b"deflate", b"br"])
@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 40 * PIECE + 7])
def test_long_bodies_come_out_whole(name, size):
    """Neither a full piece nor a highly packed one loses or ends anything."""
    data = b"\0" * size
    assert undone(name, PACK[name](data), 1 << 20) == data
    assert undone(name, PACK[name](data), 7) == data


@pytest.mark.parametrize("name", [b"gzip", b"deflate", b"br"])
def test_what_ends_early_or_is_broken(name):
    """Half a body is an error and never a short text; so are bytes in another encoding."""
    packed = PACK[name](b"some text that is long enough to be packed " * 9)
    with pytest.raises(CannotDecode):
        undone(name, packed[:-5], 10)
    with pytest.raises(CannotDecode):
        undone(name, b"\xff\xfe\xfd garbage that is in no encoding", 10)


@pytest.mark.parametrize("name", [b"zstd", b"compress", b"gzip, gzip, gzip, gzip", b"x"])
def test_unknown_encodings(name):
    """An encoding that cannot be undone is refused before a byte is read."""
    with pytest.raises(CannotDecode):
        Decoding(name)


@pytest.mark.parametrize("name", [b"gzip", b"br", b"gzip, br"])
def test_a_bomb_comes_out_in_small_pieces(name):
    """A caller that stops at its limit never holds more than one piece past it."""
    bomb = PACK[name](b"\0" * 20_000_000)
    total = 0
    for piece in Decoding(name).feed(bomb):
        assert len(piece) <= 2 * PIECE
        total += len(piece)
        if total > 1_000_000:
            break
    assert total < 1_000_000 + 2 * PIECE
