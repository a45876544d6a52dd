"""The spool: what was appended is read back, whatever happened to the process or the file."""

import errno
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import spool
from gateway.spool import SpoolWriter, left_behind, read_segment

PAYLOADS = [b"one", b"two" * 1000, "三".encode()]


def frames(payloads, tmp):
    """The bytes of a segment that holds the payloads."""
    writer = SpoolWriter(tmp)
    writer.append(payloads)
    writer.close()
    data = writer.path.read_bytes()
    writer.path.unlink()
    return data


@given(st.lists(st.binary(min_size=1, max_size=50)), st.integers(min_value=0))
def test_cut_anywhere(payloads, cut):
    """A segment that was cut anywhere gives every whole frame before the cut, and is not called damaged."""
    data = b"".join(spool._HEAD.pack(len(one), spool.zlib.crc32(one)) + one for one in payloads)
    cut %= len(data) + 1
    segment = read_segment(data[:cut])
    ends = [sum(len(one) + 8 for one in payloads[: at + 1]) for at in range(len(payloads))]
    assert segment.payloads == payloads[: sum(end <= cut for end in ends)]
    assert not segment.damaged


def test_damage_inside_costs_one_frame(tmp_path):
    """A flipped bit in a payload costs that frame alone, and is told."""
    data = bytearray(frames(PAYLOADS, tmp_path))
    data[8] ^= 1
    segment = read_segment(bytes(data))
    assert segment.payloads == PAYLOADS[1:]
    assert segment.damaged


def test_impossible_length(tmp_path):
    """A length that no frame has ends the reading, and is told."""
    data = frames(PAYLOADS[:1], tmp_path) + b"\xff" * 8 + b"x"
    segment = read_segment(data)
    assert segment.payloads == PAYLOADS[:1]
    assert segment.damaged


def test_zeros_at_the_end(tmp_path):
    """Zeros that a file system left behind a crash are no frames."""
    segment = read_segment(frames(PAYLOADS, tmp_path) + b"\0" * 4096)
    assert segment.payloads == PAYLOADS
    assert not segment.damaged


def test_in_use_is_not_left_behind(tmp_path):
    """A segment can be drained once its writer has closed it, and then once only."""
    writer = SpoolWriter(tmp_path)
    writer.append(PAYLOADS)
    assert list(left_behind(tmp_path)) == []
    writer.close()
    for segment in left_behind(tmp_path):
        assert segment.read().payloads == PAYLOADS
        assert list(left_behind(tmp_path)) == []
        segment.remove()
    assert list(tmp_path.iterdir()) == []


def test_damaged_is_set_aside(tmp_path):
    """A damaged segment is kept under another name for a person to look at, and not drained again."""
    writer = SpoolWriter(tmp_path)
    writer.append(PAYLOADS)
    writer.close()
    for segment in left_behind(tmp_path):
        segment.remove(damaged=True)
    assert [path.suffix for path in tmp_path.iterdir()] == [".damaged"]
    assert list(left_behind(tmp_path)) == []


def test_killed_writer_leaves_its_segment(tmp_path):
    """A process that was killed holds nothing any more: its segment can be drained at once."""
    code = (
        "import sys, time; from pathlib import Path; from gateway.spool import SpoolWriter\n"
        "SpoolWriter(Path(sys.argv[1])).append([b'mine']); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    process.communicate()
    assert [segment.read().payloads for segment in left_behind(tmp_path)] == [[b"mine"]]


def test_failed_append_is_taken_back(tmp_path, monkeypatch):
    """When the disk is full half way, nothing of the group is read back and the writer is closed."""
    writer = SpoolWriter(tmp_path)
    writer.append([b"kept"])
    write = os.write

    def full(file, data):
        write(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        writer.append([b"lost" * 100])
    monkeypatch.undo()
    assert [segment.read().payloads for segment in left_behind(tmp_path)] == [[b"kept"]]


def test_private(tmp_path):
    """Folder and segments are readable by their owner alone."""
    folder = tmp_path / "spool"
    writer = SpoolWriter(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert writer.path.stat().st_mode & 0o777 == 0o600
    writer.close()
