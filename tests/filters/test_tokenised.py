import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.keyword import build_filters
from filters.lexicon import Lexicon, MatchMode, Term
from filters.testing import check_filter
from filters.types import Source


def filter_of(*terms):
    """A filter of these terms."""
    (found,) = build_filters(Lexicon(terms))
    return found


def term(spelling, *, word=False, unless=(), with_=(), within=None):
    """A term with its conditions."""
    mode = MatchMode.WORD if word else MatchMode.SUBSTRING
    return Term(spelling, "A1.d", None, mode, tuple(unless), tuple(with_), within)


def spans(subject, *chunks):
    """Where the matches are."""
    scanner = subject.open()
    found = [match for chunk in chunks for match in scanner.feed(chunk)] + list(scanner.finish())
    return sorted((match.span.start, match.span.end) for match in found)


def hits(subject, text):
    """What the matches cover."""
    return [text[start:end] for start, end in spans(subject, text)]


def transcript(subject, *chunks):
    """The watermark and the matches after each chunk."""
    scanner = subject.open()
    return [([(m.span.start, m.span.end) for m in scanner.feed(chunk)], scanner.watermark) for chunk in chunks]


# --- pain 8: substrings of harmless words --------------------------------------------------------------------------


def test_pain_8_damafan_is_no_cannabis():
    """PEERS 8: 大麻烦 does not match the word 大麻, and 大麻 does, without any list of exceptions."""
    subject = filter_of(term("大麻", word=True))
    assert spans(subject, "这下有大麻烦了，他在抽大麻。") == [(11, 13)]


def test_pain_8_an_exception_voids_that_span_alone():
    """PEERS 8: an exception is bound to the hit that it covers, not to the whole text."""
    subject = filter_of(term("大麻", unless=["大麻烦", "大麻哈鱼"]))
    assert spans(subject, "大麻烦，大麻，大麻哈鱼，种大麻") == [(4, 6), (13, 15)]


def test_pain_8_sm_in_smoking():
    """PEERS 8: the word SM is not in Smoking, and is in "SM play"."""
    subject = filter_of(term("SM", word=True))
    assert hits(subject, "No Smoking, plasma, SMS; SM play, 玩sm吗") == ["SM", "sm"]


def test_a_substring_term_is_found_inside_words():
    """Without ``word``, the letters count wherever they stand."""
    assert hits(filter_of(term("SM")), "No Smoking") == ["Sm"]


# --- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["抽大麻", "抽大麻，", "大麻", "抽大 麻了", "抽大\u200b麻", "吸大麻的人"])
def test_a_word_is_found_through_disguise(text):
    """Noise inside a word does not hide it from the segmenter."""
    assert len(spans(filter_of(term("大麻", word=True)), text)) == 1


@pytest.mark.parametrize("text", ["大麻烦", "大\u200b麻烦", "大麻\u200b烦", "最大麻烦是"])
def test_a_part_of_a_longer_word_is_no_word(text):
    """Ignorable characters do not make boundaries."""
    assert spans(filter_of(term("大麻", word=True)), text) == []


def test_a_word_that_jieba_does_not_know_is_known_in_its_window():
    """A ``word`` term may be new; it then competes with its neighbours by jieba's own rule."""
    assert hits(filter_of(term("笑气弹", word=True)), "卖笑气弹的") == ["笑气弹"]


def test_a_word_of_two_scripts_has_boundaries_of_both():
    """Letters end where letters end, ideographs where words do."""
    subject = filter_of(term("AK枪", word=True))
    assert hits(subject, "买AK枪，买XAK枪，买AK枪支") == ["AK枪"]


def test_a_word_waits_for_its_right_context_and_no_longer():
    """The watermark stays at the candidate until the window is complete, then moves on at once."""
    subject = filter_of(term("大麻", word=True))
    assert transcript(subject, "抽大麻", "，", "抽大麻", "烦") == [([], 1), ([(1, 3)], 4), ([], 5), ([], 5)]
    assert transcript(subject, "抽大麻" + "的" * 11, "的") == [([], 1), ([(1, 3)], 15)]
    assert transcript(filter_of(term("SM", word=True)), "an SM", "S", " SM ") == [([], 3), ([], 5), ([(7, 9)], 10)]


def test_the_source_says_what_kind_of_term_it_was():
    """Terms with conditions are tokenised matches, plain ones keyword matches."""
    subject = filter_of(term("大麻", word=True), term("炸药"), term("冰", unless=["冰水"]))
    scanner = subject.open()
    found = [*scanner.feed("大麻，炸药，冰。"), *scanner.finish()]
    assert [match.source for match in found] == [Source.TOKENISED, Source.KEYWORD, Source.TOKENISED]


# --- words on both sides of noise ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spelling", "text", "hit"),
    [
        ("枪支", "长期供应枪^支配件", "枪^支"),
        ("笑气", "后门有人卖笑\n气，一口上头", "笑\n气"),
        ("刷单", "在家刷 单日入三百", "刷 单"),
        ("银行卡四件套", "高价收银.行.卡.四.件.套，要本人的", "银.行.卡.四.件.套"),
        ("发票", "他们准备出发，票已经买好", None),
        ("枪支", "买枪 支持正版", None),
        ("炸弹", "别挨炸，弹簧坏了", None),
    ],
)
def test_likelier_words_explain_a_torn_term(spelling, text, hit):
    """A word that reaches over the end of a torn term explains it away only where the whole is likelier for it."""
    assert hits(filter_of(term(spelling)), text) == ([hit] if hit else [])


@pytest.mark.parametrize(
    ("spelling", "text", "found"),
    [
        ("heroin", "I met her. Oin is a dwarf.", False),
        ("heroin", "he sells her.oin", True),
        ("heroin", "he sells hero. in bags", False),
        ("cocaine", "buy co. caine", True),
        ("free spins", "This is free. Spins are for dancers.", False),
        ("free spins", "get free.spins, free-spins and free spins", True),
        ("fake passport", "fake, passport", True),
    ],
)
def test_the_end_of_an_english_sentence_explains_a_torn_term(spelling, text, found):
    """A full stop and a space beside an ordinary word end a sentence, also where the term has a space of its own."""
    assert bool(hits(filter_of(term(spelling, word=True)), text)) is found


@pytest.mark.parametrize(
    ("spelling", "text", "found"),
    [
        ("图表", "以数据意图表示结果", False),
        ("大麻", "麻阳县大麻村委会", False),
        ("大麻", "在县里抽大麻", True),
    ],
)
def test_a_word_that_others_straddle_or_that_names_a_place_does_not_count(spelling, text, found):
    """Two longer words that meet inside a `word` term are likelier meant, and so is a village in its county."""
    assert bool(hits(filter_of(term(spelling, word=True)), text)) is found


# --- exceptions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["大麻煩", "大麻 烦", "大 麻\u200b烦", "大*麻*烦", "大麻\n烦", "ＡＢ大麻烦"])
def test_exceptions_match_through_the_same_variants(text):
    """An exception is as robust as a term."""
    assert spans(filter_of(term("大麻", unless=["大麻烦"])), text) == []


@pytest.mark.parametrize("text", ["大麻。烦", "大麻，烦死了", "大麻    烦"])
def test_an_exception_does_not_reach_over_a_clause(text):
    """A complete hit is not voided by what the next clause or sentence begins with."""
    assert spans(filter_of(term("大麻", unless=["大麻烦"])), text) == [(0, 2)]


def test_an_exception_that_is_under_way_is_waited_for():
    """The candidate waits while the text may still become the exception, on either side."""
    subject = filter_of(term("大麻", unless=["无大麻烦恼"]))
    assert transcript(subject, "无大麻", "烦", "恼") == [([], 1), ([], 1), ([], 5)]
    assert transcript(subject, "无大麻", "烦", "人") == [([], 1), ([], 1), ([(1, 3)], 5)]
    assert transcript(subject, "有大麻") == [([(1, 3)], 3)]


def test_a_term_can_stand_several_times_in_its_exception():
    """Each place of the phrase that has the term covers it."""
    subject = filter_of(term("哈", unless=["哈尔哈"]))
    assert spans(subject, "哈尔哈") == []
    assert spans(subject, "哈尔滨哈") == [(0, 1), (3, 4)]


# --- companions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("吸食冰", True),
        ("吸食了点冰", True),
        ("吸食了一点冰", True),
        ("吸食了一点的冰", False),
        ("冰可以吸食", True),
        ("冰不可以吸食", True),
        ("冰不可以再吸食", False),
        ("冰。吸食", True),
        ("吸 食 冰", True),
        ("冰水", False),
        ("xi冰", False),
    ],
)
def test_a_companion_must_stand_within_its_distance(text, found):
    """The distance is counted between the nearest edges, in characters of the original text."""
    subject = filter_of(term("冰", with_=["吸食"], within=3))
    assert hits(subject, text) == ["冰"] * found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("卖冰，货到付款，可以出售", True),
        ("出售各种货物、水果、冰", True),
        ("卖冰。可以出售", False),
        ("可以出售！冰", False),
        ("卖冰\n可以出售", True),
        ("卖冰\n \n可以出售", False),
        ("卖冰\r\n\r\n可以出售", False),
        ("冰" + "水" * 200 + "出售", True),
        ("冰" + "水" * 201 + "出售", False),
        ("出售" + "水" * 200 + "冰", True),
        ("出售" + "水" * 201 + "冰", False),
    ],
)
def test_a_companion_in_the_same_sentence(text, found):
    """A sentence ends at 。！？ or an empty line, and no companion is further than 200 characters away."""
    subject = filter_of(term("冰", with_=["出售"], within="sentence"))
    assert len(spans(subject, text)) == found
    assert len(spans(subject, *text)) == found


def test_a_candidate_waits_for_its_companion_and_no_longer():
    """It is decided by the companion, by the distance, or by the end of the sentence."""
    near = filter_of(term("冰", with_=["吸食"], within=2))
    assert transcript(near, "卖冰", "吸", "食") == [([], 1), ([], 1), ([(1, 2)], 4)]
    assert transcript(near, "卖冰", "水果", "吸", "食") == [([], 1), ([], 1), ([], 1), ([(1, 2)], 6)]
    assert transcript(near, "卖冰", "水果吸", "水") == [([], 1), ([], 1), ([], 6)]
    same = filter_of(term("冰", with_=["吸食"], within="sentence"))
    assert transcript(same, "卖冰，水果", "。") == [([], 1), ([], 6)]


# --- against an oracle ---------------------------------------------------------------------------------------------

ALPHABET = "大麻烦冰吸药 ，。\n\u200b*"
PHRASES = st.text("大麻烦冰吸药", min_size=1, max_size=3)
TERMS = st.lists(
    st.builds(
        term,
        PHRASES,
        unless=st.lists(PHRASES, max_size=2),
        with_=st.lists(PHRASES, max_size=2),
        within=st.integers(0, 6) | st.just("sentence"),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda term: term.term,
)


def naive(phrase, text):
    """Every place where a phrase's characters stand with narrow gaps, as the offsets of its characters."""
    found = []
    for start, first in enumerate(text):
        if first != phrase[0]:
            continue
        places, noise = [start], 0
        for at in range(start + 1, len(text)):
            if len(places) == len(phrase) or noise > 3 or text[at] == "。":
                break
            if text[at] in " ，\n*":
                noise += 1
            elif text[at] != "\u200b":
                if text[at] != phrase[len(places)]:
                    break
                places.append(at)
                noise = 0
        if len(places) == len(phrase):
            found.append(places)
    return found


def excepted(rule, text, hit):
    """Whether an exception covers the hit without a clause mark outside of it."""
    return any(
        other[0] <= hit[0] and hit[-1] <= other[-1]
        and "，" not in text[other[0] : hit[0]] + text[hit[-1] + 1 : other[-1] + 1]
        for phrase in rule.unless
        for other in naive(phrase, text)
    )  # fmt: skip


def accompanied(rule, text, hit):
    """Whether a companion stands near enough."""
    for phrase in rule.with_:
        for other in naive(phrase, text):
            between = text[other[-1] + 1 : hit[0]] if other[-1] < hit[0] else text[hit[-1] + 1 : other[0]]
            blank = between.replace(" ", "").replace("\u200b", "")
            ended = "。" in between or "\n\n" in blank
            if (not ended) if rule.within == "sentence" else len(between) <= rule.within:
                return True
    return not rule.with_


@settings(max_examples=400, deadline=None)
@given(TERMS, st.text(ALPHABET, max_size=40), st.lists(st.lists(st.integers(0, 40), max_size=6), max_size=3))
def test_conditions_are_the_oracles_for_every_cut(terms, text, cuts):
    """Exceptions and companions decide as a naive reading of the whole text does, however it is cut.

    Hits that noise tears are left to the tests above: here only those that stand whole are compared.
    """
    subject = filter_of(*terms)
    noise = set(" ，\n*")
    expected = {
        (hit[0], hit[-1] + 1)
        for rule in terms
        for hit in naive(rule.term, text)
        if not noise & set(text[hit[0] : hit[-1]]) and not excepted(rule, text, hit) and accompanied(rule, text, hit)
    }
    assert {span for span in spans(subject, text) if not noise & set(text[span[0] : span[1]])} == expected
    check_filter(subject, [text], cuts)


WORDS = st.lists(
    st.builds(
        term,
        st.text("大麻烦药ab", min_size=1, max_size=3),
        word=st.booleans(),
        unless=st.lists(PHRASES, max_size=1),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300, deadline=None)
@given(
    WORDS,
    st.text("大麻烦药的ab ，。\u200b*", max_size=50),
    st.lists(st.lists(st.integers(0, 50), max_size=6), max_size=3),
)
def test_words_do_not_depend_on_the_cuts(terms, text, cuts):
    """Windows are measured in the text, so word boundaries are the same for every chunking."""
    check_filter(filter_of(*terms), [text], cuts)


def test_many_waiting_candidates_stay_cheap():
    """Character by character, ten times the candidates that wait for a companion cost about ten times as much."""
    subject = filter_of(term("冰", with_=["吸食"], within="sentence"))

    def spend(size):
        scanner = subject.open()
        begin = time.process_time()
        for _ in range(size):
            scanner.feed("冰")
        assert not scanner.finish()
        assert len(scanner._pending) == 0
        return time.process_time() - begin

    spend(100)
    assert spend(5000) < 30 * min(spend(500) for _ in range(3)) + 0.1


def test_a_companion_counts_although_it_came_alone_in_an_earlier_chunk():
    """Companions are not looked at before a candidate asks for one; none is forgotten for that while it is in reach."""
    terms = [Term("炸药", "A1.h.weapons_cbrne", with_=("加微信",), within=20)]
    for filler, expected in ((5, 1), (30, 0)):
        scanner = build_filters(Lexicon(terms))[0].open()
        matches = [*scanner.feed("这里天气很好，各位加微信聊。"), *scanner.feed("好" * filler)]
        matches += [*scanner.feed("出售炸药"), *scanner.finish()]
        assert len(matches) == expected, filler


def test_companions_that_wait_are_forgotten_in_a_long_text():
    """A text of nothing but companions keeps the memory of one stream bounded."""
    terms = [Term("炸药", "A1.h.weapons_cbrne", with_=("加微信",), within=20)]
    scanner = build_filters(Lexicon(terms))[0].open()
    for _ in range(2000):
        assert not scanner.feed("天气很好，各位加微信聊吧。")
    assert len(scanner._unread) < 400
    assert [match.rule for match in (*scanner.feed("炸药"), *scanner.finish())] == ["炸药"]
