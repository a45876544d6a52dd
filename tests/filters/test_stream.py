"""Transcripts, and properties against an oracle that sees the whole text at once."""

import itertools
import math
import re
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.classifier import CLAUSE_ENDS, SEGMENT_CHARS
from filters.lexicon import Lexicon, MatchMode, Term
from filters.policy import Policy
from filters.ruleset import Ruleset
from filters.stream import PIECE, StreamEndedError
from filters.types import (
    Action,
    Blocked,
    Cleared,
    Direction,
    Flagged,
    Masked,
    Match,
    ScoreNeeded,
    Source,
    Span,
)

IN, OUT = Direction.INPUT, Direction.OUTPUT
WEAPONS, DRUGS, GAMBLING, SPAM = "A1.h.weapons_cbrne", "A1.h.drugs", "A1.h.gambling", "X.spam"


class Terms:
    """A filter that finds plain terms by looking at the whole text again on every chunk.

    With ``wait`` it confirms a match only once that many characters after it are known, and not before a "否".
    """

    def __init__(self, *terms, wait=0):
        self.terms = terms
        self.wait = wait

    def open(self):
        """Start on a text."""
        return TermsScanner(self)

    def all(self, text):
        """Every match in a whole text."""
        for term, category, action in self.terms:
            for start in range(len(text)):
                if text.startswith(term, start):
                    end = start + len(term)
                    if "否" not in text[end : end + self.wait]:
                        yield Match(Span(start, end), category, Source.KEYWORD, term, 1.0, action)


class TermsScanner:
    def __init__(self, terms):
        self.watermark = 0
        self._terms = terms
        self._text = ""
        self._told = set()

    def feed(self, chunk):
        """Look at the whole text again."""
        self._text += chunk
        return self._look(ended=False)

    def finish(self):
        """Confirm what waited."""
        return self._look(ended=True)

    def _look(self, ended):
        text, wait = self._text, self._terms.wait
        found = sorted(self._terms.all(text), key=lambda match: match.order)
        certain = [match for match in found if ended or match.span.end + wait <= len(text)]
        new = [match for match in certain if match not in self._told]
        self._told.update(new)
        waiting = [match.span.start for match in found if match not in certain]
        tails = [
            start
            for start in range(len(text))
            if any(term != text[start:] and term.startswith(text[start:]) for term, _, _ in self._terms.terms)
        ]
        self.watermark = len(text) if ended else min([*waiting, *tails, len(text)])
        return new


def ruleset(*filters, labels=(), **policy):
    """Build a ruleset from filters, a model's labels and the keys of a policy."""
    return Ruleset(Policy.parse(policy), Lexicon(), "model-1" if labels else None, labels, filters=filters)


class Reader:
    """What a client sees, and what is on the record, of one stream."""

    def __init__(self, stream):
        self.stream = stream
        self.text = ""
        self.out = ""
        self.masks = []
        self.flags = []
        self.blocked = None
        self.questions = {}

    def feed(self, chunk):
        """Pass text on."""
        self.text += chunk
        self._read(self.stream.feed(chunk))

    def finish(self):
        """End the text."""
        self._read(self.stream.finish())

    def resolve(self, ticket, scores):
        """Answer a question."""
        del self.questions[ticket]
        self._read(self.stream.resolve(ticket, scores))

    def fail(self, ticket=None):
        """Fail a question, or everything."""
        self.questions.pop(ticket, None)
        self._read(self.stream.fail(ticket))

    def _read(self, events):
        for event in events:
            assert self.blocked is None, "nothing follows a block"
            match event:
                case Cleared(upto):
                    assert len(self.out) < upto <= len(self.text)
                    self.out += "".join(
                        "*" if any(span.start <= at < span.end for span in self.masks) else self.text[at]
                        for at in range(len(self.out), upto)
                    )
                case Masked(match):
                    self.masks.append(match.span)
                case Flagged(match):
                    self.flags.append(match)
                case ScoreNeeded(ticket):
                    self.questions[ticket] = event
                case Blocked():
                    assert event.at == len(self.out)
                    self.blocked = event


def transcript(stream, *chunks):
    """Feed the chunks and list the events of each."""
    return [list(stream.feed(chunk)) for chunk in chunks]


# --- transcripts ------------------------------------------------------------------------------------------------------


def test_the_design_transcript():
    """Text leaves up to the shortest tail that may still become a term, and the term itself never does."""
    stream = ruleset(Terms(("炸药", WEAPONS, None))).open(OUT)
    first, second, third, (block,) = transcript(stream, "他买了炸", "鸡", "和炸", "药")
    assert (first, second, third) == ([Cleared(3)], [Cleared(5)], [Cleared(6)])
    assert block.at == 6
    (match,) = block.decision.matches
    assert (match.span, match.rule, match.action) == (Span(6, 8), "炸药", Action.BLOCK)
    assert block.decision == stream.decision()
    assert stream.decision().action is Action.BLOCK


def test_a_stream_that_was_blocked_takes_no_more():
    """After a block nothing can leave by mistake: more text is an error, and ending it says nothing new."""
    stream = ruleset(Terms(("炸药", WEAPONS, None))).open(OUT)
    assert isinstance(stream.feed("炸药")[-1], Blocked)
    with pytest.raises(StreamEndedError):
        stream.feed("x")
    assert list(stream.finish()) == []
    assert stream.done


def test_a_finished_stream_takes_no_more():
    """A finished text is finished."""
    stream = ruleset().open(OUT)
    assert list(stream.feed("ok")) == [Cleared(2)]
    assert list(stream.finish()) == []
    with pytest.raises(StreamEndedError):
        stream.feed("x")
    with pytest.raises(StreamEndedError):
        stream.finish()


def test_what_was_held_leaves_at_the_end():
    """A tail that might have become a term is delivered once it cannot any more."""
    stream = ruleset(Terms(("炸药", WEAPONS, None))).open(OUT)
    assert list(stream.feed("炸")) == []
    assert list(stream.finish()) == [Cleared(1)]
    assert stream.decision().action is Action.ALLOW


def test_scoring_is_asked_for_as_soon_as_a_segment_ends():
    """Later segments do not wait for the answers of earlier ones, and answers may come in any order."""
    stream = ruleset(labels=[SPAM]).open(OUT)
    asked = stream.feed("你好，再见。")
    assert asked == [ScoreNeeded(1, "你好，", ""), ScoreNeeded(2, "再见。", "你好，")]
    assert stream.pending == 2
    assert list(stream.resolve(2, {SPAM: 0.1})) == []
    assert list(stream.resolve(1, {SPAM: 0.1})) == [Cleared(6)]
    assert stream.pending == 0


def test_a_classifier_block_before_a_keyword_wins_whenever_it_is_told():
    """A keyword block waits until nothing before it can block: what a client sees never depends on who was faster."""
    rules = ruleset(Terms(("炸药", WEAPONS, None)), labels=[SPAM])
    for scores, at in (({SPAM: 0.9}, 0), ({SPAM: 0.1}, 8)):
        stream = rules.open(OUT)
        (question,) = stream.feed("今天天气很好啊炸药和别的。")[:1]
        *_, block = [*stream.resolve(question.ticket, scores)]
        assert isinstance(block, Blocked)
        assert block.at == {0: 0, 8: 7}[at]


def test_a_keyword_at_the_start_of_a_segment_does_not_wait_for_its_scores():
    """The classifier's match would be longer, so it comes later in canonical order: blocking need not wait for it."""
    stream = ruleset(Terms(("炸药", WEAPONS, None)), labels=[SPAM]).open(OUT)
    assert transcript(stream, "炸药") == [[]]
    (block,) = stream.feed("是")
    assert block.at == 0
    assert [match.rule for match in block.decision.matches] == ["炸药"]


def test_a_block_does_not_wait_for_a_longer_term_where_the_scanner_says_so():
    """A scanner that tells its undecided matches from its live tails lets a block fire at once."""

    class Prompt(TermsScanner):
        @property
        def undecided(self):
            """Everything complete is confirmed."""
            return len(self._text)

    class PromptTerms(Terms):
        def open(self):
            """Start on a text."""
            return Prompt(self)

    terms = (("炸药", WEAPONS, None), ("炸药包", WEAPONS, None))
    assert list(ruleset(Terms(*terms)).open(OUT).feed("炸药")) == []
    (block,) = ruleset(PromptTerms(*terms)).open(OUT).feed("炸药")
    assert block.at == 0


def test_a_block_waits_for_an_earlier_one_that_is_undecided():
    """A later term that is certain does not overtake an earlier one that still needs the text after it."""
    rules = ruleset(Terms(("大麻", DRUGS, None), wait=3), Terms(("烦", SPAM, None)))
    *before, (block,) = transcript(rules.open(OUT), "抽大麻", "烦", "死", "了")
    assert before == [[Cleared(1)], [], []]
    assert (block.at, block.decision.matches[0].rule) == (1, "大麻")
    stream = rules.open(OUT)
    transcript(stream, "抽大麻", "烦")
    clear, block = stream.feed("否")
    assert (clear, block.at, block.decision.matches[0].rule) == (Cleared(3), 3, "烦")


def test_a_match_below_the_threshold_does_not_count():
    """The policy's threshold holds for a classifier's score; a lexicon's has one of its own, by default none."""

    class Unsure(Terms):
        def all(self, text):
            """Be half sure of every match."""
            return (match._replace(score=0.5, source=Source.CLASSIFIER) for match in super().all(text))

    half = {"*": {"threshold": 0.5}}
    assert list(ruleset(Unsure(("药", DRUGS, None))).open(OUT).feed("药")) == [Cleared(1)]
    (block,) = ruleset(Unsure(("药", DRUGS, None)), categories=half).open(OUT).feed("药")
    assert block.decision.categories == {DRUGS: 0.5}


def test_masks_come_before_the_text_that_they_cover():
    """Whoever relays the text knows of every mask before it may send a character of it."""
    stream = ruleset(Terms(("加微信", SPAM, Action.MASK))).open(OUT)
    first, (mask, clear) = transcript(stream, "请加微", "信吧")
    assert first == [Cleared(1)]
    assert mask.match.span == Span(1, 4)
    assert clear == Cleared(5)


def test_a_flag_is_told_and_delivered():
    """A flagged text is unchanged and on the record."""
    reader = Reader(ruleset(Terms(("彩票", GAMBLING, Action.FLAG))).open(OUT))
    reader.feed("买彩票去")
    reader.finish()
    assert reader.out == "买彩票去"
    assert [match.category for match in reader.flags] == [GAMBLING]
    assert reader.stream.decision().action is Action.FLAG
    assert reader.stream.decision().categories == {GAMBLING: 1.0}


def test_the_policy_decides_where_the_term_does_not():
    """An allowed category is no finding; another takes the policy's action; a term's own action goes first."""
    filters = Terms(("一", GAMBLING, None), ("二", SPAM, None), ("三", GAMBLING, Action.BLOCK))
    rules = ruleset(filters, categories={GAMBLING: {"action": "allow"}, SPAM: {"output": {"action": "mask"}}})
    reader = Reader(rules.open(OUT))
    reader.feed("一二三")
    assert reader.out == "一*"
    assert [(match.rule, match.action) for match in reader.stream.decision().matches] == [
        ("二", Action.MASK),
        ("三", Action.BLOCK),
    ]


def test_an_exposure_limit_lets_that_many_unscored_characters_leave():
    """With a limit of 3, three characters leave before any score; a block that comes too late stops the rest."""
    rules = ruleset(Terms(("药", DRUGS, None)), labels=[SPAM], exposure_limit=3)
    stream = rules.open(OUT)
    clear, question = sorted(stream.feed("你好世界，"), key=repr)
    assert clear == Cleared(3)
    (block,) = stream.resolve(question.ticket, {SPAM: 0.95})
    assert block.at == 3
    assert block.decision.matches[0].span == Span(0, 5)


def test_an_exposure_limit_never_exposes_a_keyword():
    """A found term stays held although the classifier's answer that could come before it is still out."""
    stream = ruleset(Terms(("药", DRUGS, None)), labels=[SPAM], exposure_limit=100).open(OUT)
    assert list(stream.feed("吃药了")) == [Cleared(1)]
    masking = ruleset(Terms(("药", DRUGS, Action.MASK)), labels=[SPAM], exposure_limit=100).open(OUT)
    mask, clear = masking.feed("吃药了")
    assert (mask.match.span, clear) == (Span(1, 2), Cleared(3))
    (question,) = masking.finish()
    assert list(masking.resolve(question.ticket, {SPAM: 0.0})) == []
    assert masking.decision().action is Action.MASK


def test_many_outstanding_segments_are_bounded():
    """A body of any size asks for a bounded amount of scoring at a time, and all of it in the end."""
    stream = ruleset(labels=[SPAM]).open(IN)
    text = "字" * 20_000
    questions = [*stream.feed(text), *stream.finish()]
    asked = 0
    while questions:
        assert stream.pending * SEGMENT_CHARS <= 4096 + SEGMENT_CHARS
        question = questions.pop(0)
        asked += len(question.text)
        questions += [e for e in stream.resolve(question.ticket, {SPAM: 0.1}) if isinstance(e, ScoreNeeded)]
    assert asked == 20_000
    assert stream.cleared == 20_000
    assert stream.done


# --- failure ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scores",
    [
        {},
        {SPAM: 0.1},
        {SPAM: math.nan, DRUGS: 0.1},
        {SPAM: 1.01, DRUGS: 0.1},
        {SPAM: -0.1, DRUGS: 0},
        {SPAM: "0", DRUGS: 0},
    ],
    ids=["none", "missing", "nan", "over", "under", "text"],
)
def test_scores_that_are_none_are_a_failure(scores):
    """A broken model never passes as a clean one."""
    rules = ruleset(labels=[SPAM, DRUGS])
    stream = rules.open(OUT)
    (question,) = stream.feed("你好，")
    (block,) = stream.resolve(question.ticket, scores)
    assert block.at == 0
    assert block.decision.degraded
    assert block.decision.action is Action.BLOCK
    assert block.decision.matches == ()


def test_on_error_is_per_direction():
    """The same failure blocks the answer and lets the question pass where the policy says so; both are marked."""
    rules = ruleset(labels=[SPAM], on_error={"input": "pass"})
    stream = rules.open(IN)
    (question,) = [*stream.feed("你好，"), *stream.finish()]
    assert list(stream.fail(question.ticket)) == [Cleared(3)]
    assert stream.decision().degraded
    assert stream.decision().action is Action.ALLOW
    stream = rules.open(OUT)
    (question,) = stream.feed("你好，")
    (block,) = stream.fail(question.ticket)
    assert block.decision.degraded


def test_a_failure_takes_its_place_in_the_text():
    """A failed second segment blocks where it begins, once the first is known to be clean."""
    stream = ruleset(labels=[SPAM]).open(OUT)
    first, second = stream.feed("你好，再见。")
    assert list(stream.fail(second.ticket)) == []
    clear, block = stream.resolve(first.ticket, {SPAM: 0.0})
    assert (clear, block.at) == (Cleared(3), 3)


def test_a_failure_does_not_hide_what_was_found_before_it():
    """A flag inside a failed segment is on the record, whether the failure or the clean answer came first."""
    rules = ruleset(Terms(("毒", DRUGS, Action.FLAG)), labels=[SPAM])
    decisions = []
    for failure_first in (True, False):
        stream = rules.open(OUT)
        first, second = (event for event in stream.feed("好，毒品，") if isinstance(event, ScoreNeeded))
        if failure_first:
            stream.fail(second.ticket)
        stream.resolve(first.ticket, {SPAM: 0.0})
        if not failure_first:
            stream.fail(second.ticket)
        decisions.append(stream.decision())
    assert decisions[0] == decisions[1]
    assert [match.rule for match in decisions[0].matches] == ["毒"]
    assert decisions[0].action is Action.BLOCK


def test_unknown_tickets_are_an_error():
    """An answer to a question that was never asked, or was answered, is a bug of the caller's."""
    stream = ruleset(labels=[SPAM]).open(OUT)
    (question,) = stream.feed("你好，")
    with pytest.raises(ValueError, match="ticket 99"):
        stream.resolve(99, {SPAM: 0.1})
    with pytest.raises(ValueError, match="ticket 99"):
        stream.fail(99)
    stream.resolve(question.ticket, {SPAM: 0.1})
    with pytest.raises(ValueError, match="not open"):
        stream.resolve(question.ticket, {SPAM: 0.1})
    with pytest.raises(ValueError, match="not open"):
        ruleset().open(OUT).resolve(1, {})


def test_answers_that_come_after_a_block_are_ignored():
    """Scoring that was under way when the stream was blocked may still report back."""
    stream = ruleset(labels=[SPAM]).open(OUT)
    first, second = stream.feed("你好，再见。")
    assert isinstance(stream.resolve(first.ticket, {SPAM: 0.9})[-1], Blocked)
    assert stream.pending == 0
    assert list(stream.resolve(second.ticket, {SPAM: 0.9})) == []
    with pytest.raises(ValueError, match="not open"):
        stream.fail(second.ticket)


class Crashing:
    """A filter with a bug."""

    def __init__(self):
        self.watermark = 0

    def open(self):
        """Start on a text."""
        return type(self)()

    def feed(self, chunk):
        """Crash on one character."""
        if "崩" in chunk:
            msg = "a bug"
            raise ZeroDivisionError(msg)
        self.watermark += len(chunk)
        return ()

    def finish(self):
        """Find nothing."""
        return ()


def test_a_filter_that_crashes_ends_the_stream():
    """A bug is never a silent pass: the exception is the caller's to see, and no more text is taken."""
    stream = ruleset(Crashing()).open(OUT)
    assert list(stream.feed("好")) == [Cleared(1)]
    with pytest.raises(ZeroDivisionError):
        stream.feed("崩溃")
    with pytest.raises(StreamEndedError):
        stream.feed("x")
    with pytest.raises(StreamEndedError):
        stream.finish()
    (block,) = stream.fail()
    assert block.at == 1
    assert block.decision.degraded
    assert list(stream.fail()) == []


def test_a_crash_passes_only_where_the_policy_says_so():
    """With on_error: pass the text goes on unseen, but what was found before the crash still counts."""
    rules = ruleset(Terms(("广告", SPAM, Action.MASK)), Crashing(), on_error={"output": "pass"}, labels=[DRUGS])
    stream = rules.open(OUT)
    stream.feed("广告")
    with pytest.raises(ZeroDivisionError):
        stream.feed("崩")
    mask, clear = stream.fail()
    assert (mask.match.span, clear) == (Span(0, 2), Cleared(3))
    assert list(stream.feed("后面")) == [Cleared(5)]
    assert list(stream.finish()) == []
    assert stream.done
    assert stream.decision().degraded
    assert stream.decision().action is Action.MASK


def test_a_crash_with_pass_still_stops_at_a_block_that_was_found():
    """Failing open means text that nobody looked at, not text that was found to be forbidden."""
    rules = ruleset(Terms(("炸药", WEAPONS, None)), labels=[DRUGS], on_error={"output": "pass"})
    stream = rules.open(OUT)
    stream.feed("买炸药了")
    clear, block = stream.fail()
    assert (clear, block.at) == (Cleared(1), 1)


class Holding(Crashing):
    """A filter that never lets go."""

    def feed(self, chunk):
        """Find nothing and clear nothing."""
        return ()


@pytest.mark.parametrize("labels", [(), (SPAM,)])
def test_a_filter_that_holds_too_much_is_a_failure(labels):
    """Held text has a named bound; past it the policy decides, and the decision says that it is degraded."""
    stream = ruleset(Holding(), labels=labels).open(OUT)
    assert [e for e in stream.feed("。" * 4096) if isinstance(e, Blocked)] == []
    (block,) = stream.feed("。")
    assert block.at == 0
    assert block.decision.degraded
    stream = ruleset(Holding(), labels=labels, on_error={"output": "pass"}).open(OUT)
    stream.feed("。" * 4096)
    assert list(stream.feed("。")) == [Cleared(4097)]
    assert stream.decision().degraded


# --- monitor and collecting -------------------------------------------------------------------------------------------


def test_pain_16_monitor_delivers_everything_and_records_what_enforcing_would_have_done():
    """Observe before enforcing: nothing is held or changed, and the record shows the block that would have been."""
    rules = ruleset(Terms(("广告", SPAM, Action.MASK), ("炸药", WEAPONS, None)), mode="monitor")
    stream = rules.open(OUT)
    assert stream.monitor
    assert list(stream.feed("广")) == [Cleared(1)]
    flag, clear = stream.feed("告，炸")
    assert (flag.match.action, clear) == (Action.MASK, Cleared(4))
    flag, clear = stream.feed("药")
    assert (flag.match.action, clear) == (Action.BLOCK, Cleared(5))
    assert list(stream.feed("炸药")) == [Cleared(7)]  # looks no more: enforcing would have ended here
    assert list(stream.finish()) == []
    decision = stream.decision()
    assert (decision.action, decision.would_action) == (Action.FLAG, Action.BLOCK)
    assert [match.rule for match in decision.matches] == ["广告", "炸药"]


def test_monitor_never_waits_for_the_classifier():
    """In monitor mode scores are asked for and recorded, but nothing waits for them."""
    stream = ruleset(labels=[SPAM], mode="monitor").open(OUT)
    question, clear = stream.feed("你好，")
    assert clear == Cleared(3)
    assert list(stream.finish()) == []
    assert stream.pending == 1
    (flag,) = stream.resolve(question.ticket, {SPAM: 0.9})
    assert flag.match.score == 0.9
    assert stream.decision().would_action is Action.BLOCK
    assert stream.pending == 0


def test_monitor_survives_every_failure():
    """A failure in monitor mode is recorded as the block that it would have been, and delivers."""
    stream = ruleset(Crashing(), mode="monitor").open(OUT)
    with pytest.raises(ZeroDivisionError):
        stream.feed("崩溃")
    assert list(stream.fail()) == [Cleared(2)]
    assert list(stream.feed("后")) == [Cleared(3)]
    decision = stream.decision()
    assert (decision.action, decision.would_action, decision.degraded) == (Action.FLAG, Action.BLOCK, True)
    stream = ruleset(labels=[SPAM], mode="monitor").open(OUT)
    (question, _) = stream.feed("你好，")
    assert list(stream.fail(question.ticket)) == []
    assert stream.decision().would_action is Action.BLOCK


def test_collecting_lists_every_match_and_clears_nothing_past_a_block():
    """For whole bodies all matches are wanted; still nothing from the first block on is ever called clear."""
    rules = ruleset(Terms(("炸药", WEAPONS, None), ("广告", SPAM, Action.MASK)))
    stream = rules.open(IN, stop_at_block=False)
    events = [*stream.feed("看炸药和广告"), *stream.finish()]
    assert [type(event) for event in events] == [Flagged, Masked, Cleared]
    assert events[-1] == Cleared(1)
    assert stream.decision().action is Action.BLOCK
    assert [match.rule for match in stream.decision().matches] == ["炸药", "广告"]


def test_collecting_fails_closed():
    """Whole bodies follow on_error as streams do."""
    rules = ruleset(Crashing(), labels=[SPAM])
    stream = rules.open(OUT, stop_at_block=False)
    (question,) = stream.feed("你好，")
    assert list(stream.fail(question.ticket)) == []
    assert stream.decision().action is Action.BLOCK
    assert stream.decision().degraded
    stream = rules.open(IN, stop_at_block=False)
    with pytest.raises(ZeroDivisionError):
        stream.feed("崩")
    assert list(stream.fail()) == []
    assert stream.decision().action is Action.BLOCK
    assert stream.cleared == 0


# --- pains of other gateways' users -----------------------------------------------------------------------------------


def test_pain_2_nothing_is_delivered_before_its_verdict():
    """With a classifier, no character leaves before its segment is scored."""
    reader = Reader(ruleset(labels=[SPAM]).open(OUT))
    for char in "今天天气很好，我们去公园":
        reader.feed(char)
        assert reader.out == ""
    reader.resolve(1, {SPAM: 0.0})
    assert reader.out == "今天天气很好，"


def test_pain_3_a_word_cut_across_chunks_never_leaks_its_first_half():
    """A term is held from its first character on, however it is cut."""
    rules = ruleset(Terms(("自制炸药", WEAPONS, None)))
    text = "教你自制炸药的方法"
    for cuts in itertools.product([False, True], repeat=len(text) - 1):
        reader = Reader(rules.open(OUT))
        ends = [at for at, cut in enumerate(cuts, 1) if cut] + [len(text)]
        for start, end in itertools.pairwise([0, *ends]):
            if reader.blocked is None:
                reader.feed(text[start:end])
        assert (reader.out, reader.blocked.at) == ("教你", 2)


def test_pain_4_clean_text_is_not_buffered():
    """Clean text leaves with the chunk that brought it, but for a tail that may become a term."""
    stream = ruleset(Terms(("炸药", WEAPONS, None))).open(OUT)
    for end, char in enumerate("他买了一只鸡，做了一锅汤。", 1):
        assert list(stream.feed(char)) == [Cleared(end)]


def test_pain_22_every_match_is_masked_and_nothing_else():
    """All matches are masked, overlapping ones too, in the mode that the policy says, and no other character."""
    rules = ruleset(Terms(("加微信", SPAM, Action.MASK), ("微信号", SPAM, Action.MASK)))
    reader = Reader(rules.open(OUT))
    for char in "请加微信号聊，或加微信。微信号x":
        reader.feed(char)
    reader.finish()
    assert reader.out == "请****聊，或***。***x"
    assert len(reader.stream.decision().matches) == 4


# --- the oracle -------------------------------------------------------------------------------------------------------

ALPHABET = "炸药鸡否，  毒"
MODEL = {"毒": DRUGS, "鸡": SPAM}
"""The test's model: a segment with the character scores 0.9 for the category, else 0.1."""

actions = st.sampled_from([None, Action.FLAG, Action.MASK, Action.BLOCK])
terms = st.lists(
    st.tuples(st.text("炸药鸡毒", min_size=1, max_size=4), st.sampled_from([WEAPONS, GAMBLING]), actions),
    max_size=4,
    unique_by=lambda term: term[:2],
)
texts = st.text(ALPHABET, max_size=60)
policies = st.fixed_dictionaries(
    {
        "categories": st.fixed_dictionaries(
            {
                code: st.fixed_dictionaries({"action": st.sampled_from(["allow", "flag", "mask", "block"])})
                for code in (WEAPONS, DRUGS, SPAM)
            }
        )
    }
)


def judge(segment):
    """Score as the model does."""
    return {label: 0.9 if char in segment else 0.1 for char, label in MODEL.items()}


def segments(text):
    """The rule of what may leave, written another way than the engine does it."""
    ends = re.escape(CLAUSE_ENDS)
    pattern = rf"[^{ends}]{{0,{SEGMENT_CHARS - 1}}}[{ends}]|[^{ends}]{{{SEGMENT_CHARS}}}|[^{ends}]+"
    for hit in re.finditer(pattern, text):
        stripped = hit.group().strip()
        if any(char.isalnum() for char in stripped):
            start = hit.start() + hit.group().index(stripped)
            yield Span(start, start + len(stripped))


def oracle(text, filters, policy, classify):
    """Matches up to the first block, and the text that is delivered, from the whole text at once."""
    found = [match for filter_ in filters for match in filter_.all(text)]
    if classify:
        found += [
            Match(span, label, Source.CLASSIFIER, "model-1", score)
            for span in segments(text)
            for label, score in judge(text[span.start : span.end]).items()
            if score >= 0.8
        ]
    found = [m._replace(action=policy.rule(m.category, OUT).action if m.action is None else m.action) for m in found]
    found = sorted((m for m in found if m.action is not Action.ALLOW), key=lambda match: match.order)
    first = next((at for at, match in enumerate(found) if match.action is Action.BLOCK), len(found))
    end = found[first].span.start if first < len(found) else len(text)
    told = found[: first + 1]
    masks = [match.span for match in told if match.action is Action.MASK]
    return tuple(told), "".join(
        "*" if any(span.start <= at < span.end for span in masks) else text[at] for at in range(end)
    )


def run(stream, text, data, classify):
    """Feed drawn chunks, answering drawn tickets in between, and the rest in drawn order at the end."""
    reader = Reader(stream)
    while reader.blocked is None and len(reader.text) < len(text):
        size = data.draw(st.integers(0, 8), label="chunk")
        reader.feed(text[len(reader.text) : len(reader.text) + size])
        while classify and reader.blocked is None and reader.questions and data.draw(st.booleans(), label="answer"):
            answer(reader, data)
    if reader.blocked is None:
        reader.finish()
    while reader.blocked is None and reader.questions:
        answer(reader, data)
    return reader


def answer(reader, data):
    """Answer a drawn ticket."""
    ticket = data.draw(st.sampled_from(sorted(reader.questions)), label="ticket")
    reader.resolve(ticket, judge(reader.questions[ticket].text))


@settings(max_examples=150, deadline=None)
@given(st.tuples(terms, terms), texts, policies, st.booleans(), st.data())
def test_verdict_and_delivered_text_are_those_of_the_whole_text(both, text, policy, classify, data):
    """However the text is cut and whoever answers first, the client sees the same and the record says the same."""
    plain, waiting = both
    filters = (Terms(*plain), Terms(*waiting, wait=3))
    rules = ruleset(*filters, labels=list(MODEL.values()), **policy)
    told, delivered = oracle(text, filters, rules.policy, classify)
    reader = run(rules.open(OUT, classify=classify), text, data, classify)
    assert reader.out == delivered
    assert reader.stream.decision().matches == told
    assert (reader.blocked is not None) == any(match.action is Action.BLOCK for match in told)
    assert reader.stream.done
    if reader.blocked:
        assert reader.blocked.decision == reader.stream.decision()


@settings(max_examples=75, deadline=None)
@given(terms, texts, policies)
def test_whole_and_character_by_character_agree(plain, text, policy):
    """The two extremes of chunking give one verdict."""
    rules = ruleset(Terms(*plain), **policy)
    readers = []
    for size in (max(1, len(text)), 1):
        reader = Reader(rules.open(OUT))
        for at in range(0, len(text), size):
            if reader.blocked is None:
                reader.feed(text[at : at + size])
        if reader.blocked is None:
            reader.finish()
        readers.append((reader.out, reader.stream.decision()))
    assert readers[0] == readers[1]


@settings(max_examples=75, deadline=None)
@given(terms, texts)
def test_nothing_is_held_longer_than_necessary(plain, text):
    """A held character has a continuation of the text that makes it part of a match."""
    stream = ruleset(Terms(*plain), categories={"*": {"action": "flag"}}).open(OUT)
    words = [term for term, _, action in plain if action not in (Action.BLOCK, Action.MASK)]
    if len(words) < len(plain):
        return
    for end in range(1, len(text) + 1):
        stream.feed(text[end - 1])
        if stream.cleared < end:
            held = text[stream.cleared : end]
            assert any(word.startswith(held) and word != held for word in words)


@settings(max_examples=100, deadline=None)
@given(terms, texts, st.integers(0, 30), st.data())
def test_an_exposure_limit_is_kept_to(plain, text, limit, data):
    """Never more than the limit leaves unscored, no keyword block ever does, and the matches stay the same."""
    filters = (Terms(*plain),)
    rules = ruleset(*filters, labels=list(MODEL.values()), exposure_limit=limit)
    told, _ = oracle(text, filters, rules.policy, classify=True)
    stream = rules.open(OUT)
    reader = run(stream, text, data, classify=True)
    assert stream.decision().matches == told
    keyword_blocks = [m.span.start for f in filters for m in f.all(text) if m.action in (None, Action.BLOCK)]
    assert len(reader.out) <= min([*keyword_blocks, len(text)])


@settings(max_examples=75, deadline=None)
@given(terms, texts, policies, st.data())
def test_monitor_records_what_enforcing_does(plain, text, policy, data):
    """Monitor and enforce see the same matches and would do the same; monitor delivers every character."""
    filters = (Terms(*plain),)
    labels = list(MODEL.values())
    told, _ = oracle(text, filters, Policy.parse(policy), classify=True)
    rules = ruleset(*filters, labels=labels, mode="monitor", **policy)
    reader = run(rules.open(OUT), text, data, classify=True)
    decision = reader.stream.decision()
    assert reader.out == text
    assert decision.matches == told == tuple(reader.flags)
    assert decision.would_action == max((match.action for match in told), default=Action.ALLOW)
    assert decision.action <= Action.FLAG


@settings(max_examples=75, deadline=None)
@given(terms, texts, policies, st.data())
def test_failures_are_decided_by_place_not_by_time(plain, text, policy, data):
    """Which tickets failed decides the outcome; in which order answers and failures came does not."""
    rules = ruleset(Terms(*plain), labels=list(MODEL.values()), **policy)
    failing = data.draw(st.sets(st.integers(1, 8)), label="failing")
    outcomes = set()
    for order in (1, -1):
        reader = Reader(rules.open(OUT))
        reader.feed(text)
        if reader.blocked is None:
            reader.finish()
        while reader.blocked is None and reader.questions:
            ticket = sorted(reader.questions)[::order][0]
            if ticket in failing:
                reader.fail(ticket)
            else:
                reader.resolve(ticket, judge(reader.questions[ticket].text))
        outcomes.add((reader.out, reader.stream.decision()))
    assert len(outcomes) == 1


# --- the lexicon's own filters ----------------------------------------------------------------------------------------

NOISY = "炸药鸡毒大麻烦 ，。\u200b*炸藥ＳＭsm\n"
lexicon_terms = st.lists(
    st.builds(
        Term,
        st.text("炸药鸡毒大麻sm", min_size=1, max_size=4),
        st.sampled_from([WEAPONS, GAMBLING]),
        action=actions,
        match=st.sampled_from([MatchMode.SUBSTRING, MatchMode.WORD]),
        unless=st.sampled_from([(), ("大麻烦",), ("鸡毒",)]),
    ),
    max_size=5,
    unique_by=lambda term: (term.term, term.category),
)


@settings(max_examples=100, deadline=None)
@given(lexicon_terms, st.text(NOISY, max_size=60), policies, st.booleans(), st.data())
def test_a_lexicon_decides_the_same_for_every_chunking(lexicon, text, policy, classify, data):
    """With noise, variants, word boundaries and exceptions: one verdict and one delivered text for every chunking."""
    rules = Ruleset(Policy.parse(policy), Lexicon(lexicon), "model-1", list(MODEL.values()))
    whole = Reader(rules.open(OUT, classify=classify))
    whole.feed(text)
    if whole.blocked is None:
        whole.finish()
    while whole.blocked is None and whole.questions:
        ticket = next(iter(whole.questions))
        whole.resolve(ticket, judge(whole.questions[ticket].text))
    reader = run(rules.open(OUT, classify=classify), text, data, classify)
    assert reader.out == whole.out
    assert reader.stream.decision() == whole.stream.decision()
    collected = rules.moderate(text, OUT, scorer=(lambda question: judge(question.text)) if classify else None)
    blocks = [match.span.start for match in collected.matches if match.action is Action.BLOCK]
    assert len(reader.out) == min(blocks, default=len(text))


@settings(max_examples=100, deadline=None)
@given(terms, st.text("炸药鸡毒否", max_size=40), st.data())
def test_a_lexicon_of_plain_terms_is_what_the_oracle_says(plain, text, data):
    """Plain terms in plain text: the oracle's matches and text, and nothing held without a reason."""
    text = "".join(char for char, _ in groupby(text))  # doubled characters are a disguise
    rules = Ruleset(Policy(), Lexicon([Term(term, code, action) for term, code, action in plain]))
    told, delivered = oracle(text, (Terms(*plain),), rules.policy, classify=False)
    reader = run(rules.open(OUT), text, data, classify=False)
    assert reader.out == delivered
    assert reader.stream.decision().matches == told
    stream = rules.open(OUT)
    for end in range(1, len(delivered) + 1):
        stream.feed(text[end - 1])
        held = text[stream.cleared : end]
        assert not held or any(term.startswith(held) and term != held for term, _, _ in plain)


def test_the_design_transcript_with_the_lexicon():
    """The transcript of the design holds with the real filters."""
    stream = Ruleset(Policy(), Lexicon([Term("炸药", WEAPONS)])).open(OUT)
    first, second, third, (block,) = transcript(stream, "他买了炸", "鸡", "和炸", "药")
    assert (first, second, third) == ([Cleared(3)], [Cleared(5)], [Cleared(6)])
    assert block.decision.matches[0].span == Span(6, 8)


# --- long texts ----------------------------------------------------------------------------------------------------


class Clocked(Terms):
    """Counts the characters that its scanners were given, and finds a term where it stands whole in a chunk."""

    read = 0

    def open(self):
        """Start on a text."""
        return self

    watermark = 0

    def feed(self, chunk):
        """Look at this chunk alone."""
        begin, self.read = self.read, self.read + len(chunk)
        self.watermark = self.read
        return [
            match._replace(span=Span(begin + match.span.start, begin + match.span.end)) for match in self.all(chunk)
        ]

    def finish(self):
        """Nothing was left."""
        return ()


def test_what_follows_a_block_in_a_long_text_is_not_read():
    """However much comes in one chunk, a block ends the work where it ends the text."""
    subject = Clocked(("炸药", WEAPONS, Action.BLOCK))
    events = ruleset(subject).open(OUT).feed("好" * PIECE + "炸药" + "好" * PIECE * 20)
    assert subject.read == PIECE * 2
    assert (events[-1].at, events[-2]) == (PIECE, Cleared(PIECE))


def test_a_long_text_is_collected_whole_where_blocks_do_not_stop():
    """Its matches are those of all its pieces, and nothing from the first block on is cleared."""
    subject = Clocked(("炸药", WEAPONS, Action.BLOCK))
    stream = ruleset(subject).open(OUT, stop_at_block=False)
    text = "炸药" + "好" * PIECE * 2 + "炸药"
    events = [*stream.feed(text), *stream.finish()]
    assert [match.span.start for match in stream.decision().matches] == [0, len(text) - 2]
    assert not [event for event in events if isinstance(event, Cleared)]
