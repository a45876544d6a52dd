import subprocess
import sys

import pytest

from filters.automaton import ENGINE
from filters.compilation import compile_index
from filters.compiled import compile_lexicon, dump, load
from filters.keyword import KeywordFilter
from filters.lexicon import Lexicon, MatchMode, Term
from filters.normalise import fold_plain, fold_term
from filters.ruleset import Ruleset
from filters.testing import check_filter
from filters.types import Action

TERMS = [
    Term("大麻", "A1.h.drugs", Action.MASK, MatchMode.WORD, unless=("大麻烦",)),
    Term("冰", "A1.h.drugs", with_=("溜", "吸 食"), within=6),
    Term("ice cream", "A1.d", Action.BLOCK),
    Term("炸药", "A1.h.weapons_cbrne"),
    Term("炸药", "A1.d", Action.FLAG),
    Term("炸药包", "A1.d"),
    Term("ΝΕΟΣ", "A1.d"),
    Term("𠮷野", "A1.d"),
    Term("한국", "A1.d"),
]
TEXTS = [
    "有大麻烦了，抽大麻，溜点冰吧。吸食冰",
    "an ice-cream, ICE CREAM! icecream",
    "炸药包和炸 药，炸。药",
    "νεος ΝΕΟΣ 𠮷野家 한국",
    "冰天雪地" * 50,
    "火乍药，炸炸药药包，炸x药，t4ng, cr3am 木林麻",
]


def seen(scanner_filter, text, size):
    """Every match and every watermark, fed in pieces."""
    scanner = scanner_filter.open()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    trail = [(list(scanner.feed(piece)), scanner.watermark) for piece in pieces]
    return [*trail, (list(scanner.finish()), scanner.watermark)]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("text", TEXTS)
def test_what_was_loaded_decides_the_same(text, size):
    """A compiled lexicon that went through bytes finds and holds back what the one that was compiled does."""
    compiled = compile_lexicon(Lexicon(TERMS))
    loaded = load({name: bytes(part) for name, part in dump(compiled).items()})
    assert seen(loaded.filters[0], text, size) == seen(compiled.filters[0], text, size)
    check_filter(loaded.filters[0], [text])


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("text", TEXTS)
def test_either_engine_decides_the_same(text, size):
    """Where the usual engine is missing, the other one finds and holds back the same."""
    usual, other = (KeywordFilter(compile_index(TERMS, engine)) for engine in (ENGINE, "pyahocorasick"))
    assert seen(other, text, size) == seen(usual, text, size)


def test_it_tells_what_it_was_made_of():
    """Version, number of terms and their categories survive, so that a worker needs no terms to answer for them."""
    lexicon = Lexicon(TERMS)
    loaded = load(dump(compile_lexicon(lexicon)))
    assert (loaded.version, len(loaded), dict(loaded.counts)) == (lexicon.version, len(TERMS), dict(lexicon.counts))
    assert lexicon.counts["A1.h.drugs"] == 2


def test_an_empty_lexicon_is_one_too():
    """Without any term there is something to scan with, which finds nothing."""
    loaded = load(dump(compile_lexicon(Lexicon())))
    assert len(loaded) == 0
    assert seen(loaded.filters[0], "炸药", 1)[-1] == ([], 2)


def test_a_ruleset_takes_it(policy):
    """A ruleset of the loaded lexicon has the version and the verdicts of one that was built from the terms."""
    lexicon = Lexicon(TERMS)
    built, loaded = Ruleset(policy, lexicon), Ruleset(policy, load(dump(compile_lexicon(lexicon))))
    assert built.version == loaded.version
    for text in TEXTS:
        assert built.moderate(text, "input") == loaded.moderate(text, "input")


@pytest.fixture
def policy():
    """A policy of defaults."""
    from filters.policy import Policy

    return Policy.parse({})


def test_folding_many_terms_is_folding_each():
    """Terms that are folded together come out as alone, or are left for the careful way."""
    spellings = [term.term for term in TERMS] + ["ＡＢＣ", "發財", "a b", "。", "", "ⓐ", "e\u0301", "\ud800x"]
    for spelling, plain in zip(spellings, fold_plain(spellings), strict=True):
        assert plain is None or fold_term(spelling).spellings == (plain,)
    assert fold_plain(["ＡＢＣ", "發財"]) == ["abc", "发财"]


def test_compiling_reads_no_dictionary_and_loading_does():
    """Who only compiles does not wait for what texts are looked up in; who loads has it before the first text."""
    program = """
from filters import tokens
from filters.compiled import compile_lexicon, dump, load
from filters.lexicon import Lexicon, MatchMode, Term
parts = dump(compile_lexicon(Lexicon([Term("博彩", "A1.h.gambling", None, MatchMode.SOUND)])))
print(tokens._load.cache_info().currsize)
load(parts)
print(tokens._load.cache_info().currsize)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["0", "1"]
