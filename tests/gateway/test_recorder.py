"""The recorder: durable before told, whatever happens to the store, the disk or the process."""

import asyncio
import random
import sqlite3
import subprocess
import sys
import time

import pytest

from gateway.crypto import Cipher
from gateway.recorder import Recorder, RecordError
from gateway.spool import left_behind
from gateway.store import Store, ViolationFilter

pytestmark = pytest.mark.anyio


async def until(condition, seconds=15.0):
    """Wait for something that happens in another thread."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        await asyncio.sleep(0.02)


@pytest.fixture
def folder(tmp_path):
    """The spool."""
    return tmp_path / "spool"


@pytest.fixture
async def recorder(store, folder, cipher):
    """A running recorder on either database."""
    running = Recorder(store, folder, cipher)
    running.start()
    yield running
    await running.close()


@pytest.fixture
def later(tmp_path, cipher):
    """A store whose folder is not there: unavailable until it is made and migrated."""
    opened = Store(f"sqlite:///{tmp_path}/later/sluice.db", cipher)
    yield opened
    opened.close()


def bring_back(later, tmp_path):
    """Make the absent store available."""
    (tmp_path / "later").mkdir()
    later.migrate()


async def test_committed_on_return(recorder, store, violation):
    """When ``record`` returns, another connection reads the violation."""
    item = violation()
    await recorder.record(item)
    assert store.violations.get(item.id) == item


async def test_concurrent_records_share_commits(recorder, store, violation):
    """Many records at once become few transactions, and none is lost."""
    before = store.violations.position()
    items = [violation() for _ in range(500)]
    await asyncio.gather(*(recorder.record(item) for item in items))
    assert store.violations.count() == 500
    assert store.violations.position() - before == 500


async def test_later_versions_replace(recorder, store, violation):
    """A stream that masks again records the same id again; the last version counts."""
    item = violation()
    for at in range(5):
        await recorder.record(violation(id=item.id, delivered_chars=at))
    assert store.violations.count() == 1
    assert store.violations.get(item.id).delivered_chars == 4


async def test_personal_data_is_masked(recorder, store, violation):
    """Whatever the caller gives as excerpt, numbers and addresses of people do not reach the store."""
    item = violation(excerpt="买炸药打13812345678")
    await recorder.record(item)
    assert store.violations.get(item.id).excerpt == "买炸药打***********"


async def test_one_bad_record_costs_no_other(recorder, store, violation):
    """A record that the database refuses is told to its own caller; the rest of its group is kept."""
    good = [violation() for _ in range(20)]
    bad = violation(choice=2**70)
    results = await asyncio.gather(
        *(recorder.record(item) for item in [*good[:10], bad, *good[10:]]), return_exceptions=True
    )
    assert [type(result) for result in results if result is not None] == [RecordError]
    assert bad.id in str(results[10])
    assert store.violations.count() == 20


async def test_spool_while_away_then_drained(later, tmp_path, folder, cipher, violation):
    """While the store is away records are durable in the spool; when it is back they are in the store, once each."""
    counts = []
    recorder = Recorder(later, folder, cipher, on_spooled=counts.append)
    recorder.start()
    items = [violation() for _ in range(600)]
    await asyncio.gather(*(recorder.record(item) for item in items))
    assert recorder.spooled == 600
    assert "store unavailable" in recorder.problems[0]
    bring_back(later, tmp_path)
    await until(lambda: recorder.spooled == 0)
    assert later.violations.count() == 600
    assert recorder.problems == ()
    assert list(folder.iterdir()) == []
    assert counts[-1] == 0
    await recorder.record(violation())
    assert later.violations.count() == 601
    await recorder.close()


async def test_spool_holds_nothing_readable(later, folder, cipher, violation):
    """No text of a violation stands readable in the spool."""
    recorder = Recorder(later, folder, cipher)
    recorder.start()
    await recorder.record(violation(excerpt="secret words 机密", path="/v1/path-of-mine"))
    data = b"".join(path.read_bytes() for path in folder.iterdir())
    assert data
    assert not any(word in data for word in (b"secret", "机密".encode(), b"path-of-mine"))
    await recorder.close()


async def test_other_processes_spools_are_drained_at_start(later, tmp_path, folder, cipher, violation):
    """What an ended process left in the spool is in the store after the next start, also behind a second failure."""
    first = Recorder(later, folder, cipher)
    first.start()
    items = [violation() for _ in range(30)]
    await asyncio.gather(*(first.record(item) for item in items))
    await first.close()
    bring_back(later, tmp_path)
    second = Recorder(later, folder, cipher)
    second.start()
    await until(lambda: later.violations.count() == 30)
    await until(lambda: not list(folder.iterdir()))
    await second.close()


async def test_draining_twice_changes_nothing(store, tmp_path, folder, cipher, violation):
    """A drain that died before it removed its segment is simply done again."""
    away = Store(f"sqlite:///{tmp_path}/none/sluice.db", cipher)
    recorder = Recorder(away, folder, cipher)
    recorder.start()
    item = violation()
    await recorder.record(item)
    await recorder.close()
    segment = next(folder.iterdir())
    copy = segment.read_bytes()
    for _ in range(2):
        segment.write_bytes(copy)
        again = Recorder(store, folder, cipher)
        again.start()
        await until(lambda: not list(folder.iterdir()))
        await again.close()
        assert store.violations.list().items == [item]
    away.close()


async def test_old_spool_does_not_turn_back_a_record(later, tmp_path, folder, cipher, violation):
    """A version that waits in the spool never replaces a later one that went to the store directly."""
    item = violation(delivered_chars=1)
    recorder = Recorder(later, folder, cipher)
    recorder.start()
    await recorder.record(item)
    assert recorder.spooled == 1
    bring_back(later, tmp_path)
    newer = violation(id=item.id, delivered_chars=99)
    later.violations.insert_many([newer])
    await until(lambda: recorder.spooled == 0)
    assert later.violations.get(item.id).delivered_chars == 99
    await recorder.close()


async def test_neither_store_nor_spool(later, tmp_path, cipher, violation):
    """When neither can take a record the caller is told, so that it can fail closed."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    recorder = Recorder(later, blocked, cipher)
    recorder.start()
    with pytest.raises(RecordError, match="spool cannot be written"):
        await recorder.record(violation())
    await recorder.close()


async def test_defect_is_told_and_survived(sqlite_store, folder, cipher, violation, monkeypatch):
    """An error that nobody foresaw reaches the caller, and the writer goes on."""
    recorder = Recorder(sqlite_store, folder, cipher)
    recorder.start()
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_store.violations, "insert_many", lambda *_: 1 / 0)
        with pytest.raises(RecordError, match="ZeroDivisionError"):
            await recorder.record(violation())
    await recorder.record(violation())
    await recorder.close()


async def test_backpressure(sqlite_store, folder, cipher, violation):
    """No more than the bound is ever taken and not yet durable; everybody gets through in the end."""
    recorder = Recorder(sqlite_store, folder, cipher, max_waiting=8)
    recorder.start()
    deepest = 0

    async def one():
        nonlocal deepest
        await recorder.record(violation())
        deepest = max(deepest, recorder._queue.qsize())

    await asyncio.gather(*(one() for _ in range(200)))
    assert deepest <= 8
    assert sqlite_store.violations.count() == 200
    await recorder.close()


async def test_cancelled_caller(sqlite_store, folder, cipher, violation):
    """A caller that is gone leaves no gap: its record is kept, and the next ones are."""
    recorder = Recorder(sqlite_store, folder, cipher, max_waiting=1)
    recorder.start()
    task = asyncio.create_task(recorder.record(violation()))
    await asyncio.sleep(0)
    task.cancel()
    await recorder.record(violation())
    assert sqlite_store.violations.count() == 2
    await recorder.close()


async def test_close_flushes(sqlite_store, folder, cipher, violation):
    """Closing makes everything durable that was taken; later records are refused."""
    recorder = Recorder(sqlite_store, folder, cipher)
    recorder.start()
    tasks = [asyncio.create_task(recorder.record(violation())) for _ in range(300)]
    await asyncio.sleep(0)
    await recorder.close()
    await asyncio.gather(*tasks)
    assert sqlite_store.violations.count() == 300
    with pytest.raises(RecordError, match="not running"):
        await recorder.record(violation())
    await recorder.close()


async def test_locked_database(sqlite_store, sqlite_url, folder, violation, monkeypatch):
    """Another program that holds the database locked sends records to the spool, and they arrive afterwards."""
    monkeypatch.setattr("gateway.store.database.BUSY_S", 0.2)
    cipher = Cipher("a secret for tests only")
    impatient = Store(sqlite_url, cipher)
    recorder = Recorder(impatient, folder, cipher)
    recorder.start()
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await recorder.record(violation())
    assert recorder.spooled == 1
    other.execute("ROLLBACK")
    other.close()
    await until(lambda: sqlite_store.violations.count() == 1)
    await recorder.close()
    impatient.close()


# --- kill -9 ----------------------------------------------------------------------------------------------------------

WRITER = """
import asyncio, dataclasses, sys
from pathlib import Path
from gateway.crypto import Cipher
from gateway.recorder import Recorder
from gateway.store import Store, Violation, new_id
from gateway.store.records import now_utc

async def main(url, folder, secret):
    cipher = Cipher(secret)
    recorder = Recorder(Store(url, cipher), Path(folder), cipher)
    recorder.start()
    async def writer():
        while True:
            item = Violation(
                id=new_id(), decision_id="d", created_at=now_utc(), direction="output", action="block",
                would_action="block", categories={"A1.d": 1.0}, matches=(), excerpt="x" * 50, api="a", path="/",
                ruleset="r",
            )
            await recorder.record(item)
            sys.stdout.write(f"told {item.id}\\n")  # in one piece: a thread logs to the same place
            sys.stdout.flush()
    await asyncio.gather(*(writer() for _ in range(20)))

asyncio.run(main(*sys.argv[1:]))
"""


def start_writer(url, folder, out):
    """A process that records without end and prints each id once it was told that it is durable."""
    command = [sys.executable, "-c", WRITER, url, str(folder), "a secret for tests only"]
    return subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)


def told_ids(out):
    """The ids that the process printed; the last line may be cut."""
    lines = out.read_text().split("\n")[:-1]
    return {line.removeprefix("told ") for line in lines if line.startswith("told ")}


def spooled_ids(folder, cipher):
    """The ids in the spool, as text: opened with the key."""
    import json

    found = set()
    for segment in left_behind(folder):
        for payload in segment.read().payloads:
            found.add(json.loads(cipher.open(payload, "spool"))["violation"]["id"])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("where", ["store", "spool", "store coming back"])
async def test_kill_9(tmp_path, folder, where):
    """Every id that was told before a kill -9 is in store or spool, every time; a restart brings all into the store."""
    cipher = Cipher("a secret for tests only")
    home = tmp_path / "home"
    store = Store(f"sqlite:///{home}/sluice.db", cipher)
    if where == "store":
        home.mkdir()
        store.migrate()
    told = set()
    for turn in range(4):
        out = tmp_path / f"out-{turn}"
        with out.open("wb") as file:
            process = start_writer(f"sqlite:///{home}/sluice.db", folder, file)
        await until(lambda out=out: len(told_ids(out)) > 100, 60)
        if where == "store coming back" and turn == 1:
            home.mkdir()
            store.migrate()
        await asyncio.sleep(random.uniform(0, 0.5))
        process.kill()
        process.wait()
        told |= told_ids(out)
        stored = {item.id for item in store.violations.export()} if home.exists() else set()
        assert told <= stored | spooled_ids(folder, cipher)
    if not home.exists():
        home.mkdir()
        store.migrate()
    recorder = Recorder(store, folder, cipher)
    recorder.start()
    await until(lambda: not list(folder.glob("*.spool")), 60)
    await recorder.close()
    assert told <= {item.id for item in store.violations.export(ViolationFilter(category="A1.d"))}
    assert not list(folder.glob("*.damaged"))
    store.close()


@pytest.mark.slow
async def test_several_processes_on_one_file(tmp_path, sqlite_store, sqlite_url, folder, cipher):
    """Several processes write one SQLite file at the same time and lose nothing."""
    outs = [tmp_path / f"out-{number}" for number in range(3)]
    processes = []
    for out in outs:
        with out.open("wb") as file:
            processes.append(start_writer(sqlite_url, folder, file))
    for out in outs:
        await until(lambda out=out: len(told_ids(out)) > 100, 60)
    for process in processes:
        process.kill()
        process.wait()
    stored = {item.id for item in sqlite_store.violations.export()}
    assert set.union(*map(told_ids, outs)) <= stored | spooled_ids(folder, cipher)
