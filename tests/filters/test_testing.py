import pytest

from filters.keyword import build_filters
from filters.lexicon import Lexicon, MatchMode, Term
from filters.testing import check_filter
from filters.types import Match, Source, Span


class Faulty:
    """A filter for "ab" that is right, with hooks for faults; it is its own scanner's factory."""

    shared = False

    def open(self):
        """Open, each time anew unless the fault is to share."""
        if not self.shared:
            return self.scanner()
        self.one = getattr(self, "one", None) or self.scanner()
        return self.one

    def scanner(self):
        """A right scanner."""
        return Right()


class Right:
    def __init__(self):
        self.watermark = 0
        self.text = ""

    def feed(self, chunk):
        """Find every "ab" that ends in the chunk."""
        before = len(self.text)
        self.text += chunk
        self.watermark = len(self.text) - self.text.endswith("a")
        return [match(at) for at in range(len(self.text)) if self.text.startswith("ab", at) and at + 2 > before]

    def finish(self):
        """Nothing is left."""
        self.watermark = len(self.text)
        return []


def match(at):
    """A match of "ab"."""
    return Match(Span(at, at + 2), "A1.d", Source.KEYWORD, "ab")


def broken(fault):
    """A filter whose scanner is replaced in one method."""
    kind = type("Broken", (Right,), fault)
    return type("BrokenFilter", (Faulty,), {"scanner": lambda self: kind()})()


def forgets(self, chunk):
    """A scanner that looks at each chunk alone."""
    self.text += chunk
    self.watermark = len(self.text) - self.text.endswith("a")
    return [match(len(self.text) - len(chunk) + at) for at in range(len(chunk)) if chunk.startswith("ab", at)]


def releases(self, chunk):
    """A scanner that holds nothing back."""
    found = Right.feed(self, chunk)
    self.watermark = len(self.text)
    return found


def steps_back(self, chunk):
    """A scanner whose watermark falls."""
    found = Right.feed(self, chunk)
    self.watermark = len(self.text) % 3
    return found


def reverses(self, chunk):
    """A scanner that returns matches in the wrong order."""
    return Right.feed(self, chunk)[::-1]


def overshoots(self, chunk):
    """A scanner that finds what was not fed."""
    return [*Right.feed(self, chunk), match(len(self.text) + 1)]


def stays(self):
    """A scanner that never lets the end go."""
    return []


TEXTS = ["", "ab", "xabab", "aab", "xxxa"]


def test_a_right_filter_passes():
    """The suite has nothing against a filter that keeps its promises."""
    check_filter(Faulty(), TEXTS, [[1, 3]])


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ({"feed": forgets}, "and whole"),
        ({"feed": releases}, "begins before the watermark"),
        ({"feed": steps_back}, "watermark"),
        ({"feed": reverses}, "out of order"),
        ({"feed": overshoots}, "not inside"),
        ({"finish": stays}, "at the end"),
    ],
)
def test_each_broken_promise_is_named(fault, complaint):
    """A faulty filter fails, with the promise that it broke."""
    with pytest.raises(AssertionError, match=complaint):
        check_filter(broken(fault), TEXTS)


def test_a_shared_scanner_is_found_out():
    """A filter that keeps state between texts fails."""
    subject = Faulty()
    subject.shared = True
    with pytest.raises(AssertionError):
        check_filter(subject, TEXTS)


def test_the_lexicon_filter_conforms():
    """The product's own filter passes with every kind of term."""
    terms = [
        Term("炸药", "A1.d"),
        Term("大麻", "A1.h", match=MatchMode.WORD, unless=("大麻烦",)),
        Term("冰", "A1.h", with_=("吸食",), within=4),
    ]
    (subject,) = build_filters(Lexicon(terms))
    texts = ["他买了炸药", "抽大麻，有大麻烦。", "吸食冰", "冰水", "炸 药\u200b", ""]
    check_filter(subject, texts, [[1, 2, 5], [3]])
