"""A lexicon compiled for scanning: one automaton over all spellings, and what is known of each.

The automaton works on the UTF-8 bytes of folded text, decoded as latin-1: fed plain strings it is ten times slower,
because a node then has thousands of children (LIBRARIES.md, section 1).

Everything here is a handful of arrays instead of an object a term: an index of 100,000 terms is loaded from its bytes
by a few calls, and costs neither the garbage collector nor the one who lets it go a look at each term.
``filters.compilation`` makes it.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ahocorasick
import orjson

from filters.tokenised import Condition, Cover
from filters.types import Action

NO_GAPS: frozenset[int] = frozenset()
PLAIN = Condition()
WORD = Condition(word=True)
_INNER = "".join(map(chr, range(0x80, 0xC0)))  # bytes inside a character
NO_PHRASE = -1
NO_ACTION = 255


def as_bytes(folded: str) -> str:
    """The form in which the automaton reads text."""
    return folded.encode().decode("latin-1")


class Texts:
    """Many strings in one, read one at a time."""

    __slots__ = ("blob", "ends")

    def __init__(self, blob: bytes, ends: array[int]) -> None:
        self.blob = blob
        self.ends = ends

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> Texts:
        """Pack."""
        ends, end = array("I"), 0
        for text in texts:
            end += len(text)
            ends.append(end)
        return cls(b"".join(texts), ends)

    def __getitem__(self, number: int) -> bytes:
        return self.blob[self.ends[number - 1] if number else 0 : self.ends[number]]

    def __len__(self) -> int:
        return len(self.ends)


@dataclass(frozen=True, slots=True)
class TermTable:
    """What is known of each term, by its number.

    Attributes:
        rules: the terms as they were written.
        categories: their codes, as numbers in ``codes``.
        actions: their own actions, or ``NO_ACTION``.
        conditions: 0 is ``PLAIN``, 1 is ``WORD``, others are numbers in ``special`` raised by 2.
        gaps: the native gaps, as numbers in ``gap_sets``.
    """

    rules: Texts
    codes: tuple[str, ...]
    categories: array[int]
    actions: bytes
    conditions: array[int]
    special: Texts
    gaps: array[int]
    gap_sets: tuple[frozenset[int], ...]


@dataclass(frozen=True, slots=True)
class KeyTable:
    """What is known of each key, by its number. A key is a distinct folded spelling, of terms, of a companion, or both.

    Attributes:
        lengths: in characters.
        owners: the numbers of their terms, key by key.
        owner_ends: where in ``owners`` those of a key end.
        phrases: the number of the companion phrase that the key spells, or ``NO_PHRASE``.
    """

    lengths: array[int]
    owners: array[int]
    owner_ends: array[int]
    phrases: array[int]


class Index:
    """Immutable; safe to share between threads and streams.

    Attributes:
        automaton: finds keys.
        live: what tells how much of a text's end may still become a key.
    """

    __slots__ = ("_conditions", "automaton", "keys", "live", "terms")

    def __init__(self, automaton: Any, keys: KeyTable, terms: TermTable, live: LiveTails) -> None:
        self.automaton = automaton
        self.keys = keys
        self.terms = terms
        self.live = live
        self._conditions: dict[int, Condition] = {0: PLAIN, 1: WORD}  # those that were asked for

    def __len__(self) -> int:
        return len(self.terms.rules)

    def owners(self, key: int) -> array[int]:
        """The terms of a key; none where it only spells a companion."""
        ends = self.keys.owner_ends
        return self.keys.owners[ends[key - 1] if key else 0 : ends[key]]

    def rule(self, term: int) -> str:
        """The term as it was written."""
        return self.terms.rules[term].decode("utf-8", "surrogatepass")

    def category(self, term: int) -> str:
        """Its category's code."""
        return self.terms.codes[self.terms.categories[term]]

    def action(self, term: int) -> Action | None:
        """Its own action; ``None`` for the policy's."""
        action = self.terms.actions[term]
        return None if action == NO_ACTION else Action(action)

    def native(self, term: int) -> frozenset[int]:
        """The native gaps of a term."""
        return self.terms.gap_sets[self.terms.gaps[term]]

    def condition(self, term: int) -> Condition:
        """What must hold for a hit to count."""
        number = self.terms.conditions[term]
        known = self._conditions.get(number)
        if known is None:
            known = self._conditions[number] = _read_condition(self.terms.special[number - 2])
        return known


class LiveTails:
    """How much of a text's end may still become a key: the longest end that is a proper prefix of one.

    The automaton does not tell its own depth, so ends are looked up in its tree. Few have to be: ``deep`` says, by a
    checksum of the last bytes, how long a prefix can be that ends in them. Two prefixes of one checksum cost a look, no
    more. (Python's own ``hash`` would be a little faster, but differs from process to process.)

    Attributes:
        deep: how long a prefix can be, in bytes; its length is a power of two.
        grows: whether a key begins a longer one.
        term_grows: whether a key begins a longer spelling of a term.
        phrase_only: everything that a companion phrase may begin with and no term does.
    """

    __slots__ = ("_goes_on", "_key_of", "_mask", "_short", "deep", "grows", "phrase_only", "term_grows")

    def __init__(
        self, automaton: Any, deep: array[int], grows: bytes, term_grows: bytes, phrase_only: frozenset[str]
    ) -> None:
        self._goes_on = automaton.match
        self._key_of = automaton.get
        self._mask = len(deep) - 1
        self._short: dict[str, str] = {}
        self.deep = deep
        self.grows = grows
        self.term_grows = term_grows
        self.phrase_only = phrase_only

    def of(self, tail: str) -> str:
        """The longest end of ``tail`` that a key goes on from, or nothing."""
        size, last = len(tail), tail[-1:]
        if last < " ":
            return ""  # nothing goes on across a sentence end or a wide gap
        width = 4 if last < "\x80" else 6
        longest = self.deep[zlib.crc32(tail[-width:].encode("latin-1")) & self._mask]
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
                    if key < 0 or self.grows[key]:
                        return end
            at += 3 if "\xe0" <= lead < "\xf0" else 1
        return ""

    def of_terms(self, live: str) -> str:
        """The longest end of ``live`` that a term goes on from: a mere companion that may go on holds nothing back."""
        if not self.phrase_only:
            return live
        for at, lead in enumerate(live):
            if "\x80" <= lead < "\xc0":
                continue
            end = live[at:]
            if end in self.phrase_only or not self._goes_on(end):
                continue
            key = self._key_of(end, -1)
            if key < 0 or self.term_grows[key]:
                return end
        return ""


# --- as bytes --------------------------------------------------------------------------------------------------------


def write_condition(condition: Condition) -> bytes:
    """As ``Index.condition`` reads it."""
    unless = [[cover.before, cover.after, cover.across_clauses] for cover in condition.unless]
    return orjson.dumps([condition.word, unless, sorted(condition.companions), condition.within])


def _read_condition(packed: bytes) -> Condition:
    word, unless, companions, within = orjson.loads(packed)
    return Condition(word, tuple(Cover(*cover) for cover in unless), frozenset(companions), within)


def dump(index: Index) -> dict[str, bytes]:
    """The index as named byte strings, for :func:`load` on a machine of the same kind."""
    keys, terms, live = index.keys, index.terms, index.live
    _make, (nodes, *about, _) = index.automaton.__reduce__()  # what pickle would ask; all but the nodes are numbers
    lists = {
        "automaton": [len(nodes), about],
        "codes": terms.codes,
        "gap_sets": [sorted(gaps) for gaps in terms.gap_sets],
        "phrase_only": sorted(live.phrase_only),
    }
    return {
        **{f"nodes{at}": piece for at, piece in enumerate(nodes)},
        "lists": orjson.dumps(lists),
        "lengths": keys.lengths.tobytes(),
        "owners": keys.owners.tobytes(),
        "owner_ends": keys.owner_ends.tobytes(),
        "phrases": keys.phrases.tobytes(),
        "rules": terms.rules.blob,
        "rule_ends": terms.rules.ends.tobytes(),
        "categories": terms.categories.tobytes(),
        "actions": terms.actions,
        "conditions": terms.conditions.tobytes(),
        "special": terms.special.blob,
        "special_ends": terms.special.ends.tobytes(),
        "gaps": terms.gaps.tobytes(),
        "deep": live.deep.tobytes(),
        "grows": live.grows,
        "term_grows": live.term_grows,
    }


def load(parts: Mapping[str, bytes]) -> Index:
    """What :func:`dump` wrote. Only for bytes known to be its own: the automaton trusts the addresses in them."""
    lists = orjson.loads(parts["lists"])
    pieces, about = lists["automaton"]
    automaton = ahocorasick.Automaton([parts[f"nodes{at}"] for at in range(pieces)], *about, None)
    keys = KeyTable(
        _array("H", parts["lengths"]),
        _array("I", parts["owners"]),
        _array("I", parts["owner_ends"]),
        _array("i", parts["phrases"]),
    )
    terms = TermTable(
        Texts(parts["rules"], _array("I", parts["rule_ends"])),
        tuple(lists["codes"]),
        _array("H", parts["categories"]),
        parts["actions"],
        _array("I", parts["conditions"]),
        Texts(parts["special"], _array("I", parts["special_ends"])),
        _array("I", parts["gaps"]),
        tuple(map(frozenset, lists["gap_sets"])),
    )
    phrase_only = frozenset(lists["phrase_only"])
    live = LiveTails(automaton, _array("H", parts["deep"]), parts["grows"], parts["term_grows"], phrase_only)
    return Index(automaton, keys, terms, live)


def _array(kind: str, data: bytes) -> array[int]:
    numbers: array[int] = array(kind)
    numbers.frombytes(data)
    return numbers
