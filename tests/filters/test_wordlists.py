"""Word lists as people keep them."""

import pytest

from filters.lexicon import LexiconError
from filters.wordlists import read_json, read_words


def _pairs(terms):
    return [(term.term, term.category) for term in terms]


@pytest.mark.parametrize(
    "text",
    [
        "冰毒\n大麻\n",
        "\ufeff# list\r\n冰毒\r\n\r\n// more\r\n大麻",
        "冰毒,A1.h.drugs\n大麻,\n",
        "冰毒\tA1.h.drugs\n大麻",
    ],
)
def test_lines(text):
    """One word a line, with its category after a comma or tab, or the one that is given for all."""
    assert _pairs(read_words(text, "w.txt", "A1.h.drugs")) == [("冰毒", "A1.h.drugs"), ("大麻", "A1.h.drugs")]


def test_a_header_is_seen():
    """A text file that is a lexicon after all is read as one."""
    assert _pairs(read_words("term,category\n冰毒,A1.h\n", "w.txt")) == [("冰毒", "A1.h")]


@pytest.mark.parametrize(
    "text",
    [
        '["冰毒", "大麻"]',
        '{"words": ["冰毒", "大麻"]}',
        '{"A1.h": ["冰毒", "大麻"]}',
        '{"冰毒": "A1.h", "大麻": "A1.h"}',
        '[{"term": "冰毒", "category": "A1.h"}, {"word": "大麻"}]',
        '{"A1.h": [{"term": "冰毒"}, "大麻"]}',
    ],
)
def test_json(text):
    """Arrays of words or objects, and objects by category or by word."""
    assert _pairs(read_json(text, "w.json", "A1.h")) == [("冰毒", "A1.h"), ("大麻", "A1.h")]


def test_an_object_keeps_its_columns():
    """An object may say all that a lexicon row says."""
    (term,) = read_json('[{"term": "大麻", "category": "A1.h", "match": "word", "unless": ["大麻纤维"]}]', "w.json")
    assert (term.match.value, term.unless) == ("word", ("大麻纤维",))


@pytest.mark.parametrize(
    ("read", "text", "says"),
    [
        (read_words, "冰毒\n", "w:1: '冰毒' has no category"),
        (read_words, "冰毒,A1.h\n大麻,A9\n", "w:2: unknown category 'A9'"),
        (read_words, "冰毒,A1.h,block\n", "w:1: 3 fields"),
        (read_json, "[\n'冰毒']", "w:2: not JSON"),
        (read_json, "5", "w:1: expected an array"),
        (read_json, "[5]", "w:1: an entry is neither"),
        (read_json, '[["a"]]', "w:1: an entry is neither"),
    ],
)
def test_mistakes(read, text, says):
    """A mistake is told with file, line and reason, and nothing is taken."""
    with pytest.raises(LexiconError) as told:
        read(text, "w")
    assert str(told.value).startswith(says)
