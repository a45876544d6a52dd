"""Context terms count where the classifier agrees, whatever the chunks and the order of answers."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.classifier import MAX_OUTSTANDING
from filters.context_terms import BLOCK, ContextScanner, Sentences, scored_by
from filters.finding import with_classifier
from filters.lexicon import Lexicon, MatchMode, Term
from filters.policy import Policy
from filters.ruleset import Ruleset, ScoringError
from filters.types import Action, Blocked, Cleared, Direction, Flagged, Masked, ScoreNeeded, Span

IN, OUT = Direction.INPUT, Direction.OUTPUT
DRUGS, SPAM = "A1.h.drugs", "X.spam"


def ruleset(*terms, labels=(DRUGS,), **policy):
    """A ruleset of terms, a model's labels and the keys of a policy; the classifier alone never acts."""
    quiet = {"categories": {"*": {"threshold": 1.0}}} | policy
    return Ruleset(Policy.parse(quiet), Lexicon(terms), "model-1" if labels else None, labels)


def context(term, **fields):
    """A term that needs the classifier."""
    return Term(term, DRUGS, needs="classifier", **fields)


def scores(question, *, sale="卖"):
    """The test's model: a sentence with the character is an offer."""
    return dict.fromkeys((DRUGS,), 0.7 if sale in question.text else 0.2)


def judged(rules, text, scorer=scores):
    """The decision on a whole text."""
    return rules.moderate(text, IN, scorer=scorer)


class Client:
    """Reads a stream and answers its questions when told to."""

    def __init__(self, stream, model=scores):
        self.stream = stream
        self.model = model
        self.text = self.out = ""
        self.masks = []
        self.told = []
        self.questions = []
        self.blocked = False

    def take(self, events):
        """Read events."""
        for event in events:
            assert not self.blocked
            if isinstance(event, Cleared):
                self.out += "".join(
                    "*" if any(a <= at < b for a, b in self.masks) else self.text[at]
                    for at in range(len(self.out), event.upto)
                )
            elif isinstance(event, Masked):
                assert event.match.span.start >= len(self.out) or event.match.source == "classifier"
                self.masks.append(event.match.span)
            elif isinstance(event, ScoreNeeded):
                self.questions.append(event)
            elif isinstance(event, Blocked):
                self.blocked = True
            elif isinstance(event, Flagged):
                self.told.append(event.match)

    def feed(self, chunk):
        """Pass text on."""
        self.text += chunk
        self.take(self.stream.feed(chunk))

    def answer(self, at=0):
        """Answer one question."""
        question = self.questions.pop(at)
        self.take(self.stream.resolve(question.ticket, self.model(question)))


# --- what counts ------------------------------------------------------------------------------------------------------


def test_a_hit_counts_only_where_the_classifier_agrees():
    """毒品 in a report is left alone and in an offer is found, with what the classifier gave the sentence."""
    rules = ruleset(context("毒品"))
    assert judged(rules, "警方查获毒品一批。").matches == ()
    (match,) = judged(rules, "警方查获毒品一批。这里卖毒品，包邮。").matches
    assert (match.span, match.needs, match.agreed, match.score) == (Span(12, 14), True, 0.7, 1.0)
    assert match.action is Action.BLOCK


def test_only_its_own_sentence_speaks_for_a_hit():
    """What the sentences before and after say does not count, and all hits of a sentence share one question."""
    asked = []

    def model(question):
        asked.append(question.text)
        return scores(question)

    decision = ruleset(context("毒品"), labels=(DRUGS,)).moderate("我们卖水果。毒品和毒品！也卖菜。", OUT, scorer=model)
    assert decision.matches == ()
    assert asked.count("毒品和毒品！") == 2  # once as a segment, once as a sentence


def test_plain_terms_beside_it_do_not_wait():
    """A term without needs counts as ever, and one of another spelling with needs does not void it."""
    rules = ruleset(context("毒品"), Term("大麻", DRUGS))
    (match,) = judged(rules, "查获毒品和大麻。").matches
    assert (match.rule, match.needs, match.agreed) == ("大麻", False, None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("这里卖毒 品", True),
        ("这里卖du品", True),
        ("查获毒 品", False),
        ("卖反毒品手册", False),
        ("卖毒品，货到付款", True),
    ],
)
def test_every_other_condition_holds_as_well(text, found):
    """Disguises, exceptions and sounds are decided first, the classifier after them."""
    rules = ruleset(context("毒品", match=MatchMode.SOUND, unless=("反毒品",)))
    assert bool(judged(rules, text).matches) is found


def test_the_threshold_is_the_policys_by_category_and_direction():
    """`context_threshold` is 0.5 unless the policy says otherwise, for all, for a category or for a direction."""
    categories = {"*": {"threshold": 1.0, "context_threshold": 0.1}, "A1.h": {"input": {"context_threshold": 0.71}}}
    rules = ruleset(context("毒品"), categories=categories)
    assert Policy().rule(DRUGS, IN).context_threshold == 0.5
    assert rules.moderate("卖毒品", IN, scorer=scores).matches == ()
    assert rules.moderate("查毒品", OUT, scorer=scores).matches
    profile = Policy.parse({"profiles": {"a": {"categories": {DRUGS: {"context_threshold": 0.9}}}}})
    assert profile.profile("a").rule(DRUGS, IN).context_threshold == 0.9


@pytest.mark.parametrize(
    ("code", "labels", "expected"),
    [
        ("A1.h.drugs", ("A1.h", "A1.h.drugs", "A1.h.gambling"), ("A1.h", "A1.h.drugs")),
        ("A1.h", ("A1.h", "A1.h.drugs", "X.spam"), ("A1.h", "A1.h.drugs")),
        ("A1.h.gambling", ("A1.h", "A1.h.drugs"), ("A1.h",)),
        ("A1.h.gambling", ("A1.h.drugs", "X.spam"), ()),
        ("A1.h", ("A1.h.drugs",), ("A1.h.drugs",)),
    ],
)
def test_which_labels_speak_of_a_category(code, labels, expected):
    """Its own, those below it and those above; never a sister."""
    assert scored_by(code, labels) == expected


# --- nobody to ask, or no answer --------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [(), (SPAM,)], ids=["no model", "no label"])
def test_where_nobody_can_tell_the_term_counts_by_itself(labels):
    """Without a classifier, or with one that does not know the category, a context term is a plain one."""
    rules = ruleset(context("毒品"), labels=labels)
    scorer = (lambda _: {SPAM: 0.1}) if labels else None
    (match,) = rules.moderate("查获毒品。", IN, scorer=scorer).matches
    assert (match.needs, match.agreed) == (True, None)
    assert list(rules.unscored) == [DRUGS]
    assert list(ruleset(context("毒品")).unscored) == []


@pytest.mark.parametrize(("on_error", "action"), [("block", Action.BLOCK), ("pass", Action.ALLOW)])
def test_a_failure_is_decided_by_the_policy(on_error, action):
    """No answer: `on_error` decides where the hit stands, and the decision says so."""

    def failing(question):
        if question.text == "查获毒品。":
            raise ScoringError("late")
        return scores(question)

    rules = ruleset(context("毒品"), on_error={"input": on_error}, categories={"*": {"threshold": 1.0}})
    decision = judged(rules, "今天查获毒品。", scores)
    assert not decision.degraded
    decision = judged(rules, "今天在这里。查获毒品。", failing)
    assert (decision.action, decision.degraded, decision.matches) == (action, True, ())


def test_a_failed_sentence_stops_a_stream_at_its_first_hit():
    """Fail closed: what stands before the hit leaves, the hit and what follows do not."""
    client = Client(ruleset(context("毒品"), labels=(DRUGS,), categories={DRUGS: {"threshold": 1.0}}).open(OUT))
    client.feed("这里有毒品卖。后面")
    sentence = next(
        question for question in client.questions if question.text == "这里有毒品卖。" and question.ticket > 1
    )
    for question in [one for one in client.questions if one is not sentence]:
        client.questions.remove(question)
        client.take(client.stream.resolve(question.ticket, scores(question)))
    client.take(client.stream.fail(sentence.ticket))
    assert (client.out, client.blocked) == ("这里有", True)
    assert client.stream.decision().degraded


def test_scores_that_are_none_fail_the_sentence():
    """An answer that is no probability never clears a hit."""
    stream = ruleset(context("毒品"), categories={"*": {"action": "flag"}, DRUGS: {"action": "block"}}).open(OUT)
    questions = [event for event in (*stream.feed("毒品。"), *stream.finish()) if isinstance(event, ScoreNeeded)]
    for question in questions:
        stream.resolve(question.ticket, {DRUGS: float("nan")})
    assert stream.decision().degraded
    assert stream.decision().action is Action.BLOCK


def test_a_policy_that_acts_on_no_score_still_asks_for_context_terms():
    """The classifier may be allowed to find nothing by itself and still speak for a term with an action of its own."""
    rules = ruleset(context("毒品", action=Action.BLOCK), categories={"*": {"action": "allow"}})
    asked = []

    def model(question):
        asked.append(question.text)
        return scores(question)

    assert judged(rules, "这里卖毒品。别的。", model).action is Action.BLOCK
    assert asked == ["这里卖毒品。"]


def test_no_context_terms_nothing_changes():
    """A lexicon without such terms opens the same streams as before."""
    rules = ruleset(Term("毒品", DRUGS))
    assert rules.context_terms(rules.policy, IN) is None


# --- streams ----------------------------------------------------------------------------------------------------------


def test_the_transcript_of_a_stream():
    """What stands before a hit leaves, the hit and what follows wait for the sentence and its score."""
    rules = ruleset(
        context("毒品"), categories={"*": {"action": "allow"}, DRUGS: {"action": "block", "threshold": 1.0}}
    )
    client = Client(rules.open(OUT))
    client.feed("你好，查获")
    while client.questions:
        client.answer()
    assert client.out == "你好，"  # the segment under way is not scored yet
    client.feed("毒品一批")
    assert client.questions == []
    client.feed("，很好。再")
    assert [question.text for question in client.questions] == [
        "查获毒品一批，",
        "很好。",
        "你好，查获毒品一批，很好。",
    ]
    client.answer()
    client.answer()
    assert client.out == "你好，查获"
    client.answer()
    assert client.out == "你好，查获毒品一批，很好。"
    client.feed("见，卖毒品！")
    while client.questions and not client.blocked:
        client.answer()
    assert (client.out, client.blocked) == ("你好，查获毒品一批，很好。再见，卖", True)


def test_an_exposure_limit_never_exposes_a_hit():
    """Characters may leave before they are scored, but not those of a hit that waits for its sentence."""
    client = Client(ruleset(context("毒品"), exposure_limit=100).open(OUT))
    client.feed("这里有毒品")
    assert client.out == "这里有"
    client.feed("卖，现货。")
    assert client.out == "这里有"
    while client.questions and not client.blocked:
        client.answer()
    assert (client.out, client.blocked) == ("这里有", True)


def test_a_sentence_that_never_ends_is_bounded():
    """Of a sentence without an end some 64 characters on each side are read, and no more are waited for."""
    client = Client(ruleset(context("毒品"), categories={"*": {"threshold": 1.0}}).open(OUT))
    text = "字" * 100 + "毒品" + "字" * 4000
    at = 0
    while at < len(text):
        client.feed(text[at : at + 5])
        at += 5
        while client.questions:
            assert len(client.questions[0].text) <= 4 * BLOCK
            client.answer()
        assert len(client.out) >= at - 2 * BLOCK - 8
    client.take(client.stream.finish())


def test_text_without_hits_is_held_no_longer():
    """Clean text leaves as soon as with a lexicon that has no context terms."""
    outs = []
    for term in (context("毒品"), Term("毒品", DRUGS)):
        client = Client(ruleset(term).open(OUT))
        steps = []
        for char in "今天天气很好，我们去公园吧。毒蘑菇不能吃！好的":
            client.feed(char)
            while client.questions:
                client.answer()
            steps.append(len(client.out))
        outs.append(steps)
    assert outs[0] == outs[1]


def test_many_hits_ask_few_questions_and_answers_may_be_late():
    """A text of hits only asks twice in a block at most, and waiting for answers is no reason to give up."""
    client = Client(ruleset(context("毒品"), labels=(DRUGS,)).open(OUT), lambda _: {DRUGS: 0.1})
    for _ in range(10):
        client.feed("毒品" * 500)
    sentences = [question for question in client.questions if len(question.text) > BLOCK]
    assert len(sentences) <= 2 * 10_000 // BLOCK
    client.take(client.stream.finish())
    while client.questions:
        client.answer(len(client.questions) // 2)
    assert client.out == client.text
    assert not client.stream.decision().degraded


def test_only_so_many_sentences_are_out_at_once():
    """A text of hits does not fill the classifier's queue for everybody: what is too much is asked after answers."""
    client = Client(ruleset(context("毒品"), categories={"*": {"action": "flag"}}).open(OUT))
    for _ in range(10):
        client.feed("毒品。" * 1000)
        assert sum(len(question.text) for question in client.questions) < 2 * (MAX_OUTSTANDING + 4 * BLOCK)
    client.take(client.stream.finish())
    while client.questions:
        client.answer()
    assert client.out == client.text
    assert client.stream.pending == 0


@pytest.mark.parametrize(("said", "before"), [(0, ""), (3, "现货。"), (900, "这里卖现货。")])
def test_what_is_read_before_a_sentence_is_as_the_policy_has_it(said, before):
    """A model that judges context and text together gets none where the policy says so: its sentence alone speaks."""
    classifier = {"kind": "transformers", "model": "m", "labels": {"a": DRUGS}, "context": said}
    asked = []

    def model(question):
        asked.append(question)
        return scores(question)

    rules = ruleset(context("毒品", action=Action.FLAG), categories={"*": {"action": "allow"}}, classifier=classifier)
    judged(rules, "这里卖现货。查获毒品。", model)
    assert [(question.text, question.context) for question in asked] == [("查获毒品。", before)]


def test_little_is_kept_of_a_long_text():
    """Memory does not grow with the text."""
    rules = ruleset(context("毒品"))
    scanner = ContextScanner(rules.context_terms(rules.policy, OUT), None, (open_scanner := rules.filters[0].open(),))
    for _ in range(200):
        chunk = "这是一个普通的句子，没有什么。" * 10
        assert not open_scanner.feed(chunk)
        assert scanner.feed(chunk) == []
    assert len(scanner._sentences) < 4000
    assert len(scanner._sentences._ends) < 400


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("卖！毒品！包邮！", True),
        ("卖。毒品", True),
        ("毒品！！！！！！卖！", True),
        ("Sell! 毒品! 卖!", True),
        ("毒品。\n\n卖。", True),
        ("毒品是个大问题。卖！", False),
        ("我们卖水果。毒品和毒品！也卖菜。", False),
        ("毒品！" + "！" * BLOCK + "卖！", False),
    ],
)
def test_marks_between_words_leave_no_term_alone(text, found):
    """A sentence that says next to nothing is judged with what follows it; one that says enough, alone."""
    for cut in range(len(text)):
        stream = ruleset(context("毒品")).open(IN, stop_at_block=False)
        client = Client(stream)
        client.feed(text[:cut])
        client.feed(text[cut:])
        client.take(stream.finish())
        while client.questions:
            client.answer()
        assert bool(stream.decision().matches) == found, cut


# --- the oracle -------------------------------------------------------------------------------------------------------


def sentence_of(text, span):
    """The part that is read round a span, found in the whole text at once, another way."""
    cuts = [0]
    for hit in re.finditer(r"[。！]|\n {0,16}\n", text):
        said = text[cuts[-1] : hit.end()]
        if sum(map(str.isalpha, said)) >= 4 or len(said) > BLOCK:
            cuts.append(hit.end())
    cuts.append(len(text))
    begin = max(cut for cut in cuts if cut <= span.start)
    end = min(cut for cut in cuts if cut >= span.end)
    blocks = list(range(begin, end, BLOCK))
    mine = [number for number, at in enumerate(blocks) if at < span.end and at + BLOCK > span.start]
    first, last = max(0, mine[0] - 1), min(len(blocks) - 1, mine[-1] + 1)
    return Span(blocks[first], min(end, blocks[last] + BLOCK))


@settings(max_examples=300, deadline=None)
@given(st.text("毒品字。！\n ", max_size=160), st.lists(st.integers(0, 160), max_size=8))
def test_sentences_are_those_of_the_whole_text(text, cuts):
    """However the text is cut, and however much was forgotten, the part round a span is the same."""
    places = [Span(hit.start(), hit.end()) for hit in re.finditer("毒品", text)]
    sentences, told = Sentences(), {}
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    for start, end in itertools.pairwise(edges):
        sentences.feed(text[start:end])
        sentences.forget(min([place.start for place in places if place not in told], default=end))
        for place in places:
            if place.end <= end and place not in told and (part := sentences.around(place)):
                told[place] = part
                question = sentences.question(1, part)
                assert question.text == text[part.start : part.end].strip()
                assert len(question.context) <= 64
    sentences.finish()
    told |= {place: sentences.around(place) for place in places if place not in told}
    assert told == {place: sentence_of(text, place) for place in places}


ACTIONS = st.sampled_from([None, Action.FLAG, Action.MASK, Action.BLOCK])
TERMS = st.lists(
    st.builds(
        Term,
        st.sampled_from(["毒品", "毒", "大麻", "麻药", "sm"]),
        st.sampled_from([DRUGS, SPAM]),
        action=ACTIONS,
        match=st.sampled_from([MatchMode.SUBSTRING, MatchMode.WORD, MatchMode.SOUND]),
        unless=st.sampled_from([(), ("大麻药",)]),
        with_=st.sampled_from([(), ("货",)]),
        needs=st.sampled_from(["", "classifier"]),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda term: (term.term, term.category),
)
TEXTS = st.text("毒品大麻药货卖字字， 。！\nsm\u200bd", max_size=120)
POLICIES = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["enforce", "monitor"]),
        "on_error": st.sampled_from([{"output": "block"}, {"output": "pass"}]),
        "exposure_limit": st.sampled_from([0, 0, 5, 40]),
        "categories": st.sampled_from(
            [{}, {DRUGS: {"action": "mask"}}, {"*": {"threshold": 0.6}}, {SPAM: {"action": "allow"}}]
        ),
    }
)


def model(question):
    """Scores by what stands in the text, that of 字 in between the thresholds."""
    return {DRUGS: 0.9 if "卖" in question.text else 0.55 if "字" in question.text else 0.1, SPAM: 0.3}


def expected(rules, text):
    """The matches up to the first block, from the whole text and the filter's hits at once."""
    policy, found = rules.policy, []
    scanner = rules.filters[0].open()
    for match in (*scanner.feed(text), *scanner.finish()):
        rule = policy.rule(match.category, OUT)
        action = rule.action if match.action is None else match.action
        if action is Action.ALLOW:
            continue
        agreed = None
        if match.needs:
            part = sentence_of(text, match.span)
            asked = ScoreNeeded(0, text[part.start : part.end], "")
            agreed = model(asked)[match.category]
            if agreed < rule.context_threshold:
                continue
        found.append(match._replace(action=action, agreed=agreed))
    return found


@settings(max_examples=400, deadline=None)
@given(TERMS, TEXTS, POLICIES, st.data())
def test_verdicts_are_those_of_the_whole_text(terms, text, policy, data):
    """For every chunking and every order of answers: the oracle's matches, and nothing of a hit leaves too early."""
    rules = Ruleset(Policy.parse(policy), Lexicon(terms), "model-1", (DRUGS, SPAM))
    client = Client(rules.open(OUT), model)
    while not client.blocked and len(client.text) < len(text):
        size = data.draw(st.integers(0, 12), label="chunk")
        client.feed(text[len(client.text) : len(client.text) + size])
        while not client.blocked and client.questions and data.draw(st.booleans(), label="answer"):
            client.answer(data.draw(st.integers(0, len(client.questions) - 1), label="question"))
    if not client.blocked:
        client.take(client.stream.finish())
    while not client.blocked and client.questions and client.stream.pending:
        client.answer(data.draw(st.integers(0, len(client.questions) - 1), label="question"))
    whole = rules.moderate(text, OUT, scorer=model)
    decision = client.stream.decision()
    blocks = [match for match in whole.matches if match.action is Action.BLOCK]
    upto = blocks[0].order if blocks else (len(text) + 1,)
    assert decision.matches == tuple(match for match in whole.matches if match.order <= upto)
    assert [match for match in whole.matches if match.source != "classifier"] == sorted(
        expected(rules, text), key=lambda match: match.order
    )
    enforced = policy["mode"] == "enforce"
    assert client.blocked is (bool(blocks) and enforced)
    if enforced and not policy["exposure_limit"]:
        assert len(client.out) == (blocks[0].span.start if blocks else len(text))
    if not enforced:
        assert client.out == text
    by_term = [match for match in blocks if match.source != "classifier"]
    if enforced and by_term:
        assert len(client.out) <= by_term[0].span.start
    assert client.stream.done


@settings(max_examples=150, deadline=None)
@given(TERMS, TEXTS, POLICIES, st.integers(1, 7))
def test_failures_are_decided_by_place(terms, text, policy, step):
    """Where every sentence fails, the outcome is the same whole as in pieces, and in either order of answers."""
    rules = Ruleset(Policy.parse(policy | {"exposure_limit": 0}), Lexicon(terms), "model-1", (DRUGS, SPAM))
    outcomes = set()
    for size, last in ((len(text) + 1, 0), (step, -1)):
        client = Client(rules.open(OUT), model)
        for at in range(0, len(text), size):
            if not client.blocked:
                client.feed(text[at : at + size])
        if not client.blocked:
            client.take(client.stream.finish())
        while not client.blocked and client.questions and client.stream.pending:
            client.take(client.stream.fail(client.questions.pop(last).ticket))
        outcomes.add((client.out, client.stream.decision()))
    assert len(outcomes) == 1


def test_terms_are_tried_as_they_will_count():
    """Lint and trials ask the classifier of a policy what streams will ask it: with the policy's context, here none."""
    policy = Policy.parse(
        {"classifier": {"kind": "http", "api": "tei", "url": "http://x", "labels": {"a": DRUGS}, "context": 0}}
    )
    asked = []

    def model(question):
        asked.append(question.context)
        return scores(question)

    find = with_classifier(policy, "model-1", (DRUGS,), model)([context("毒品")])
    assert [match.span for match in find("卖青菜啦。查获毒品。卖毒品。")] == [Span(11, 13)]
    assert asked == ["", ""]
