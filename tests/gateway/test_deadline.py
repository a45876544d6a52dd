import asyncio
import time
import traceback

import pytest

from filters.lexicon import Lexicon
from filters.policy import Policy
from filters.ruleset import Ruleset
from filters.types import Action, Direction
from gateway import deadline
from gateway.deadline import CHARS, OneDeadline
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


async def test_a_long_text_has_one_deadline(ruleset, inference):
    """A classifier that hangs keeps a body for one deadline, not for one after each of its forty questions."""
    scorer = Watched(inference(1.0, max_batch=1000), ruleset)
    stream = ruleset.open(Direction.INPUT, stop_at_block=False)
    began = time.perf_counter()
    decision = (await judge(stream, different(40 * CHUNK), scorer)).decision
    assert time.perf_counter() - began < 20 * DEADLINE_S
    assert (decision.degraded, decision.action) == (True, Action.BLOCK)


async def test_many_texts_of_a_body_have_one_deadline(ruleset, inference):
    """Also where they are asked about a few at a time."""
    parts = [TextPart((number,), "content", f"第{number}句话") for number in range(20 * AT_ONCE)]
    began = time.perf_counter()
    findings = await decide(ruleset, Direction.INPUT, None, parts, Watched(inference(1.0), ruleset))
    assert time.perf_counter() - began < 10 * DEADLINE_S
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


class Clocked:
    """A scorer with a deadline, which takes so many seconds a question, or one second for so many characters."""

    deadline_s = 5.0

    def __init__(self, monkeypatch, seconds=0.0, chars=0):
        self.now = 1000.0
        self.seconds = seconds
        self.chars = chars
        self.given = []
        self.told = 0
        monkeypatch.setattr(deadline, "monotonic", lambda: self.now)

    async def score(self, segments, deadline_s=None):
        """Nothing is found, in time or not."""
        self.given.append(deadline_s)
        takes = sum(len(one.text) for one in segments) / self.chars if self.chars else self.seconds
        self.now += min(takes, deadline_s)
        if takes > deadline_s:
            raise self.late()
        return [{LABELS[0]: 0.0} for _ in segments]

    def late(self):
        """Counted."""
        self.told += 1
        return InferenceTimeout("no scores within 5 s")


async def judged(ruleset, scorer, size):
    """Whether ``on_error`` decided about a text of this size, and how long it took."""
    began = scorer.now
    stream = ruleset.open(Direction.INPUT, stop_at_block=False)
    decision = (await judge(stream, different(size), scorer)).decision
    return decision.degraded, (scorer.now - began) / Clocked.deadline_s


async def test_a_long_text_has_the_time_of_its_length(ruleset, monkeypatch):
    """100,000 characters may take nearly four deadlines: nothing is refused for its length alone."""
    scorer = Clocked(monkeypatch, chars=CHARS / Clocked.deadline_s * 1.1)
    degraded, deadlines = await judged(ruleset, scorer, 100_000)
    assert not degraded
    assert 2.5 < deadlines < 4
    assert max(scorer.given) == Clocked.deadline_s


@pytest.mark.parametrize(("size", "most"), [(4000, 1), (56_000, 2), (400_000, 13)])
@pytest.mark.parametrize("pace", [0.1, 0.8, 0.95, 1.02])
async def test_a_text_never_takes_longer_than_its_length_allows(ruleset, monkeypatch, size, most, pace):
    """However slow the classifier is, and where it is late, this is told once, though the text has many questions."""
    scorer = Clocked(monkeypatch, chars=CHARS / Clocked.deadline_s * pace)
    degraded, deadlines = await judged(ruleset, scorer, size)
    assert deadlines <= most + 1e-6
    assert scorer.told == degraded


async def test_a_question_waits_for_one_deadline(ruleset, monkeypatch):
    """However much time the text has: a classifier that begins to hang is left after that."""
    scorer = OneDeadline(clocked := Clocked(monkeypatch))
    await scorer.score([Segment("一" * 20 * CHARS)])
    clocked.seconds = 60.0
    began = clocked.now
    for _ in range(3):
        with pytest.raises(InferenceTimeout):
            await scorer.score([Segment("一")])
    assert clocked.now - began == Clocked.deadline_s


async def test_time_that_is_over_between_questions_is_told_once(monkeypatch):
    """Also where every question came in time: an operator sees why ``on_error`` decided."""
    scorer = OneDeadline(clocked := Clocked(monkeypatch))
    await scorer.score([Segment("一")])
    clocked.now += 6.0
    for _ in range(3):
        with pytest.raises(InferenceTimeout, match="5 s"):
            await scorer.score([Segment("一")])
    assert (clocked.told, len(clocked.given)) == (1, 1)


async def test_a_late_body_is_counted(inference, ruleset, monkeypatch):
    """As a timeout of the classifier, in words that name the setting."""
    monkeypatch.setattr(deadline, "monotonic", iter((0.0, 1.0)).__next__)
    kinds = []
    scorer = OneDeadline(Watched(inference(0.0, on_failure=kinds.append), ruleset))
    await scorer.score([Segment("一")])
    with pytest.raises(InferenceTimeout, match=r"no scores within 0\.2 s \(SLUICE_INFERENCE_DEADLINE_MS\)"):
        await scorer.score([Segment("二")])
    assert kinds == ["timeout"]


async def test_the_message_names_the_setting_where_little_was_left(inference):
    """Also where the classifier itself was told the rest."""
    with pytest.raises(InferenceTimeout, match=r"within 0\.2 s \(SLUICE_INFERENCE_DEADLINE_MS\)"):
        await inference(0.5).score([Segment("一")], 0.0021)


async def test_one_inside_another_adds_no_deadline(monkeypatch):
    """A text of a body has the time of the body, for what is asked about its other texts takes it too."""
    body = OneDeadline(clocked := Clocked(monkeypatch, seconds=4.0))
    text = OneDeadline(body)
    await text.score([Segment("一")])
    await body.score([Segment("一" * 2 * CHARS)])
    await text.score([Segment("一")])
    assert clocked.given == [5.0, 5.0, 5.0]


async def test_what_failed_is_not_kept(monkeypatch):
    """Each late question has an error of its own: one raised again and again would grow, and keep what it came by."""
    scorer = OneDeadline(Clocked(monkeypatch, seconds=9.0))
    errors = []
    for _ in range(100):
        with pytest.raises(InferenceTimeout) as caught:
            await scorer.score([Segment("一")])
        errors.append(caught.value)
    assert len(set(map(id, errors))) == len(errors)
    assert max(len(list(traceback.walk_tb(error.__traceback__))) for error in errors) <= 4
