"""Classifier scores for the event loop: in a thread, in small batches, within a deadline.

There is no batching window: while one batch runs, requests queue, and the next batch takes what has gathered. An idle
machine therefore answers at once. Requests take turns segment by segment, so a long body never starves a live stream.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gateway.logs import get_logger
from models.types import Classifier, ClassifierError, Scores, Segment

MAX_BATCH = 8
MAX_QUEUE = 16_384
"""Segments that may wait; more could not be scored within any deadline that a client would wait for."""
CACHE_SIZE = 4096
DEADLINE_SETTING = "SLUICE_INFERENCE_DEADLINE_MS"
LOG_EVERY_S = 1.0
"""Failures are logged once in so many seconds at most."""

_log = get_logger("gateway.inference")


class InferenceError(Exception):
    """The classifier gave no scores; the policy's ``on_error`` decides what happens to the text."""


class InferenceTimeout(InferenceError):  # noqa: N818 - names what happened
    """The deadline passed before every segment was scored."""


class InferenceFailed(InferenceError):  # noqa: N818 - names what happened
    """The classifier raised, returned nonsense, is absent, or too much work is waiting for it."""


@dataclass(slots=True, eq=False)
class _Job:
    """One call of ``score``: what is still to be queued, and the scores so far."""

    segments: Sequence[Segment]
    future: asyncio.Future[None]
    waiting: deque[int]
    results: list[Scores | None]
    missing: int = field(default=0)


class Inference:
    """Scores segments with one classifier for every request of this process.

    Belongs to one event loop. ``deadline_name`` is where the deadline can be changed. ``prompts`` says whether the
    classifier wants to know what an answer replies to. ``observe`` is called with (seconds, segments, CPU seconds)
    after each batch, ``on_failure`` with ``timeout``, ``failed`` or ``full`` for each question that gets no scores, or
    for a body whose time is over before its next question.
    """

    def __init__(
        self,
        classifier: Classifier | None,
        *,
        deadline_s: float = 5.0,
        deadline_name: str = DEADLINE_SETTING,
        threads: int = 1,
        max_batch: int = MAX_BATCH,
        max_queue: int = MAX_QUEUE,
        cache_size: int = CACHE_SIZE,
        prompts: bool = False,
        observe: Callable[[float, int, float], None] | None = None,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        self._classifier = classifier
        self._deadline_s = deadline_s
        self._deadline_name = deadline_name
        self._threads = threads
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._cache_size = cache_size
        self.prompts = prompts
        self._observe = observe
        self._on_failure = on_failure
        self._logged_at = -LOG_EVERY_S
        self._unlogged = 0
        self._cache: OrderedDict[Segment, Scores] = OrderedDict()
        self._jobs: deque[_Job] = deque()
        self._queued = 0
        self._running: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="inference") if classifier else None

    @property
    def classifier(self) -> Classifier | None:
        """The classifier in use; ``None`` where the operator turned it off."""
        return self._classifier

    @property
    def deadline_s(self) -> float:
        """Seconds for a question that brings no time of its own."""
        return self._deadline_s

    @property
    def queued(self) -> int:
        """Segments that wait for a batch."""
        return self._queued

    def use(self, classifier: Classifier | None) -> None:
        """Score with another classifier from the next batch on."""
        if self._pool is None and classifier is not None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="inference")
        self._classifier = classifier
        self._cache.clear()

    async def score(self, segments: Sequence[Segment], deadline_s: float | None = None) -> list[Scores]:
        """Scores of each segment, in order.

        Args:
            segments: texts with the context before them.
            deadline_s: seconds from now; the setting's where it is ``None``.

        Raises:
            InferenceTimeout: the deadline passed.
            InferenceFailed: the classifier failed, or the queue is full.
        """
        job = self._admit(segments)
        if job.missing:
            timeout = self._deadline_s if deadline_s is None else deadline_s
            self._jobs.append(job)
            self._queued += len(job.waiting)
            self._dispatch()
            try:
                async with asyncio.timeout(timeout):
                    await job.future
            except TimeoutError:
                raise self.late() from None
            finally:
                self._withdraw(job)
        return [scores for scores in job.results if scores is not None]

    def late(self) -> InferenceTimeout:
        """Count and log that a question, or all those of a body, had no scores in time, and say so in an error.

        It names the deadline that somebody can set, not what was left of it.
        """
        msg = f"no scores within {self._deadline_s:g} s ({self._deadline_name})"
        self._failed("timeout", msg)
        return InferenceTimeout(msg)

    def retire(self) -> None:
        """End without waiting: nobody has a question any more."""
        for job in list(self._jobs):
            self._fail(job, InferenceFailed("this classifier is not used any more"))
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def close(self) -> None:
        """Fail what waits, and let the batch that runs end."""
        for job in list(self._jobs):
            self._fail(job, InferenceFailed("shutting down"))
        if self._running:
            await asyncio.wait(self._running, timeout=1)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _admit(self, segments: Sequence[Segment]) -> _Job:
        if self._classifier is None:
            raise InferenceFailed("no classifier is loaded")
        results = [self._cached(segment) for segment in segments]
        waiting = deque(index for index, scores in enumerate(results) if scores is None)
        if self._queued + len(waiting) > self._max_queue and self._queued:
            msg = f"{self._queued} segments are waiting already"
            self._failed("full", msg)
            raise InferenceFailed(msg)
        return _Job(segments, asyncio.get_running_loop().create_future(), waiting, results, len(waiting))

    def _cached(self, segment: Segment) -> Scores | None:
        scores = self._cache.get(segment)
        if scores is not None:
            self._cache.move_to_end(segment)
        return scores

    def _withdraw(self, job: _Job) -> None:
        """Drop what is still queued of a job that ended, whichever way."""
        self._queued -= len(job.waiting)
        job.waiting.clear()
        if job in self._jobs:
            self._jobs.remove(job)
        if job.future.done():
            if not job.future.cancelled():
                job.future.exception()  # a failure that raced with a timeout was reported as the timeout
        else:
            job.future.cancel()

    def _dispatch(self) -> None:
        while self._jobs and len(self._running) < self._threads:
            batch = self._next_batch()
            task = asyncio.get_running_loop().create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._dispatch()

    def _next_batch(self) -> list[tuple[_Job, int]]:
        batch: list[tuple[_Job, int]] = []
        while self._jobs and len(batch) < self._max_batch:
            job = self._jobs.popleft()
            batch.append((job, job.waiting.popleft()))
            if job.waiting:
                self._jobs.append(job)  # to the end of the line: jobs take turns
        self._queued -= len(batch)
        return batch

    async def _run(self, batch: list[tuple[_Job, int]]) -> None:
        segments = [job.segments[index] for job, index in batch]
        classifier, pool = self._classifier, self._pool
        started = time.perf_counter()
        try:
            if classifier is None or pool is None:
                raise InferenceFailed("the classifier was turned off")  # noqa: TRY301 - same end as a failing model
            scores, cpu_s = await asyncio.get_running_loop().run_in_executor(pool, _timed, classifier, segments)
            if len(scores) != len(segments):
                msg = f"{len(scores)} scores for {len(segments)} segments"
                raise InferenceFailed(msg)  # noqa: TRY301 - same end as a failing model
        except Exception as error:  # noqa: BLE001 - a model is foreign code; whatever it raises must reach on_error
            jobs = list({id(job): job for job, _ in batch}.values())
            if len(jobs) > 1 and isinstance(error, ClassifierError) and error.of_text:
                await self._run_halves(batch, jobs)
                return
            # only our own error is sure not to quote the text
            reason = str(error) if isinstance(error, ClassifierError | InferenceFailed) else type(error).__name__
            for job in jobs:
                self._failed("failed", reason)
                self._fail(job, error)
            return
        if self._observe:
            self._observe(time.perf_counter() - started, len(segments), cpu_s)
        for (job, index), segment, score in zip(batch, segments, scores, strict=True):
            if classifier is self._classifier:
                self._remember(segment, score)
            self._deliver(job, index, score)

    async def _run_halves(self, batch: list[tuple[_Job, int]], jobs: list[_Job]) -> None:
        """Try again with fewer: nobody's text may keep another's from being scored; one by one, the last were late."""
        middle = len(jobs) // 2
        for some in (jobs[:middle], jobs[middle:]):
            if again := [(job, index) for job, index in batch if job in some and not job.future.done()]:
                await self._run(again)

    def _failed(self, kind: str, reason: str) -> None:
        """Count a question without scores, and log it, however many there are, now and then."""
        if self._on_failure is not None:
            self._on_failure(kind)
        self._unlogged += 1
        now = time.monotonic()
        if now - self._logged_at >= LOG_EVERY_S:
            _log.error(
                "classifier_failed", kind=kind, reason=reason, failures=self._unlogged, effect="on_error decides"
            )
            self._logged_at, self._unlogged = now, 0

    def _remember(self, segment: Segment, scores: Scores) -> None:
        self._cache[segment] = scores
        if len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)

    @staticmethod
    def _deliver(job: _Job, index: int, scores: Scores) -> None:
        job.results[index] = scores
        job.missing -= 1
        if not job.missing and not job.future.done():
            job.future.set_result(None)

    @staticmethod
    def _fail(job: _Job, error: Exception) -> None:
        if job.future.done():
            return
        failure = error if isinstance(error, InferenceFailed) else InferenceFailed(f"{type(error).__name__}: {error}")
        job.future.set_exception(failure)


def _timed(classifier: Classifier, segments: Sequence[Segment]) -> tuple[list[Scores], float]:
    """Scores, and the CPU seconds that they took this thread."""
    began = time.thread_time()
    scores = classifier.score(segments)
    return scores, time.thread_time() - began
