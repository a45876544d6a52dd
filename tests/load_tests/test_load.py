"""The load test's own arithmetic: a rig that measures wrongly is worse than none."""

import asyncio
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RIG = ROOT / "load_tests"


@pytest.fixture
def rig(monkeypatch):
    """The rig's modules, importable as its scripts import one another."""
    monkeypatch.syspath_prepend(str(RIG))
    names = {path.stem for path in RIG.glob("*.py")}
    yield __import__
    for name in names & set(sys.modules):
        del sys.modules[name]


def test_held_back_counts_the_frames_sent_before_a_delivery(rig):
    """A frame that left when two later ones had been sent was held back by two."""
    clients = rig("clients")
    sent_and_seen = [(0.0, 0.001), (0.1, 0.301), (0.2, 0.301), (0.3, 0.301)]
    assert clients.held_back(sent_and_seen, 0.0005) == [0, 2, 1, 0]


@pytest.mark.parametrize(
    ("head", "refused"),
    [
        (b"HTTP/1.1 200 OK\r\nx-sluice-decision: allow\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nx-sluice-decision: block", False),
        (b"HTTP/1.1 200 OK\r\nserver: x\r\nx-sluice-decision: block\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nx-sluice-decision:mask\r\n\r\n", True),
    ],
)
def test_a_refusal_is_told_by_its_head(rig, head, refused):
    """Nothing that a refusal costs is taken for what a clean request costs."""
    assert rig("clients").refused(head) is refused


@pytest.mark.parametrize(
    ("decision", "frames", "end", "lost"),
    [("allow", 20, "[DONE]", 0), ("block", 20, "[DONE]", 1), ("allow", 3, "[DONE]", 1), ("allow", 20, "", 1)],
)
def test_a_stream_that_is_refused_or_cut_short_is_lost(rig, decision, frames, end, lost):
    """A refusal ends as well as a whole answer does, so the end alone says too little."""
    clients, processes = rig("clients"), rig("processes")

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nx-sluice-decision: {decision}\r\nconnection: close\r\n\r\n"
        writer.write((head + 'data: {"a": 1}\n\n' * frames + f"data: {end}\n\n").encode())
        await writer.drain()
        writer.close()

    async def run():
        listening = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        server = processes.Server(f"http://127.0.0.1:{port}", [])
        async with listening:
            return await clients.run_streams(server, 1, 1, "chunks=20;tick=1")

    assert asyncio.run(run()).lost == lost


def test_a_missed_budget_is_a_failure(rig):
    """The run ends with a failure for one value beyond its limit, in either direction."""
    judge = rig("run").judge
    budgets = {"slow": {"what": "w", "unit": "ms", "max": 2.0}, "few": {"what": "w", "unit": "/s", "min": 10.0}}
    assert judge({"slow": 2.0, "few": 10.0}, budgets)[1]
    assert not judge({"slow": 2.1, "few": 10.0}, budgets)[1]
    assert not judge({"slow": 2.0, "few": 9.9}, budgets)[1]


def test_every_budget_is_measured():
    """No line of the budgets can be met by never being measured."""
    benches = sorted((ROOT / "tests" / "filters").glob("bench_*.py"))  # scenarios take over the rows that they print
    source = "".join(path.read_text() for path in [RIG / "scenarios.py", *benches])
    for name in tomllib.loads((RIG / "budgets.toml").read_text()):
        literal = re.sub(r"_100k$", "_{terms // 1000}k", name)
        assert f'"{name}"' in source or f'"{literal}"' in source, name


def test_the_word_list_is_repeatable_and_spares_the_texts(rig):
    """The same seed gives the same terms, and none of them occurs in the clean texts."""
    word_list, texts = rig("word_list"), rig("texts")
    terms = word_list.terms(2000)
    assert terms == word_list.terms(2000)
    assert len(set(terms)) == 2000
    clean = re.sub(r"\W", "", texts.QUESTION + texts.ANSWER)
    assert not [term for term in terms if term in clean]


def test_the_rig_imports_nothing_of_ours():
    """What measures the product must not share code with it."""
    for path in RIG.glob("*.py"):
        assert not re.search(r"^\s*(from|import) (gateway|filters|models)\b", path.read_text(), re.MULTILINE), path.name
