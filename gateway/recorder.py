"""Records violations so that none is lost: in the store, or in a spool on disk until the store is back.

One thread writes. It takes whatever waits, commits it as one group, and only then wakes the callers: that is how a
disk that commits 500 times a second takes thousands of records.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.crypto import Cipher, DecryptError, mask_personal
from gateway.spool import LeftBehind, SpoolWriter, left_behind
from gateway.store import Store, StoreError, StoreRejected, StoreUnavailable, Violation

GROUP = 256
"""Records in one commit at most: about 20 ms of work, so that a caller behind it does not wait long."""
AWAY_S = 1.0
"""After a failure the store is left alone for this long and records go to the spool at once."""
SEGMENT_BYTES = 16 * 1024 * 1024
"""A longer spool goes on in another segment, so that draining reads no more than this at once."""
LOOK_S = 10.0
"""How often the folder is looked at for segments that ended processes left behind."""

_SEAL = "spool"
_log = structlog.get_logger(component="recorder")


class RecordError(Exception):
    """Neither store nor spool could take the record. The caller must not tell the client its verdict as recorded."""


@dataclass(slots=True)
class _Job:
    violation: Violation
    stamp: int
    done: asyncio.Future[None]
    settled: bool = False


class Recorder:
    """Takes violations from one event loop and makes them durable.

    Args:
        store: where they belong.
        folder: the spool; may be shared by several processes.
        cipher: seals what the spool holds.
        max_waiting: records taken and not yet durable; past it ``record`` waits.
        on_spooled: told how many records wait in this process's spool whenever that changes.
    """

    def __init__(
        self,
        store: Store,
        folder: Path,
        cipher: Cipher,
        *,
        max_waiting: int = 4096,
        on_spooled: Callable[[int], None] | None = None,
    ) -> None:
        self._store = store
        self._folder = folder
        self._cipher = cipher
        self._on_spooled = on_spooled
        self._room = asyncio.Semaphore(max_waiting)
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._spool: SpoolWriter | None = None
        self._draining: Iterator[None] | None = None
        self._away_until = 0.0
        self._look_at = 0.0
        self.spooled = 0
        """Records of this process that wait in its spool."""
        self.problems: tuple[str, ...] = ()
        """Why records do not reach the store right now; for ``/readyz``."""

    def start(self) -> None:
        """Start the writer; what earlier processes left in the spool is drained behind the new records."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="sluice-recorder", daemon=True)
        self._thread.start()

    async def record(self, violation: Violation) -> None:
        """Return once the violation is durable. The same id again replaces what was recorded before.

        Raises:
            RecordError: it is not durable, and will not be.
        """
        await self._room.acquire()
        if self._closed or self._loop is None:
            self._room.release()
            msg = "the recorder is not running"
            raise RecordError(msg)
        if violation.excerpt is not None:
            violation = violation.with_excerpt(mask_personal(violation.excerpt))
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(_Job(violation, time.time_ns(), done))
        await done

    async def close(self) -> None:
        """Make everything that was taken durable and stop. Records in the spool stay there for the next start."""
        if self._closed or self._thread is None:
            self._closed = True
            return
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    # --- the writer thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        ended = False
        while not ended:
            jobs, ended = self._take()
            try:
                if jobs:
                    self._commit(jobs)
                if not ended:
                    self._drain()
            except Exception as error:  # noqa: BLE001 - the thread's outermost frame: nobody may wait for ever on a defect of ours
                _log.exception("recorder_failed", records=len(jobs))
                self._draining = None
                self._look_at = time.monotonic() + LOOK_S
                self._settle(jobs, RecordError(f"recording failed: {type(error).__name__}"))
        if self._spool is not None:
            self._spool.close()

    def _take(self) -> tuple[list[_Job], bool]:
        """The next group: waits for its first record only. A draining spool leaves no time to wait."""
        jobs: list[_Job] = []
        with contextlib.suppress(queue.Empty):
            job = self._queue.get(block=self._draining is None, timeout=AWAY_S / 2)
            while job is not None:
                jobs.append(job)
                if len(jobs) == GROUP:
                    return jobs, False
                job = self._queue.get_nowait()
            return jobs, True
        return jobs, False

    def _commit(self, jobs: Sequence[_Job]) -> None:
        if time.monotonic() >= self._away_until:
            try:
                self._insert(jobs)
            except StoreRejected:
                self._commit_singly(jobs)
                return
            except StoreUnavailable as error:
                self._went_away(error)
            else:
                self._came_back()
                self._settle(jobs)
                return
        self._to_spool(jobs)

    def _commit_singly(self, jobs: Sequence[_Job]) -> None:
        """The database refused one of a group: find out which, and keep the others."""
        for at, job in enumerate(jobs):
            try:
                self._insert([job])
            except StoreRejected as error:
                _log.error("record_rejected", violation=job.violation.id, reason=str(error))
                self._settle([job], RecordError(f"the database refuses violation {job.violation.id}: {error}"))
            except StoreUnavailable as error:
                self._went_away(error)
                self._to_spool(jobs[at:])
                return
            else:
                self._settle([job])

    def _insert(self, jobs: Sequence[_Job]) -> None:
        self._store.violations.insert_many([job.violation for job in jobs], [job.stamp for job in jobs])

    def _to_spool(self, jobs: Sequence[_Job]) -> None:
        try:
            if self._spool is None:
                self._spool = SpoolWriter(self._folder)
            self._spool.append([_write(self._cipher, job) for job in jobs])
            if self._spool.size > SEGMENT_BYTES:
                self._spool.close()
                self._spool = None
        except OSError as error:
            self._spool = None
            _log.error("spool_failed", reason=str(error), records=len(jobs))
            self._settle(jobs, RecordError(f"the store is away and the spool cannot be written: {error}"))
            return
        self._count(self.spooled + len(jobs))
        self._settle(jobs)

    def _went_away(self, error: StoreError) -> None:
        self._away_until = time.monotonic() + AWAY_S
        self._look_at = self._away_until
        if not self.problems:
            _log.warning("store_away", reason=str(error))
        self.problems = (f"store unavailable: {error}",)

    def _came_back(self) -> None:
        if self.problems:
            _log.info("store_back")
            self.problems = ()

    def _settle(self, jobs: Sequence[_Job], error: RecordError | None = None) -> None:
        assert self._loop is not None  # noqa: S101 - start() set it before this thread began
        with contextlib.suppress(RuntimeError):  # the loop ended while records were on their way; they are durable
            self._loop.call_soon_threadsafe(self._wake, jobs, error)

    def _wake(self, jobs: Sequence[_Job], error: RecordError | None) -> None:
        for job in jobs:
            if job.settled:
                continue
            job.settled = True
            self._room.release()
            if job.done.cancelled():
                continue
            if error is None:
                job.done.set_result(None)
            else:
                job.done.set_exception(error)

    def _count(self, spooled: int) -> None:
        self.spooled = spooled
        if self._on_spooled is not None:
            self._on_spooled(spooled)

    # --- draining --------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """One group of spooled records, if it is time: new records never wait for more than that."""
        now = time.monotonic()
        if now < self._away_until or (self._draining is None and now < self._look_at):
            return
        if self._draining is None:
            self._draining = self._drain_all()
        try:
            next(self._draining, None)
        except StoreUnavailable as error:
            self._draining = None
            self._went_away(error)
        except OSError as error:
            self._draining = None
            self._look_at = now + LOOK_S
            _log.error("spool_unreadable", reason=str(error))

    def _drain_all(self) -> Iterator[None]:
        waiting = self.spooled
        if self._spool is not None:
            self._spool.close()  # from here on it is a segment like those of ended processes
            self._spool = None
        for segment in left_behind(self._folder):
            yield from self._drain_segment(segment)
        self._draining = None
        self._look_at = time.monotonic() + LOOK_S
        if waiting:
            self._count(self.spooled - waiting)

    def _drain_segment(self, segment: LeftBehind) -> Iterator[None]:
        content = segment.read()
        damaged = content.damaged
        for at in range(0, len(content.payloads), GROUP):
            group, readable = _read_group(self._cipher, content.payloads[at : at + GROUP])
            kept = self._keep(group)
            damaged = damaged or not (readable and kept)
            yield
        segment.remove(damaged=damaged)
        log = _log.error if damaged else _log.info
        log("spool_drained", segment=segment.path.name, records=len(content.payloads), damaged=damaged)

    def _keep(self, group: Sequence[tuple[Violation, int]]) -> bool:
        """Put spooled records into the store; whether it took all of them."""
        try:
            self._store.violations.insert_many([item for item, _ in group], [stamp for _, stamp in group])
        except StoreRejected as error:
            if len(group) == 1:
                _log.error("record_rejected", violation=group[0][0].id, reason=str(error))
                return False
            results = [self._keep([one]) for one in group]  # every one of them is tried
            return all(results)
        self._came_back()
        return True


def _write(cipher: Cipher, job: _Job) -> bytes:
    body = json.dumps({"stamp": job.stamp, "violation": job.violation.as_json()}, separators=(",", ":"))
    return cipher.seal(body, _SEAL)


def _read_group(cipher: Cipher, payloads: Sequence[bytes]) -> tuple[list[tuple[Violation, int]], bool]:
    """The records of some payloads, and whether all could be read."""
    group: list[tuple[Violation, int]] = []
    for payload in payloads:
        try:
            values = json.loads(cipher.open(payload, _SEAL))
        except DecryptError as error:
            _log.error("spool_record_unreadable", reason=str(error))
            continue
        group.append((Violation.from_json(values["violation"]), values["stamp"]))
    return group, len(group) == len(payloads)
