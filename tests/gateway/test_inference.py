import asyncio
import threading
import time

import pytest

from gateway.inference import Inference, InferenceFailed, InferenceTimeout
from models.types import ClassifierError, Segment

pytestmark = pytest.mark.anyio


class Recording:
    """A classifier that scores a text by its length and remembers its batches."""

    version = "recording"
    labels = ("A1.f",)
    max_chars = 64

    def __init__(self, seconds=0.0):
        self.batches = []
        self.threads = set()
        self.seconds = seconds

    def score(self, segments):
        """Score by length."""
        self.threads.add(threading.get_ident())
        self.batches.append([segment.text for segment in segments])
        time.sleep(self.seconds)
        return [{"A1.f": len(segment.text) / 100} for segment in segments]


def segments(*texts):
    """Segments without context."""
    return [Segment(text) for text in texts]


async def test_scores_come_in_the_order_of_the_segments():
    """Each segment gets its own score, however the batches were cut."""
    inference = Inference(Recording(), max_batch=2)
    scores = await inference.score(segments("a", "bb", "ccc", "dddd", "eeeee"))
    assert [score["A1.f"] for score in scores] == [0.01, 0.02, 0.03, 0.04, 0.05]
    await inference.close()


async def test_no_segments_cost_nothing():
    """An empty question is answered without waking the classifier."""
    classifier = Recording()
    inference = Inference(classifier)
    assert await inference.score([]) == []
    assert classifier.batches == []
    await inference.close()


async def test_runs_off_the_event_loop():
    """The event loop keeps ticking while the classifier works."""
    inference = Inference(classifier := Recording(seconds=0.2))
    task = asyncio.create_task(inference.score(segments("slow")))
    ticks = 0
    while not task.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 5
    assert threading.get_ident() not in classifier.threads
    await inference.close()


async def test_requests_that_wait_share_a_batch():
    """What gathers while one batch runs goes into the next one together."""
    inference = Inference(classifier := Recording(seconds=0.05), max_batch=8)
    await asyncio.gather(*(inference.score(segments(f"text {n}")) for n in range(6)))
    assert [len(batch) for batch in classifier.batches] == [1, 5]
    await inference.close()


async def test_a_long_body_does_not_starve_a_stream():
    """Requests take turns, so a short one overtakes a long one that came first."""
    inference = Inference(Recording(seconds=0.01), max_batch=2, cache_size=0)
    long = asyncio.create_task(inference.score(segments(*(f"long {n}" for n in range(100)))))
    await asyncio.sleep(0.015)
    await inference.score(segments("short"))
    assert not long.done()
    await long
    await inference.close()


async def test_a_missed_deadline_is_a_timeout():
    """A classifier that takes too long raises instead of holding the text for ever."""
    inference = Inference(Recording(seconds=0.3))
    with pytest.raises(InferenceTimeout):
        await inference.score(segments("late"), deadline_s=0.02)
    assert inference.queued == 0
    await inference.close()


async def test_what_timed_out_is_not_scored_later():
    """Queued segments of a request that gave up are dropped."""
    inference = Inference(classifier := Recording(seconds=0.1))
    first = asyncio.create_task(inference.score(segments("first")))
    await asyncio.sleep(0.02)
    with pytest.raises(InferenceTimeout):
        await inference.score(segments("gave up"), deadline_s=0.01)
    await first
    await asyncio.sleep(0.05)
    assert classifier.batches == [["first"]]
    await inference.close()


async def test_a_cancelled_request_leaves_the_queue():
    """A client that went away costs no inference."""
    inference = Inference(classifier := Recording(seconds=0.1))
    first = asyncio.create_task(inference.score(segments("first")))
    await asyncio.sleep(0.02)
    second = asyncio.create_task(inference.score(segments("second")))
    await asyncio.sleep(0.01)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await first
    assert inference.queued == 0
    await asyncio.sleep(0.02)
    assert classifier.batches == [["first"]]
    await inference.close()


class Failing(Recording):
    def score(self, segments):
        """Fail."""
        raise ClassifierError("weights are gone")


class Short(Recording):
    def score(self, segments):
        """Forget every segment."""
        return []


@pytest.mark.parametrize("classifier", [Failing(), Short()])
async def test_a_failing_classifier_is_a_failure_for_the_policy(classifier):
    """An exception or a wrong number of scores never looks like a score."""
    inference = Inference(classifier)
    with pytest.raises(InferenceFailed):
        await inference.score(segments("a", "b"))
    await inference.close()


async def test_a_failure_does_not_stop_the_next_request():
    """One bad batch fails its own requests only."""
    classifier = Recording()
    inference = Inference(Failing())
    with pytest.raises(InferenceFailed):
        await inference.score(segments("a"))
    inference.use(classifier)
    assert await inference.score(segments("a")) == [{"A1.f": 0.01}]
    await inference.close()


async def test_a_full_queue_is_refused_at_once():
    """Work beyond the bound fails instead of growing without end."""
    inference = Inference(Recording(seconds=0.1), max_queue=2, max_batch=1)
    waiting = [asyncio.create_task(inference.score(segments(f"text {n}"))) for n in range(3)]
    await asyncio.sleep(0.01)
    with pytest.raises(InferenceFailed, match="waiting"):
        await inference.score(segments("one more"))
    await asyncio.gather(*waiting)
    await inference.close()


async def test_without_a_classifier_every_question_fails():
    """Nothing is ever called clean because no classifier was there to ask."""
    inference = Inference(None)
    with pytest.raises(InferenceFailed):
        await inference.score(segments("a"))
    await inference.close()


async def test_the_same_segment_is_scored_once():
    """A conversation that is sent again with every turn is scored once; another context is another question."""
    inference = Inference(classifier := Recording())
    again = [Segment("text", "before")]
    await inference.score(again)
    await inference.score(again)
    await inference.score([Segment("text", "else")])
    assert len(classifier.batches) == 2
    await inference.close()


async def test_another_classifier_starts_with_nothing_remembered():
    """Scores of one model are never given out as another's."""
    inference = Inference(Recording())
    await inference.score(segments("text"))
    inference.use(after := Recording())
    await inference.score(segments("text"))
    assert after.batches == [["text"]]
    await inference.close()


async def test_closing_fails_what_waits():
    """Shutting down leaves no request hanging."""
    inference = Inference(Recording(seconds=0.1))
    tasks = [asyncio.create_task(inference.score(segments(f"text {n}"))) for n in range(3)]
    await asyncio.sleep(0.02)
    await inference.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(result, InferenceFailed) for result in results) == 2
