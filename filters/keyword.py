"""The lexicon as a filter: one automaton, one fold and one scan of each chunk.

The automaton works on the UTF-8 bytes of folded text, decoded as latin-1: fed plain strings it is ten times slower,
because a node then has thousands of children (LIBRARIES.md, section 1). Byte offsets become character offsets only
where something was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import ahocorasick

from filters.lexicon import Lexicon, MatchMode, Term
from filters.normalise import DROPPED, IGNORABLE, Folder, fold_term
from filters.tokenised import Candidate, Condition, Context, Cover, checks_of, decide
from filters.types import Action, Filter, Match, Scanner, Source, Span

BLOCK = 8192
"""Longer chunks are taken in pieces of this many characters, so that what is kept of a text stays bounded."""

_NEVER = "\x0f"  # stands in no folded text; an automaton must not be empty
_PLAIN = Condition()
_WORD = Condition(word=True)
_NO_GAPS: frozenset[int] = frozenset()


def _as_bytes(folded: str) -> str:
    return folded.encode().decode("latin-1")


class Index:
    """A lexicon compiled for scanning. Immutable after construction; parallel lists instead of an object a term.

    A *key* is a distinct folded spelling: of terms, of a companion phrase, or of both.
    """

    def __init__(self, terms: Iterable[Term]) -> None:
        self.automaton: Any = ahocorasick.Automaton(ahocorasick.STORE_INTS)
        self.rules: list[str] = []
        self.categories: list[str] = []
        self.actions: list[Action | None] = []
        self.conditions: dict[int, Condition] = {}
        self.native: dict[int, frozenset[int]] = {}
        self.lengths: list[int] = []
        self.terms_of: list[int | tuple[int, ...]] = []
        self.phrase_of: dict[int, int] = {}
        self._phrases: dict[str, int] = {}
        spelled: dict[str, list[int]] = {}
        for term in terms:
            self._add(term, spelled)
        self._build(spelled)

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
        if condition is not _PLAIN:
            self.conditions[number] = condition
        for spelling in folded.spellings():
            spelled.setdefault(spelling, []).append(number)

    def _condition(self, term: Term) -> Condition:
        word = term.match is MatchMode.WORD
        if not term.unless and not term.with_:
            return _WORD if word else _PLAIN
        within = term.within if isinstance(term.within, int) else None
        companions = frozenset(self._phrase(phrase) for phrase in term.with_)
        return Condition(word, tuple(_exceptions(term)), companions, within)

    def _phrase(self, phrase: str) -> int:
        folded = fold_term(phrase)
        number = self._phrases.setdefault(folded.text, len(self._phrases))
        for spelling in folded.spellings():
            self._phrases.setdefault(spelling, number)
        return number

    def _build(self, spelled: dict[str, list[int]]) -> None:
        keys = sorted({*spelled, *self._phrases} or {_NEVER})
        for number, key in enumerate(keys):
            self.automaton.add_word(_as_bytes(key), number)
            owners = spelled.get(key, ())
            self.terms_of.append(owners[0] if len(owners) == 1 else tuple(owners))
            self.lengths.append(len(key))
            if key in self._phrases:
                self.phrase_of[number] = self._phrases[key]
        self.automaton.make_automaton()
        self.grows = _grow(keys)
        term_keys = sorted(spelled)
        growing_terms = {key for key, grows in zip(term_keys, _grow(term_keys), strict=True) if grows}
        self.term_grows = bytearray(key in growing_terms for key in keys)
        self.reach = _reach(keys)
        self.phrase_only = _phrase_only(self._phrases, spelled)


def _exceptions(term: Term) -> Iterable[Cover]:
    """Each way in which a phrase can cover the term: what it has before and after."""
    for phrase in map(fold_term, term.unless):
        across_clauses = bool(phrase.gaps)  # its owner wrote punctuation into it
        for inner, outer in zip(fold_term(term.term).spellings(), phrase.spellings(), strict=False):
            at = outer.find(inner)
            while at >= 0:
                yield Cover(outer[:at], outer[at + len(inner) :], across_clauses)
                at = outer.find(inner, at + 1)


def _grow(keys: Sequence[str]) -> bytearray:
    """Which of the sorted keys begin a longer key."""
    following = (after.startswith(key) for key, after in zip(keys, islice(keys, 1, None), strict=False))
    return bytearray((*following, False)[: len(keys)])


def _reach(keys: Iterable[str]) -> dict[str, int]:
    """Character -> the most bytes that a proper prefix of a key has which ends in it."""
    reach: dict[str, int] = {}
    for key in keys:
        size = 0
        for char in key[:-1]:
            size += len(char.encode())
            if reach.get(char, 0) < size:
                reach[char] = size
    return reach


def _phrase_only(phrases: Iterable[str], terms: Iterable[str]) -> frozenset[str]:
    """Everything that a phrase may begin with and no term does: it may go on, but it holds nothing back."""
    begun = {phrase[:end] for phrase in phrases for end in range(1, len(phrase) + 1)}
    if begun:
        begun.difference_update(term[:end] for term in terms for end in range(1, len(term)))
    return frozenset(map(_as_bytes, begun))


class KeywordFilter:
    """All terms of a lexicon, with their conditions."""

    __slots__ = ("_index",)

    def __init__(self, lexicon: Lexicon) -> None:
        self._index = Index(lexicon)

    def open(self) -> Scanner:
        """Start scanning a new text."""
        return KeywordScanner(self._index)


def build_filters(lexicon: Lexicon) -> tuple[Filter, ...]:
    """The filters of a lexicon. One does all, so that a chunk is folded and scanned once."""
    return (KeywordFilter(lexicon),) if len(lexicon) else ()


class KeywordScanner:
    """The state of one text: the automaton's, the tail that may still become a match, and undecided candidates."""

    __slots__ = ("_bytes", "_context", "_folder", "_index", "_live", "_matches", "_pending", "_scan", "watermark")

    def __init__(self, index: Index) -> None:
        self._index = index
        self._scan = index.automaton.iter("")
        self._folder = Folder()
        self._context = Context()
        self._bytes = 0
        self._live = ""
        self._pending: list[Candidate] = []
        self._matches: list[Match] = []
        self.watermark = 0

    def feed(self, chunk: str) -> Sequence[Match]:
        """Take the next characters and return the matches that became certain, in canonical order."""
        if len(chunk) <= BLOCK:
            return self._feed(chunk)
        found: list[Match] = []
        for at in range(0, len(chunk), BLOCK):
            found += self._feed(chunk[at : at + BLOCK])
        return sorted(found, key=_order)

    def finish(self) -> Sequence[Match]:
        """Say that no more text follows; what was undecided is decided by the text as it is."""
        self._context.ended = True
        self._live = ""
        self._settle()
        self.watermark = self._context.total
        return self._take()

    def _feed(self, chunk: str) -> Sequence[Match]:
        context, index = self._context, self._index
        marked, kept = self._folder.feed(chunk)
        context.text += marked
        text = kept.decode("latin-1")
        self._scan.set(text, False)
        hits = list(self._scan)
        if hits:
            self._take_hits(hits, marked, kept)
        self._bytes += len(text)
        if kept:
            self._live = _live_tail(index, self._live + text, marked)
        self.watermark = self._term_start()
        if self._pending:
            context.horizon = self._start_of(self._live)
            self._settle()
        if len(context.text) > BLOCK // 4:
            context.forget(min(self.watermark, self._start_of(self._live)))
        return self._take() if self._matches else ()

    # --- hits ----------------------------------------------------------------------------------------------------

    def _take_hits(self, hits: Sequence[tuple[int, int]], marked: str, kept: bytes) -> None:
        """Turn byte offsets into character offsets, and hits into matches, candidates and companions."""
        context, index = self._context, self._index
        begin = context.total - len(marked)
        offsets = [at for at, char in enumerate(marked, begin) if char not in DROPPED]
        characters = after = 0
        for last_byte, key in hits:
            upto = last_byte + 1 - self._bytes
            characters += len(kept[after:upto].decode())
            after = upto
            end = offsets[characters - 1] + 1
            length = index.lengths[key]
            start = offsets[characters - length] if characters >= length else _back(context, begin, length - characters)
            if key in index.phrase_of:
                context.companions.append((start, end, index.phrase_of[key]))
            owners = index.terms_of[key]
            for term in (owners,) if isinstance(owners, int) else owners:
                self._take_hit(start, end, length, term)

    def _take_hit(self, start: int, end: int, length: int, term: int) -> None:
        condition = self._index.conditions.get(term, _PLAIN)
        native = self._index.native.get(term, _NO_GAPS)
        noisy = end - start != length and self._is_noisy(start, end, native)
        checks = checks_of(condition, noisy=noisy)
        if not checks:
            self._matches.append(self._match(start, end, term))
            return
        content = "".join(char for char in self._context.slice(start, end) if char >= " ")
        self._pending.append(Candidate(start, end, term, content, native, checks, condition))

    def _is_noisy(self, start: int, end: int, native: frozenset[int]) -> bool:
        """Whether there is noise inside that the term's owner did not write."""
        position = 0
        for char in self._context.slice(start, end):
            if char >= " ":
                position += 1
            elif char != IGNORABLE and position not in native:
                return True
        return False

    def _match(self, start: int, end: int, term: int) -> Match:
        index = self._index
        source = Source.TOKENISED if term in index.conditions else Source.KEYWORD
        return Match(Span(start, end), index.categories[term], source, index.rules[term], action=index.actions[term])

    # --- what is certain, and what has to wait -------------------------------------------------------------------

    def _settle(self) -> None:
        """Decide the candidates that can be decided now, and hold the watermark for the others."""
        waiting = []
        for candidate in self._pending:
            held = decide(candidate, self._context)
            if held is None:
                waiting.append(candidate)
            elif held:
                self._matches.append(self._match(candidate.start, candidate.end, candidate.term))
        self._pending = waiting
        if waiting:
            self.watermark = min(self.watermark, *(candidate.start for candidate in waiting))

    def _take(self) -> Sequence[Match]:
        found, self._matches = self._matches, []
        if len(found) > 1:
            found.sort(key=_order)
        return found

    def _term_start(self) -> int:
        """Where the longest tail begins that may still become a term."""
        live = self._live
        if live and self._index.phrase_only:
            live = _without_phrases(self._index, live)
        return self._start_of(live)

    def _start_of(self, live: str) -> int:
        context = self._context
        if not live:
            return context.total
        characters = len(live) if live.isascii() else len(live.encode("latin-1").decode())
        return _back(context, context.total - len(self._folder.run), characters)


def _order(match: Match) -> tuple[int, int, str, str]:
    return match.order


def _back(context: Context, end: int, characters: int) -> int:
    """The offset that has this many kept characters between it and ``end``."""
    at = end - context.base
    text = context.text
    if text[at - characters : at].isalnum():
        return end - characters
    while characters:
        at -= 1
        if text[at] not in DROPPED:
            characters -= 1
    return context.base + at


def _live_tail(index: Index, tail: str, marked: str) -> str:
    """The longest end of ``tail`` that a key goes on from.

    It can only begin where the last one began or later, and no further back than any key's prefix that ends in the same
    character, so clean text costs a look or two a chunk.
    """
    last = marked[-1]
    if last < " ":
        last = marked.rstrip(DROPPED)[-1]
    size = len(tail)
    at = max(0, size - index.reach.get(last, 0))
    goes_on, key_of, grows = index.automaton.match, index.automaton.get, index.grows
    while at < size:
        lead = tail[at]
        if "\x80" <= lead < "\xc0":
            at += 1
            continue
        end = tail[at:]
        if goes_on(end):
            key = key_of(end, -1)
            if key < 0 or grows[key]:
                return end
        at += 1 if lead < "\x80" else 3 if "\xe0" <= lead < "\xf0" else 2
    return ""


def _without_phrases(index: Index, live: str) -> str:
    """The longest end of ``live`` that a term goes on from."""
    for at, lead in enumerate(live):
        if "\x80" <= lead < "\xc0":
            continue
        end = live[at:]
        if end in index.phrase_only or not index.automaton.match(end):
            continue
        key = index.automaton.get(end, -1)
        if key < 0 or index.term_grows[key]:
            return end
    return ""
