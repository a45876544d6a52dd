import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.lexicon import (
    COLUMNS,
    READERS,
    Lexicon,
    LexiconError,
    MatchMode,
    Term,
    TermError,
    parse_term,
    read_csv,
    read_jsonl,
    write_csv,
    write_jsonl,
)
from filters.types import Action

HEADER = ",".join(COLUMNS) + "\n"
FULL = Term(
    "大麻", "A1.h", Action.MASK, MatchMode.WORD, ("大麻烦", "大麻哈鱼"), ("吸食", "种植"), 12, "植物，“毒品”\n第二行"
)


def test_a_row_becomes_a_term():
    """Every column of the contract is read."""
    sheet = HEADER + '大麻,A1.h,mask,word,大麻烦;大麻哈鱼,吸食; 种植 ,12,"植物，“毒品”\n第二行"\n'
    assert read_csv(sheet, "words.csv") == [FULL]


def test_columns_may_be_absent_or_in_another_order():
    """Only term and category are needed; the others have the contract's defaults."""
    assert read_csv("\ufeffcategory,term\r\nA1.d,炸药\r\n\r\nA1.d,tnt\r\n", "x.csv") == [
        Term("炸药", "A1.d"),
        Term("tnt", "A1.d"),
    ]


def test_companions_without_a_distance_mean_the_same_sentence():
    """``with`` alone is bound to the sentence."""
    (term,) = read_csv("term,category,with\n冰,A1.h,吸食\n", "x.csv")
    assert term.within == "sentence"


@pytest.mark.parametrize(
    ("rows", "line", "reason"),
    [
        ("炸药,A1.d\n,A1.d\n", 3, "term is empty"),
        ("炸药,Z9\n", 2, "unknown category 'Z9'"),
        ("炸药,\n", 2, "category is empty"),
        ("炸药\n", 2, "1 fields, but the header has 2"),
        ("炸药,A1.d,x\n", 2, "3 fields"),
        ('"a\nb",A1.d\n，。,A1.d\n', 4, "no letter or digit"),
        ("a" * 201 + ",A1.d\n", 2, "201 characters; at most 200"),
        ("行。不行,A1.d\n", 2, "sentence end or a wide gap"),
        ('"炸药,A1.d\n', 2, "not CSV"),
    ],
)
def test_a_malformed_row_names_file_line_and_reason(rows, line, reason):
    """Nothing is taken, and the error says what to change where."""
    with pytest.raises(LexiconError) as caught:
        read_csv("term,category\n" + rows, "words.csv")
    assert (caught.value.file, caught.value.line) == ("words.csv", line)
    assert reason in caught.value.reason
    assert str(caught.value).startswith(f"words.csv:{line}: ")


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("action", "allow", "use flag, mask or block"),
        ("match", "regex", "use substring, word, sound or fuzzy"),
        ("within", "5", "with is empty"),
        ("unless", "好;…", "unless '…' has no letter or digit"),
    ],
)
def test_a_wrong_value_names_its_choices(column, value, reason):
    """Each column says what it takes."""
    with pytest.raises(LexiconError, match=reason):
        read_csv(f"term,category,{column}\n炸药,A1.d,{value}\n", "x.csv")


@pytest.mark.parametrize("within", ["-1", "201", "near", "1.5", "９"])
def test_a_distance_is_a_bounded_whole_number(within):
    """What cannot be a distance is refused."""
    with pytest.raises(LexiconError, match="whole number from 0 to 200"):
        read_csv(f"term,category,with,within\n炸药,A1.d,买,{within}\n", "x.csv")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "no column 'term'"),
        ("term,note", "no column 'category'"),
        ("term,category,colour", "unknown column 'colour'"),
        ("term,category,term", "twice"),
    ],
)
def test_a_wrong_header_is_line_one(header, reason):
    """A header that does not fit is told apart from a row."""
    with pytest.raises(LexiconError, match=reason) as caught:
        read_csv(header, "x.csv")
    assert caught.value.line == 1


def test_jsonl_takes_lists_and_strings():
    """The same keys; phrases as a list or with semicolons; numbers as numbers."""
    row = {"term": "大麻", "category": "A1.h", "unless": ["大麻烦"], "with": "吸食;种植", "within": 12}
    (term,) = read_jsonl("\n" + json.dumps(row, ensure_ascii=False) + "\n", "x.jsonl")
    assert (term.unless, term.with_, term.within) == (("大麻烦",), ("吸食", "种植"), 12)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "must be a JSON object"),
        ('{"term": 1, "category": "A1.d"}', "term must be a string"),
        ('{"term": "a", "term": "b", "category": "A1.d"}', "twice"),
        ('{"term": "a", "category": "A1.d", "colour": 1}', "unknown column 'colour'"),
        ('{"term": "a", "category": "A1.d", "unless": [1]}', "list of strings"),
        ('{"term": "a", "category": "A1.d", "with": "b", "within": true}', "whole number"),
    ],
)
def test_a_malformed_line_names_file_line_and_reason(line, reason):
    """JSONL errors are as clear as those of CSV."""
    with pytest.raises(LexiconError, match=reason) as caught:
        read_jsonl('{"term": "炸药", "category": "A1.d"}\n' + line + "\n", "x.jsonl")
    assert (caught.value.file, caught.value.line) == ("x.jsonl", 2)


PHRASES = st.text("大麻烦abc，- ", min_size=1, max_size=5).map(str.strip).filter(lambda p: any(c.isalnum() for c in p))
TERMS = st.builds(
    Term,
    PHRASES,
    st.sampled_from(["A1.d", "A1.h"]),
    st.sampled_from([None, Action.FLAG, Action.MASK, Action.BLOCK]),
    st.sampled_from(MatchMode),
    st.lists(PHRASES, max_size=2).map(tuple),
    st.just(()),
    st.none(),
    st.text("注 释,\"\n;'", max_size=5).map(str.strip),
) | st.builds(
    Term,
    PHRASES,
    st.just("A1.d"),
    with_=st.lists(PHRASES, min_size=1, max_size=2).map(tuple),
    within=st.integers(0, 200) | st.just("sentence"),
)


@settings(deadline=None)
@given(st.lists(TERMS, max_size=5))
def test_what_is_written_is_read_back(terms):
    """Export and import are inverse, for CSV and JSONL."""
    assert READERS[".csv"](write_csv(terms), "x.csv") == terms
    assert READERS[".jsonl"](write_jsonl(terms), "x.jsonl") == terms


@settings(deadline=None)
@given(st.lists(TERMS, max_size=6, unique_by=lambda term: term.term), st.randoms())
def test_the_version_depends_on_the_terms_alone(terms, chooser):
    """Order changes nothing; a term more, or another action, does."""
    by_identity = list(Lexicon(terms))
    shuffled = chooser.sample(by_identity, len(by_identity))
    assert Lexicon(shuffled).version == Lexicon(by_identity).version
    assert Lexicon(shuffled) == Lexicon(by_identity)
    assert Lexicon([*by_identity, Term("另一个", "A1.d")]).version != Lexicon(by_identity).version


def test_the_version_sees_every_part_that_decides():
    """Two lexicons of one version give the same verdicts."""
    base = {"term": "炸药", "category": "A1.d"}
    changes = ({}, {"action": "flag"}, {"match": "word"}, {"unless": "炸药包"}, {"with": "买"}, {"category": "A1.h"})
    changes += ({"with": "买", "within": 3},)
    assert len({Lexicon([parse_term(base | change)]).version for change in changes}) == len(changes)


def test_a_later_term_replaces_one_that_folds_the_same():
    """Imported terms override the base's, by folded spelling and category; other categories stay."""
    base = Lexicon([Term("炸藥", "A1.d"), Term("ＴＮＴ", "A1.d"), Term("炸药", "A1.h")])
    merged = base.merged([Term("炸药", "A1.d", Action.FLAG), Term("t.n.t", "A1.d")])
    assert sorted((term.term, term.category) for term in merged) == [
        ("t.n.t", "A1.d"),
        ("炸药", "A1.d"),
        ("炸药", "A1.h"),
    ]
    assert len(base) == 3


def test_parse_term_refuses_unknown_keys():
    """The control plane gets the same reasons as files."""
    with pytest.raises(TermError, match="unknown column 'color'"):
        parse_term({"term": "a", "category": "A1.d", "color": "red"})


def test_a_large_list_is_read_in_linear_time():
    """Ten times the rows cost about ten times the processor time."""

    def spend(rows):
        sheet = "term,category,action\n" + "".join(f"词{number},A1.d,block\n" for number in range(rows))
        begin = time.process_time()
        assert len(read_csv(sheet, "x.csv")) == rows
        return time.process_time() - begin

    spend(1000)
    assert spend(50_000) < 30 * min(spend(5000) for _ in range(3)) + 0.1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", ""),
        (" 2026-12-31 ", "2026-12-31"),
        ("2028-02-29", "2028-02-29"),
        ("2026-12-31T16:00Z", "2026-12-31T16:00:00Z"),
        ("2026-12-31T16:00:59Z", "2026-12-31T16:00:59Z"),
    ],
)
def test_expiry_dates(given, kept):
    """An expiry date is a day or a time in UTC, and is written so that it sorts as the time does."""
    assert parse_term({"term": "大麻", "category": "A1.d", "expires": given}).expires == kept


@pytest.mark.parametrize(
    "given", ["2026-02-29", "2100-02-29", "2026-04-31", "31.12.2026", "2026-13-01", "2026-12-31T16:00", "0000-01-01"]
)
def test_no_expiry_dates(given):
    """What is no day of the calendar, or names no zone, is an error that says what would be right."""
    with pytest.raises(TermError, match=r"expires must be .* 2026-12-31"):
        parse_term({"term": "大麻", "category": "A1.d", "expires": given})


def test_expires_is_written_where_it_is_used():
    """Files without expiry dates look as before; with one, the column is there, and both read back alike."""
    plain = [Term("大麻", "A1.d"), Term("冰毒", "A1.d", note="注")]
    dated = [*plain, Term("短", "A1.d", expires="2026-12-31")]
    assert write_csv(plain).splitlines()[0] == ",".join(COLUMNS)
    assert write_csv(dated).splitlines()[0] == ",".join(COLUMNS) + ",expires"
    assert "expires" not in write_jsonl(plain)
    for terms in (plain, dated):
        assert read_csv(write_csv(terms), "x") == terms
        assert read_jsonl(write_jsonl(terms), "x") == terms
    assert Lexicon([*dated[:2], Term("短", "A1.d")]).version == Lexicon(dated).version


def test_what_a_term_needs_is_read_and_written():
    """`classifier` or nothing; the column stands only where a term uses it, and is part of the version."""
    term = parse_term({"term": "毒品", "category": "A1.d", "needs": " classifier "})
    assert term.needs == "classifier"
    assert parse_term({"term": "毒品", "category": "A1.d", "needs": ""}) == Term("毒品", "A1.d")
    assert read_csv(write_csv([term]), "t") == read_jsonl(write_jsonl([term]), "t") == [term]
    assert write_csv([term]).splitlines()[0] == ",".join(COLUMNS) + ",needs"
    both = [term, Term("短", "A1.d", expires="2026-12-31")]
    assert read_csv(write_csv(both), "t") == both
    assert Lexicon([term]).version != Lexicon([Term("毒品", "A1.d")]).version
    with pytest.raises(TermError, match="unknown needs 'model': use classifier"):
        parse_term({"term": "毒品", "category": "A1.d", "needs": "model"})
