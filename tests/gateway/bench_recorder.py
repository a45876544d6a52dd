"""How many violations a second become durable in an SQLite file; prints one JSON object.

``python tests/gateway/bench_recorder.py [COUNT]``: 50 writers, each waiting for its record before it sends the next.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from gateway.crypto import Cipher
from gateway.recorder import Recorder
from gateway.store import Store
from gateway.store.records import Violation, new_id, now_utc

WRITERS = 50


def violation(number):
    """A record of the usual size."""
    found = {"start": 3, "end": 7, "category": "X.spam", "source": "keyword", "rule": "样例词语", "score": 1.0}
    return Violation(
        id=new_id(),
        decision_id=new_id(),
        created_at=now_utc(),
        direction="output",
        action="block",
        would_action="block",
        categories={"X.spam": 1.0},
        matches=({**found, "action": "block"},),
        excerpt="这是一段摘录，命中的词语前后各有一些文字，好让复核的人看得明白。" * 3,
        api="openai.chat",
        path="/v1/chat/completions",
        model="bench",
        subject=f"sub_{number % 97:032x}",
        ruleset="0123456789abcdef",
    )


async def writer(recorder, numbers, taken):
    """One client: the next record only after the one before is durable."""
    for number in numbers:
        begin = time.perf_counter()
        await recorder.record(violation(number))
        taken.append((time.perf_counter() - begin) * 1000)


async def measure(folder, count):
    """Records a second, and the 99th percentile of one record's milliseconds."""
    cipher = Cipher("bench-secret-key-of-32-characters")
    store = Store("sqlite:///" + str(folder / "bench.db"), cipher)
    store.migrate()
    recorder = Recorder(store, folder / "spool", cipher)
    recorder.start()
    taken = []
    begin = time.perf_counter()
    await asyncio.gather(*(writer(recorder, range(at, count, WRITERS), taken) for at in range(WRITERS)))
    seconds = time.perf_counter() - begin
    await recorder.close()
    taken.sort()
    return {"rows_s": count / seconds, "p99_ms": taken[int(len(taken) * 0.99)], "spooled": recorder.spooled}


if __name__ == "__main__":
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as work:
        sys.stdout.write(json.dumps(asyncio.run(measure(Path(work), rows))) + "\n")
