"""Terms that are looked for by their sound: 菠菜, ``bocai`` and ``bo菜`` are all read as 博彩.

Texts are read as one code a character (``filters.sound_table``). A run of letters is read as syllables only where the
whole run, and nothing but it, spells neighbouring syllables of a term: ``dai kaifapiao`` does, ``bocaiuva`` does not.
What is read like a term still has to be no ordinary text (``filters.sound_context``).
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

import orjson

from filters import sound_table
from filters.automaton import Automaton
from filters.normalise import IGNORABLE
from filters.readings import PAD, Found
from filters.sound_context import (
    Spoken,
    is_among_chinese,
    is_disguise,
    is_plain,
    is_plain_here,
    is_spelled_on_purpose,
    is_strange,
    pieces_of,
)
from filters.surroundings import Context
from filters.tokenised import Candidate

MAX_VARIANTS = 48
"""How many ways to read it a term may have; a character with several readings, and fuzzy sounds, multiply them."""

MAX_SYLLABLES = 12
"""Longer terms are not looked for by sound: nobody disguises all of a sentence."""

MAX_RUN = 96
"""A run of letters, with what is invisible in it, that may still be read; longer ones are no words."""

_LETTER = "abcdefghijklmnopqrstuvwxyz0123456789"
_LETTERS = frozenset(_LETTER)
_RUN_CHARS = _LETTER + IGNORABLE
_UNIT = re.compile("[a-z0-9]+|[^a-z0-9]")
_ANY = re.compile("[a-z0-9]")
_LONG = 100  # from about here bytes are faster than regular expressions
_RUNS_ONLY = bytes(code if chr(code) in _RUN_CHARS else ord(" ") for code in range(256))
_TONE = re.compile("(?<=[a-z])[0-5]")


_Judge = Callable[[int, int, Context], bool | None]


@dataclass(frozen=True, slots=True)
class SoundTerm:
    """A term to look for.

    Attributes:
        number: what its hits are reported as.
        text: folded.
        fuzzy: whether sounds count as well that many speakers do not tell apart.
    """

    number: int
    text: str
    fuzzy: bool = False


class SoundReading:
    """The index; immutable and shared.

    Attributes:
        automaton: finds keys, which are rows of codes.
        terms: the numbers and folded texts of the terms.
        owners: places in ``terms``, key by key.
        owner_ends: where in ``owners`` those of a key end.
        runs: what is read for a run of letters, padded to its length.
    """

    __slots__ = ("_runs_in_order", "automaton", "owner_ends", "owners", "runs", "terms")

    def __init__(
        self,
        automaton: Automaton,
        terms: Sequence[tuple[int, str]],
        owners: array[int],
        owner_ends: array[int],
        runs: Mapping[str, str],
    ) -> None:
        self.automaton = automaton
        self.terms = terms
        self.owners = owners
        self.owner_ends = owner_ends
        self.runs = runs
        self._runs_in_order = sorted(runs)

    def open(self) -> SoundRewriter:
        """Start on a new text."""
        return SoundRewriter(self)

    def goes_on(self, run: str) -> bool:
        """Whether a run that is read begins with these letters."""
        if len(run) > MAX_RUN:
            return False
        plain = _plain(run)
        at = bisect_left(self._runs_in_order, plain)
        return at < len(self._runs_in_order) and self._runs_in_order[at].startswith(plain)

    def read_run(self, run: str) -> str | None:
        """What is read for a whole run, as long as it is; ``None`` where it spells nothing."""
        known = self.runs.get(run)
        if known is not None or run.isalpha() or run.isdigit():
            return known
        letters = run.lstrip(IGNORABLE)
        plain = _plain(letters)
        known = self.runs.get(plain) if len(letters) <= MAX_RUN else None
        return None if known is None else (known + PAD * (len(letters) - len(plain))).rjust(len(run), IGNORABLE)

    is_plain = staticmethod(is_plain)

    def found(
        self,
        key: int,
        span: tuple[int, int],
        rewritten: str,  # noqa: ARG002 - the key says it all
        context: Context,
        *,
        hurried: bool,
    ) -> Sequence[Found]:
        """The terms that a span is a disguise of, if the text round it is not ordinary."""
        written = context.slice(*span)
        ideographs = min(written) > "z"
        if ideographs and not hurried and is_plain_here(written, span[0], context):
            return ()
        terms = [self.terms[at] for at in self.owners[self.owner_ends[key - 1] if key else 0 : self.owner_ends[key]]]
        if ideographs:
            if hurried:
                return [Found(*span, number, ("sound",)) for number, text in terms if is_strange(written, text)]
            return _judged(span, [(number, _spoken_alike(written, text)) for number, text in terms], context)
        pieces = None if _is_cut_from_run(written, span, context) else pieces_of(written)
        if pieces is None:
            return ()
        content = "".join(pieces)
        span = span[0], span[1] - (len(written) - len(written.rstrip(IGNORABLE)))
        spoken = [(number, _spoken(pieces, text)) for number, text in terms if text != content]
        return _judged(span, spoken, None if hurried else context)


def _judged(span: tuple[int, int], terms: Iterable[tuple[int, Spoken]], context: Context | None) -> Sequence[Found]:
    """Those that are disguises by the text round them or, where it is not given, by what stands there."""
    found: list[Found] = []
    for number, spoken in terms:
        if not spoken.spelled and not spoken.substitutes:
            continue  # it is found as it is spelled
        judge: _Judge = partial(is_disguise, spoken)
        if max(map(max, spoken.pieces)) <= "z":
            if not is_spelled_on_purpose(spoken.pieces):
                continue
            judge = is_among_chinese
        held = spoken.is_strange() if context is None else judge(*span, context)
        if held is not False:
            how = ("pinyin",) * bool(spoken.spelled) + ("sound",) * bool(spoken.substitutes)
            found.append(Found(*span, number, how, () if held else (partial(_ask, judge),)))
    return found


def _ask(judge: _Judge, candidate: Candidate, context: Context) -> bool | None:
    return judge(candidate.start, candidate.end, context)


def _spoken_alike(written: str, text: str) -> Spoken:
    """Ideographs only, one for each of the term's."""
    return Spoken((written,), len(text), sum(map(str.__ne__, written, text)), 0)


def _spoken(pieces: tuple[str, ...], text: str) -> Spoken:
    units = _UNIT.findall(text)
    syllables = sum(unit > "z" for unit in units)
    ideographs = [char for piece in pieces if piece[0] > "z" for char in piece]
    substitutes = sum(char not in text for char in ideographs)
    return Spoken(pieces, len(units), substitutes, syllables - len(ideographs))


def _is_cut_from_run(written: str, span: tuple[int, int], context: Context) -> bool:
    """Whether letters of a span go on outside of it."""
    if written[0] in _LETTERS and context.before(span[0]) in _LETTERS:
        return True
    return written.rstrip(IGNORABLE)[-1] in _LETTERS and (context.after(span[1]) or "") in _LETTERS


def _plain(run: str) -> str:
    """A run without what is invisible in it, and without digits for tones."""
    if run.isalpha():
        return run
    return _TONE.sub("", run.replace(IGNORABLE, ""))


# --- texts -----------------------------------------------------------------------------------------------------------


class SoundRewriter:
    """Reads one text by its sound. A run of letters at the end is kept back while it may still spell something."""

    __slots__ = ("_held", "_inside", "_reading", "waits")

    def __init__(self, reading: SoundReading) -> None:
        self._reading = reading
        self._held = ""
        self._inside = False  # a run goes on that spells nothing
        self.waits = False

    def feed(self, chunk: str, marked: str) -> str:  # noqa: ARG002 - what was folded away has no sound
        """Take the next characters, and return those that can be read."""
        text = self._held + marked if self._held else marked
        if not marked or text[-1] not in _RUN_CHARS:
            if not marked:
                return ""
            return self._read(text, held="", inside=False)
        head = text.rstrip(_RUN_CHARS)
        run = text[len(head) :]
        if head or not self._inside:
            run = run.lstrip(IGNORABLE)
            if run and self._reading.goes_on(run):
                return self._read(text[: len(text) - len(run)], held=run, inside=False)
            return self._read(text, held="", inside=bool(run))
        return self._read(text, held="", inside=True)

    def flush(self) -> str:
        """Return the rest."""
        return self._read(self._held, held="", inside=False)

    def _read(self, text: str, *, held: str, inside: bool) -> str:
        was_inside, self._inside = self._inside, inside
        self._held = held
        self.waits = bool(held)
        if not text:
            return ""
        rewritten = sound_table.read(text)
        if len(text) < _LONG and not _ANY.search(text):
            return rewritten
        runs = text.encode().translate(_RUNS_ONLY).decode("latin-1").split()
        known = [self._reading.read_run(run) for run in runs]
        if was_inside and text[0] in _RUN_CHARS:
            known[0] = None
        return _put_in(rewritten, zip(runs, known, strict=True)) if any(known) else rewritten


def _put_in(rewritten: str, runs: Iterable[tuple[str, str | None]]) -> str:
    """A text with some of its runs of letters replaced; all are given, in their order."""
    pieces: list[str] = []
    done = at = 0
    for run, known in runs:
        at = rewritten.index(run, at)
        if known:
            pieces += rewritten[done:at], known
            done = at + len(run)
        at += len(run)
    return "".join((*pieces, rewritten[done:]))


# --- terms -----------------------------------------------------------------------------------------------------------


def compile_sounds(terms: Iterable[SoundTerm]) -> SoundReading | None:
    """The reading of some terms; ``None`` where none has at least two syllables, and not too many."""
    draft = _Draft()
    for term in terms:
        draft.add(term)
    return draft.reading() if draft.terms else None


class _Draft:
    """What is known of the terms while they are collected."""

    def __init__(self) -> None:
        self.terms: list[tuple[int, str]] = []
        self._variants: list[list[tuple[str, ...]]] = []  # term by term, syllables and letters
        self._table = sound_table.load()

    def add(self, term: SoundTerm) -> None:
        units = _UNIT.findall(term.text)
        sounds = [self._table.readings.get(unit) or ((unit,) if unit.isascii() else None) for unit in units]
        if None in sounds or not 2 <= len(units) <= MAX_SYLLABLES or all(map(str.isascii, units)):
            return
        choices = [list(sound) for sound in sounds if sound]
        if term.fuzzy:
            choices = [[*c, *(o for s in c for o in sound_table.alike(s))] for c in choices]
        self.terms.append((term.number, term.text))
        self._variants.append(list(_some(choices)))

    def reading(self) -> SoundReading:
        """Everything."""
        units = {unit for variants in self._variants for variant in variants for unit in variant}
        free = map(chr, count(sound_table.FIRST_FREE))
        own = dict(zip(sorted(units - self._table.syllables.keys()), free, strict=False))
        spelled = self._spelled({**self._table.syllables, **own})
        several = dict(zip((run for run, codes in spelled.items() if len(codes) > 1), free, strict=False))
        keys: dict[str, list[int]] = {}
        for owner in range(len(self.terms)):
            for key in dict.fromkeys(self._keys(owner, own, several)):
                keys.setdefault(key, []).append(owner)
        owners, ends = array("I"), array("I")
        for found in keys.values():
            owners.extend(found)
            ends.append(len(owners))
        runs = {run: (several.get(run) or min(codes)).ljust(len(run), PAD) for run, codes in spelled.items()}
        return SoundReading(Automaton.build(list(keys)), self.terms, owners, ends, runs)

    def _spelled(self, codes: Mapping[str, str]) -> dict[str, set[str]]:
        """All runs of letters that are read, and the codes that each spells."""
        spelled: dict[str, set[str]] = {}
        for variants in self._variants:
            for units in variants:
                for start in range(len(units)):
                    run = read = ""
                    for unit in units[start:]:
                        run, read = run + unit, read + codes[unit]
                        if len(run) > 1 or unit not in self._table.syllables:
                            spelled.setdefault(run, set()).add(read)
        return spelled

    def _keys(self, owner: int, own: Mapping[str, str], several: Mapping[str, str]) -> Iterator[str]:
        text, variants = self.terms[owner][1], self._variants[owner]
        table = self._table
        for units in variants:
            plain = [table.syllables.get(unit) or own[unit] for unit in units]
            yield "".join(plain)
            yield from _with_several(units, plain, several)
        choices: list[list[str]] = []
        for at, written in enumerate(_UNIT.findall(text)):
            sounds = dict.fromkeys(units[at] for units in variants)
            codes = dict.fromkeys(code for sound in sounds for code in table.codes.get(sound) or (own[sound],))
            mine = table.code_of.get(written)
            choices.append([mine, *(code for code in codes if code != mine)] if mine in codes else list(codes))
        yield from map("".join, _some(choices))


def _with_several(units: Sequence[str], plain: Sequence[str], several: Mapping[str, str]) -> Iterator[str]:
    """Keys with a run of letters in them that may spell several things, and has a code for just that."""
    for start in range(len(units)):
        run = ""
        for end in range(start + 1, len(units) + 1):
            run += units[end - 1]
            if run in several:
                yield "".join((*plain[:start], several[run], *plain[end:]))


def _some(choices: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Combinations of choices, at most :data:`MAX_VARIANTS`: those that differ from the first in few places."""
    level = [tuple(choice[0] for choice in choices)]
    seen = set(level)
    for at in range(MAX_VARIANTS):
        if at >= len(level):
            return
        combination = level[at]
        yield combination
        for place, choice in enumerate(choices):
            for other in choice[1:]:
                changed = (*combination[:place], other, *combination[place + 1 :])
                if combination[place] == choice[0] and changed not in seen:
                    seen.add(changed)
                    level.append(changed)


# --- as bytes --------------------------------------------------------------------------------------------------------


def dump(reading: SoundReading) -> dict[str, bytes]:
    """The reading as named byte strings, for :func:`load` on a machine of the same kind."""
    return {
        **reading.automaton.dump("sounds"),
        "sound_lists": orjson.dumps([reading.terms, reading.runs]),
        "sound_owners": reading.owners.tobytes(),
        "sound_owner_ends": reading.owner_ends.tobytes(),
    }


def load(parts: Mapping[str, bytes]) -> SoundReading | None:
    """What :func:`dump` wrote; ``None`` where it wrote nothing."""
    if "sound_lists" not in parts:
        return None
    terms, runs = orjson.loads(parts["sound_lists"])
    owners, ends = array("I"), array("I")
    owners.frombytes(parts["sound_owners"])
    ends.frombytes(parts["sound_owner_ends"])
    return SoundReading(Automaton.load(parts, "sounds"), list(map(tuple, terms)), owners, ends, runs)
