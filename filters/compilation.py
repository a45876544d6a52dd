"""Compiling a lexicon: from terms to a :class:`filters.keyword_index.Index`.

This is work for a process that serves nobody: it takes a second for 100,000 terms, some of it in long single steps.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, product
from typing import Any

import ahocorasick
import numpy as np

from filters.keyword_index import (
    NO_ACTION,
    NO_GAPS,
    NO_PHRASE,
    Index,
    KeyTable,
    LiveTails,
    TermTable,
    Texts,
    as_bytes,
    write_condition,
)
from filters.lexicon import MatchMode, Term
from filters.normalise import FoldedTerm, fold_plain, fold_term
from filters.tokenised import Condition, Cover

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


def compile_index(terms: Iterable[Term]) -> Index:
    """The index of some terms; those of which nothing is left to look for are passed over."""
    draft = _Draft()
    draft.add(list(terms))
    keys = sorted({*draft.spelled, *draft.phrases} or {_NEVER})
    automaton = _automaton(keys)
    return Index(automaton, draft.key_table(keys), draft.term_table(), _live_tails(automaton, keys, draft))


class _Draft:
    """What is known of terms and keys while they are collected."""

    def __init__(self) -> None:
        self.spelled: dict[str, list[int]] = {}
        self.phrases: dict[str, int] = {}
        self._rules: list[bytes] = []
        self._codes: dict[str, int] = {}
        self._categories = array("H")
        self._actions = bytearray()
        self._conditions = array("I")
        self._special: list[bytes] = []
        self._gaps = array("I")
        self._gap_sets: dict[frozenset[int], int] = {NO_GAPS: 0}

    def add(self, terms: Sequence[Term]) -> None:
        """Take the terms, plain ones the short way."""
        plain = fold_plain([term.term for term in terms])
        for term, text in zip(terms, plain, strict=True):
            if text is not None:
                self._add(term, (text,), NO_GAPS)
                continue
            folded = fold_term(term.term)
            if folded.text:
                self._add(term, folded.spellings, folded.gaps)

    def _add(self, term: Term, spellings: tuple[str, ...], gaps: frozenset[int]) -> None:
        number = len(self._rules)
        self._rules.append(term.term.encode("utf-8", "surrogatepass"))
        self._categories.append(self._codes.setdefault(term.category, len(self._codes)))
        self._actions.append(NO_ACTION if term.action is None else term.action)
        plain = not term.unless and not term.with_
        self._conditions.append(int(term.match is MatchMode.WORD) if plain else self._condition(term))
        self._gaps.append(self._gap_sets.setdefault(gaps, len(self._gap_sets)) if gaps else 0)
        for spelling in spellings:
            owners = self.spelled.get(spelling)
            if owners is None:
                self.spelled[spelling] = [number]
            else:
                owners.append(number)

    def _condition(self, term: Term) -> int:
        word = term.match is MatchMode.WORD
        within = term.within if isinstance(term.within, int) else None
        companions = frozenset(self._phrase(phrase) for phrase in term.with_)
        condition = Condition(word, tuple(_covers(term)), companions, within)
        self._special.append(write_condition(condition))
        return len(self._special) + 1

    def _phrase(self, phrase: str) -> int:
        folded = fold_term(phrase)
        number = self.phrases.setdefault(folded.text, len(self.phrases))
        for spelling in folded.spellings:
            self.phrases.setdefault(spelling, number)
        return number

    def term_table(self) -> TermTable:
        """Everything about the terms."""
        return TermTable(
            Texts.of(self._rules),
            tuple(self._codes),
            self._categories,
            bytes(self._actions),
            self._conditions,
            Texts.of(self._special),
            self._gaps,
            tuple(self._gap_sets),
        )

    def key_table(self, keys: Sequence[str]) -> KeyTable:
        """Everything about the keys, in the order of their numbers."""
        owners, ends = array("I"), array("I")
        for key in keys:
            owners.extend(self.spelled.get(key, ()))
            ends.append(len(owners))
        if self.phrases:
            phrases = array("i", (self.phrases.get(key, NO_PHRASE) for key in keys))
        else:
            phrases = array("i", [NO_PHRASE]) * len(keys)
        return KeyTable(array("H", map(len, keys)), owners, ends, phrases)


def _covers(term: Term) -> Iterator[Cover]:
    """Each way in which an ``unless`` phrase can cover the term: what it has before and after."""
    for phrase in map(fold_term, term.unless):
        across_clauses = bool(phrase.gaps)  # its owner wrote punctuation or a space into it
        for inner, outer in product(_spellings(term), phrase.spellings):
            at = outer.find(inner)
            while at >= 0:
                yield Cover(outer[:at], outer[at + len(inner) :], across_clauses)
                at = outer.find(inner, at + 1)


def _spellings(term: Term) -> tuple[str, ...]:
    folded: FoldedTerm = fold_term(term.term)
    return folded.spellings


def _automaton(keys: Sequence[str]) -> Any:
    """An automaton of the keys, which are added with frequent characters first, numbered as they are sorted."""
    automaton = ahocorasick.Automaton(ahocorasick.STORE_INTS)
    last = len(_RANKS)
    rank = _RANKS.get
    order = sorted((rank(key[0], last), key[0], rank(key[1:2], last), number) for number, key in enumerate(keys))
    for *_, number in order:
        automaton.add_word(as_bytes(keys[number]), number)
    automaton.make_automaton()
    return automaton


# --- what may go on --------------------------------------------------------------------------------------------------


def _live_tails(automaton: Any, keys: Sequence[str], draft: _Draft) -> LiveTails:
    grows = term_grows = _grow(keys)
    phrase_only: frozenset[str] = frozenset()
    if draft.phrases:
        terms = sorted(draft.spelled)
        term_grows = bytes(_is_begun(key, terms) for key in keys)
        phrase_only = _phrase_only(draft.phrases, terms)
    return LiveTails(automaton, _deep(keys), grows, term_grows, phrase_only)


def _grow(keys: Sequence[str]) -> bytes:
    """Which of the sorted keys begin a longer key."""
    following = (after.startswith(key) for key, after in zip(keys, islice(keys, 1, None), strict=False))
    return bytes((*following, False)[: len(keys)])


def _is_begun(key: str, terms: Sequence[str]) -> bool:
    """Whether one of the sorted terms goes on from the key, which need not be a term itself."""
    after = bisect_right(terms, key)
    return after < len(terms) and terms[after].startswith(key)


def _phrase_only(phrases: Iterable[str], terms: Iterable[str]) -> frozenset[str]:
    """Everything that a phrase may begin with and no term does."""
    begun = {phrase[:end] for phrase in phrases for end in range(1, len(phrase) + 1)}
    begun.difference_update(term[:end] for term in terms for end in range(1, len(term)))
    return frozenset(map(as_bytes, begun))


def _deep(keys: Sequence[str]) -> array[int]:
    """For the checksum of the last bytes of each proper prefix: the most bytes that such a prefix has."""
    mask = (1 << max(12, (8 * len(keys)).bit_length())) - 1
    encoded = [key.encode() for key in keys]
    data = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    ends = np.cumsum(lengths)
    size = np.arange(1, len(data) + 1) - np.repeat(ends - lengths, lengths)  # of the prefix that ends at each byte
    begins = (data & 0xC0) != 0x80
    proper = np.zeros(len(data), dtype=bool)
    proper[:-1] = begins[1:]  # a character ends before the next one begins
    proper[ends - 1] = False
    deep = np.zeros(mask + 1, dtype=np.uint16)
    for width, ascii_end in ((4, True), (6, False)):
        at = np.flatnonzero(proper & (size >= width) & ((data < 0x80) == ascii_end))
        np.maximum.at(deep, _checksums(data, at, width) & mask, size[at].astype(np.uint16))
    table: array[int] = array("H")
    table.frombytes(deep.tobytes())
    return table


# The table of CRC-32, taken out of zlib's: the checksum of one byte is one entry, both ends inverted.
_CRC_TABLE = np.array([zlib.crc32(bytes([0xFF ^ at])) ^ 0xFF000000 for at in range(256)], dtype=np.uint32)


def _checksums(data: Any, at: Any, width: int) -> Any:
    """``zlib.crc32`` of the ``width`` bytes that end at each place."""
    checksum = np.full(len(at), 0xFFFFFFFF, dtype=np.uint32)
    for back in range(width - 1, -1, -1):
        checksum = _CRC_TABLE[(checksum ^ data[at - back]) & 0xFF] ^ (checksum >> 8)
    return checksum ^ np.uint32(0xFFFFFFFF)
