import asyncio
import time

import pytest

from filters.lexicon import Lexicon
from filters.policy import Policy
from filters.ruleset import Ruleset
from filters.types import Action, Direction
from gateway.deadline import OneDeadline
from gateway.inference import Inference, InferenceFailed, InferenceTimeout
from gateway.judge import CHUNK, judge
from gateway.protocols.types import TextPart
from gateway.proxy.texts import AT_ONCE, decide
from gateway.scoring import Watched
from models.types import Segment

pytestmark = pytest.mark.anyio
LABELS = ("A1.h.gambling",)
DEADLINE_S = 0.2


class Slow:
    """A classifier that takes its time over every batch."""

    version = "slow"
    labels = LABELS
    max_chars = 100

    def __init__(self, seconds):
        self.seconds = seconds

    def score(self, segments):
        """Nothing is found."""
        time.sleep(self.seconds)
        return [{LABELS[0]: 0.0} for _ in segments]


@pytest.fixture
def ruleset():
    """A classifier of one label, and no terms."""
    return Ruleset(Policy.parse({}), Lexicon(), Slow.version, LABELS)


@pytest.fixture
async def inference():
    """A function that makes one with a classifier that takes so many seconds a batch."""
    made = []

    def make(seconds, **settings):
        made.append(Inference(Slow(seconds), deadline_s=DEADLINE_S, cache_size=0, **settings))
        return made[-1]

    yield make
    for one in made:
        await one.close()


def different(size):
    """A text whose segments are all different."""
    return "".join(f"第{number}句话，" for number in range(size // 5))[:size]


@pytest.mark.parametrize("seconds", [10 * DEADLINE_S, DEADLINE_S / 20])
async def test_a_long_text_has_one_deadline(ruleset, inference, seconds):
    """Neither a classifier that hangs nor one that is always just in time keeps a body for several deadlines."""
    scorer = Watched(inference(min(seconds, 1.0), max_batch=1000), ruleset)
    stream = ruleset.open(Direction.INPUT, stop_at_block=False)
    began = time.perf_counter()
    decision = (await judge(stream, different(40 * CHUNK), scorer)).decision
    assert time.perf_counter() - began < 7 * DEADLINE_S
    assert (decision.degraded, decision.action) == (True, Action.BLOCK)


async def test_many_texts_of_a_body_have_one_deadline(ruleset, inference):
    """Also where they are asked about a few at a time."""
    parts = [TextPart((number,), "content", f"第{number}句话") for number in range(20 * AT_ONCE)]
    began = time.perf_counter()
    findings = await decide(ruleset, Direction.INPUT, None, parts, Watched(inference(1.0), ruleset))
    assert time.perf_counter() - began < 3 * DEADLINE_S
    assert findings.degraded


async def test_what_is_in_time_is_scored(ruleset, inference):
    """A long text that a quick classifier reads within the deadline is judged to its end."""
    scorer = Watched(inference(0.0, max_batch=1000), ruleset)
    stream = ruleset.open(Direction.INPUT, stop_at_block=False)
    assert not (await judge(stream, different(2 * CHUNK), scorer)).decision.degraded


class Failing:
    """A scorer without a time of its own."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.given = []

    async def score(self, segments, deadline_s=None):
        """Fail, or give scores."""
        self.given.append(deadline_s)
        if self.errors:
            raise self.errors.pop(0)
        return [{} for _ in segments]


async def test_a_failure_is_no_deadline():
    """A classifier that failed over one text is asked about the next; one that was late is not."""
    scorer = OneDeadline(failing := Failing(InferenceFailed("no"), InferenceTimeout("late")))
    for error in (InferenceFailed, InferenceTimeout, InferenceTimeout):
        with pytest.raises(error):
            await scorer.score([Segment("一")])
    assert failing.given == [None, None]


async def test_a_shorter_time_counts(inference):
    """Whoever asks with less patience than the body has left is told sooner."""
    scorer = OneDeadline(inference(1.0))
    began = asyncio.get_running_loop().time()
    with pytest.raises(InferenceTimeout):
        await scorer.score([Segment("一")], 0.01)
    assert asyncio.get_running_loop().time() - began < DEADLINE_S
