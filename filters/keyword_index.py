"""A lexicon compiled for scanning: one automaton over all spellings, and what is known of each.

The automaton works on the UTF-8 bytes of folded text, decoded as latin-1: fed plain strings it is ten times slower,
because a node then has thousands of children (LIBRARIES.md, section 1).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

import ahocorasick

from filters.lexicon import MatchMode, Term
from filters.normalise import fold_term
from filters.tokenised import Condition, Cover
from filters.types import Action

NO_GAPS: frozenset[int] = frozenset()
PLAIN = Condition()
_WORD = Condition(word=True)
_INNER = "".join(map(chr, range(0x80, 0xC0)))  # bytes inside a character
_NEVER = "\x0f"  # stands in no folded text; an automaton must not be empty

_FREQUENT = (
    "一是人了不在有大中国和为这上他个地年来我会以到时要出的生学说道民家子也成行下们于后就发自之对得主长可"
    "过天作分方用多你着部能市等业全里工公经本都而高政法面门动日进区事代那去心小同北定开产前其军还然起种所"
    "如现理机体表力好外与文当两实重新三么只山水关明从化平建又制南内西没此将员名手最东头者月间无安看见各城"
    "十相但已些正口通想度加第她合院物性战由位常点海意场武使次二向治因立数样身情入原问把路被并利石老教万知"
    "级量任江及应省资委务元美特期世湖回系比气汉总展电科金先声提品设或义王社很统处四首共马形己儿司太目基领"
    "队直计别女权话少流命至报米给打变果书清活几州华解议更称程今决张导术府才保交放管结师便走达族反再题色五"
    "京河接条规式县白它改风光运信受什组听布百"
)
"""The 320 most frequent characters, by jieba's dictionary. The automaton looks for a byte among a node's children in
the order in which they were added; with the frequent ones first it reads ordinary Chinese a fifth faster."""

_RANKS = {char: rank for rank, char in enumerate(_FREQUENT)}


def _rank(char: str) -> int:
    return _RANKS.get(char, len(_RANKS))


def _by_first(keys: Iterable[str]) -> dict[str, list[str]]:
    """Keys by their first character: one sort of 100,000 keys would stop every other thread for too long."""
    shelves: dict[str, list[str]] = {}
    for key in keys:
        shelves.setdefault(key[0], []).append(key)
    for shelf in shelves.values():
        shelf.sort()
    return shelves


def as_bytes(folded: str) -> str:
    """The form in which the automaton reads text."""
    return folded.encode().decode("latin-1")


class Index:
    """Immutable after construction; parallel lists instead of an object a term.

    A *key* is a distinct folded spelling: of terms, of a companion phrase, or of both.

    Attributes:
        automaton: finds keys.
        rules, categories, actions: of each term.
        conditions, native: of those terms that have any.
        lengths, terms_of: of each key, its characters and its terms.
        phrase_of: the companion phrases that are keys.
        live: what tells how much of a text's end may still become a key.
    """

    def __init__(self, terms: Iterable[Term]) -> None:
        self.automaton: Any = ahocorasick.Automaton(ahocorasick.STORE_INTS)
        self.rules: list[str] = []
        self.categories: list[str] = []
        self.actions: list[Action | None] = []
        self.conditions: dict[int, Condition] = {}
        self.native: dict[int, frozenset[int]] = {}
        self.lengths = array("H")
        self.terms_of: list[int | tuple[int, ...]] = []
        self.phrase_of: dict[int, int] = {}
        self._phrases: dict[str, int] = {}
        spelled: dict[str, list[int]] = {}
        for term in terms:
            self._add(term, spelled)
        shelves = _by_first({*spelled, *self._phrases} or {_NEVER})
        keys = [key for first in sorted(shelves) for key in shelves[first]]
        for key in keys:
            self._add_key(key, spelled.get(key, ()))
        self._fill_automaton(shelves)
        self.automaton.make_automaton()
        self.live = LiveTails(self.automaton, keys, spelled, self._phrases)

    def _add(self, term: Term, spelled: dict[str, list[int]]) -> None:
        folded = fold_term(term.term)
        if not folded.text:
            return
        number = len(self.rules)
        self.rules.append(term.term)
        self.categories.append(term.category)
        self.actions.append(term.action)
        if folded.gaps:
            self.native[number] = folded.gaps
        condition = self._condition(term)
        if condition is not PLAIN:
            self.conditions[number] = condition
        for spelling in folded.spellings:
            spelled.setdefault(spelling, []).append(number)

    def _add_key(self, key: str, owners: Sequence[int]) -> None:
        number = len(self.lengths)
        self.terms_of.append(owners[0] if len(owners) == 1 else tuple(owners))
        self.lengths.append(len(key))
        if key in self._phrases:
            self.phrase_of[number] = self._phrases[key]

    def _fill_automaton(self, shelves: Mapping[str, Sequence[str]]) -> None:
        """Add the keys, frequent characters first, under the numbers that they have in sorted order."""
        numbers, before = {}, 0
        for first in sorted(shelves):
            numbers[first] = before
            before += len(shelves[first])
        for first in sorted(shelves, key=_rank):
            shelf = enumerate(shelves[first], numbers[first])
            for number, key in sorted(shelf, key=lambda numbered: _rank(numbered[1][1:2])):
                self.automaton.add_word(as_bytes(key), number)

    def _condition(self, term: Term) -> Condition:
        word = term.match is MatchMode.WORD
        if not term.unless and not term.with_:
            return _WORD if word else PLAIN
        within = term.within if isinstance(term.within, int) else None
        companions = frozenset(self._phrase(phrase) for phrase in term.with_)
        return Condition(word, tuple(_covers(term)), companions, within)

    def _phrase(self, phrase: str) -> int:
        folded = fold_term(phrase)
        number = self._phrases.setdefault(folded.text, len(self._phrases))
        for spelling in folded.spellings:
            self._phrases.setdefault(spelling, number)
        return number


def _covers(term: Term) -> Iterator[Cover]:
    """Each way in which an ``unless`` phrase can cover the term: what it has before and after."""
    for phrase in map(fold_term, term.unless):
        across_clauses = bool(phrase.gaps)  # its owner wrote punctuation or a space into it
        for inner, outer in product(fold_term(term.term).spellings, phrase.spellings):
            at = outer.find(inner)
            while at >= 0:
                yield Cover(outer[:at], outer[at + len(inner) :], across_clauses)
                at = outer.find(inner, at + 1)


class LiveTails:
    """How much of a text's end may still become a key: the longest end that is a proper prefix of one.

    The automaton does not tell its own depth, so ends are looked up in its tree. Few have to be: ``_deep`` says, by a
    hash of the last bytes, how long a prefix can be that ends in them. Two prefixes of one hash cost a look, no more.
    """

    __slots__ = ("_deep", "_goes_on", "_grows", "_key_of", "_mask", "_phrase_only", "_short", "_term_grows")

    def __init__(self, automaton: Any, keys: Sequence[str], terms: Iterable[str], phrases: Iterable[str]) -> None:
        self._goes_on = automaton.match
        self._key_of = automaton.get
        self._grows = _grow(keys)
        self._term_grows = self._grows
        self._phrase_only: frozenset[str] = frozenset()
        if phrases:
            shelves = _by_first(terms)
            term_keys = [key for first in sorted(shelves) for key in shelves[first]]
            growing = {key for key, grows in zip(term_keys, _grow(term_keys), strict=True) if grows}
            self._term_grows = bytearray(key in growing for key in keys)
            self._phrase_only = _phrase_only(phrases, term_keys)
        self._mask = (1 << max(12, (8 * len(keys)).bit_length())) - 1
        self._deep = array("H", bytes(2 * (self._mask + 1)))
        self._fill(keys)
        self._short: dict[str, str] = {}

    def _fill(self, keys: Iterable[str]) -> None:
        deep, mask = self._deep, self._mask
        for key in keys:
            read = as_bytes(key)
            size = 0
            for char in key[:-1]:
                size += 1 if char < "\x80" else len(char.encode())
                width = 4 if char < "\x80" else 6
                if size >= width:
                    at = hash(read[size - width : size]) & mask
                    deep[at] = max(deep[at], size)

    def of(self, tail: str) -> str:
        """The longest end of ``tail`` that a key goes on from, or nothing."""
        size, last = len(tail), tail[-1:]
        if last < " ":
            return ""  # nothing goes on across a sentence end or a wide gap
        width = 4 if last < "\x80" else 6
        longest = self._deep[hash(tail[-width:]) & self._mask]
        if longest:
            found = self._first(tail, max(0, size - longest), size - width + 1)
            if found:
                return found
        short = tail[-3:]
        if width == 6 and tail[-5:-3].strip(_INNER):
            return self._first(tail, max(0, size - 5), size)  # what is left is not just one ideograph
        known = self._short.get(short)
        if known is None:  # the ideographs and the triples of ASCII characters that texts end in: some thousands
            known = self._short[short] = self._first(short, 0, len(short))
        return known

    def _first(self, tail: str, start: int, stop: int) -> str:
        at = start
        while at < stop:
            lead = tail[at]
            if lead < "\x80" or lead >= "\xc0":  # else inside a character
                end = tail[at:]
                if self._goes_on(end):
                    key = self._key_of(end, -1)
                    if key < 0 or self._grows[key]:
                        return end
            at += 3 if "\xe0" <= lead < "\xf0" else 1
        return ""

    def of_terms(self, live: str) -> str:
        """The longest end of ``live`` that a term goes on from: a mere companion that may go on holds nothing back."""
        if not self._phrase_only:
            return live
        for at, lead in enumerate(live):
            if "\x80" <= lead < "\xc0":
                continue
            end = live[at:]
            if end in self._phrase_only or not self._goes_on(end):
                continue
            key = self._key_of(end, -1)
            if key < 0 or self._term_grows[key]:
                return end
        return ""


def _grow(keys: Sequence[str]) -> bytearray:
    """Which of the sorted keys begin a longer key."""
    following = (after.startswith(key) for key, after in zip(keys, islice(keys, 1, None), strict=False))
    return bytearray((*following, False)[: len(keys)])


def _phrase_only(phrases: Iterable[str], terms: Iterable[str]) -> frozenset[str]:
    """Everything that a phrase may begin with and no term does."""
    begun = {phrase[:end] for phrase in phrases for end in range(1, len(phrase) + 1)}
    begun.difference_update(term[:end] for term in terms for end in range(1, len(term)))
    return frozenset(map(as_bytes, begun))
