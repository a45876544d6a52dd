"""Lexicons: validated terms, read from and written to CSV and JSONL."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Literal

from filters.normalise import fold_plain, fold_term
from filters.taxonomy import CATEGORIES
from filters.types import Action

COLUMNS = ("term", "category", "action", "match", "unless", "with", "within", "note")
OPTIONAL_COLUMNS = ("expires", "needs")
"""Written only where a term uses them."""
_KNOWN = COLUMNS + OPTIONAL_COLUMNS
MAX_TERM_LENGTH = 200
MAX_WITHIN = 200
_BATCH = 2000
SENTENCE: Literal["sentence"] = "sentence"
Within = int | Literal["sentence"]
CLASSIFIER: Literal["classifier"] = "classifier"
Needs = Literal["", "classifier"]


class MatchMode(StrEnum):
    """How a term must stand in the text."""

    SUBSTRING = "substring"
    WORD = "word"
    SOUND = "sound"
    FUZZY = "fuzzy"
    """As ``sound``, and the sounds that many speakers do not tell apart count as the same."""


@dataclass(frozen=True, slots=True)
class Term:
    """One entry of a lexicon.

    ``action`` overrides the policy's where it is not ``None``. A hit inside one of the ``unless`` phrases does not
    count. With ``with_``, one of these phrases must stand within ``within`` characters, or in the same sentence.
    ``expires`` is the first moment at which it no longer counts, ``2026-12-31`` or ``2026-12-31T16:00:00Z`` (UTC; both
    forms sort as the time does); empty: never. There is no clock here: whoever compiles a lexicon leaves out what has
    expired. ``needs`` makes it a context term: a hit counts only where the classifier finds its category too, in the
    sentence round it.
    """

    term: str
    category: str
    action: Action | None = None
    match: MatchMode = MatchMode.SUBSTRING
    unless: tuple[str, ...] = ()
    with_: tuple[str, ...] = ()
    within: Within | None = None
    note: str = ""
    expires: str = ""
    needs: Needs = ""


class TermError(ValueError):
    """A term that cannot be taken; the message says why."""


class LexiconError(ValueError):
    """A lexicon file that cannot be read. Nothing of it was taken.

    Attributes:
        file: the name of the file.
        line: the number of the offending line, from 1.
        reason: what is wrong and what would be right.
    """

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}:{line}: {reason}")
        self.file = file
        self.line = line
        self.reason = reason


class Lexicon:
    """An immutable set of terms, unique by folded spelling and category; of two such terms the later one counts."""

    __slots__ = ("_terms", "version")

    def __init__(self, terms: Iterable[Term] = ()) -> None:
        given = list(terms)
        plain = fold_plain([term.term for term in given])
        self._terms = {_identity(term, text): term for term, text in zip(given, plain, strict=True)}
        self.version = _digest(self._terms.values())

    def merged(self, terms: Iterable[Term]) -> Lexicon:
        """A lexicon of these terms and the given ones, which win where both have a spelling and category."""
        return Lexicon([*self, *terms])

    @property
    def counts(self) -> Mapping[str, int]:
        """Category code -> how many terms it has."""
        return Counter(category for _, category in self._terms)

    def __len__(self) -> int:
        return len(self._terms)

    def __iter__(self) -> Iterator[Term]:
        return iter(self._terms.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lexicon) and self.version == other.version

    def __hash__(self) -> int:
        return hash(self.version)


def _identity(term: Term, plain: str | None) -> tuple[str, str]:
    folded = fold_term(term.term).text if plain is None else plain
    return (term.term if folded == term.term else folded, term.category)


def _digest(terms: Iterable[Term]) -> str:
    """A hash of everything that a verdict depends on, in no order: not on notes, nor on expiry dates."""
    total = 0
    known: dict[tuple[Any, ...], str] = {}  # most terms of a large lexicon differ in their spelling alone
    for t in terms:
        rest = (t.category, t.action, t.match, t.unless, t.with_, t.within, t.needs)
        said = known.get(rest)
        if said is None:
            said = _said(t)
            if len(known) < _BATCH:
                known[rest] = said
        line = f"({t.term!r}, {said}"
        total += int.from_bytes(hashlib.sha256(line.encode()).digest())  # a sum has no order, and needs no sort
    return hashlib.sha256(str(total).encode()).hexdigest()[:16]


def _said(t: Term) -> str:
    said = (t.category, t.action and int(t.action), t.match.value, t.unless, t.with_, t.within)
    # A lexicon that says what it always said keeps its version, also where terms could not need anything yet.
    return repr((*said, t.needs) if t.needs else said)[1:]


def parse_term(fields: Mapping[str, Any]) -> Term:
    """Check one row. Keys are those of :data:`COLUMNS`; phrases come as a list or as one string with ``;`` between.

    Raises:
        TermError: the reason names the column and what would be right.
    """
    unknown = [str(key) for key in fields if key not in _KNOWN]
    if unknown:
        msg = f"unknown column {unknown[0]!r}: use {', '.join(_KNOWN)}"
        raise TermError(msg)
    with_ = _phrases(fields, "with")
    return Term(
        term=_checked(_text(fields, "term"), "term"),
        category=_category(_text(fields, "category")),
        action=_action(_text(fields, "action")),
        match=_match(_text(fields, "match")),
        unless=_phrases(fields, "unless"),
        with_=with_,
        within=_within(fields.get("within"), with_),
        note=_text(fields, "note"),
        expires=_expires(_text(fields, "expires")),
        needs=_needs(_text(fields, "needs")),
    )


def _text(fields: Mapping[str, Any], column: str) -> str:
    value = fields.get(column)
    if value is None:
        return ""
    if not isinstance(value, str):
        msg = f"{column} must be a string"
        raise TermError(msg)
    return value.strip()


def _checked(phrase: str, column: str) -> str:
    if not phrase:
        msg = f"{column} is empty"
        raise TermError(msg)
    if len(phrase) > MAX_TERM_LENGTH:
        msg = f"{column} has {len(phrase)} characters; at most {MAX_TERM_LENGTH} are allowed"
        raise TermError(msg)
    folded = fold_term(phrase)
    if not folded.text:
        msg = f"{column} {phrase!r} has no letter or digit, so nothing is left of it to look for"
        raise TermError(msg)
    if folded.unmatchable:
        msg = f"{column} {phrase!r} has a sentence end or a wide gap inside, across which nothing matches"
        raise TermError(msg)
    return phrase


def _category(code: str) -> str:
    if not code:
        raise TermError("category is empty")
    known = CATEGORIES.get(code)
    if known is None:
        msg = f"unknown category {code!r}: use a code such as A1.d (`sluice lexicon coverage` lists them)"
        raise TermError(msg)
    return known.code  # the taxonomy's own string, so that 100,000 terms do not hold 100,000 copies


def _action(label: str) -> Action | None:
    if not label:
        return None
    if label not in {"flag", "mask", "block"}:
        msg = f"unknown action {label!r}: use flag, mask or block, or leave it empty for the policy's"
        raise TermError(msg)
    return Action.parse(label)


def _needs(value: str) -> Needs:
    if value and value != CLASSIFIER:
        msg = f"unknown needs {value!r}: use classifier, or leave it empty for a term that counts by itself"
        raise TermError(msg)
    return CLASSIFIER if value else ""


_MODES = {"": MatchMode.SUBSTRING} | {mode.value: mode for mode in MatchMode}


def _match(label: str) -> MatchMode:
    try:
        return _MODES[label]
    except KeyError:
        msg = f"unknown match {label!r}: use substring, word, sound or fuzzy"
        raise TermError(msg) from None


def _phrases(fields: Mapping[str, Any], column: str) -> tuple[str, ...]:
    value = fields.get(column)
    if not value:
        return ()
    parts = value.split(";") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        msg = f"{column} must be a string with ';' between phrases, or a list of strings"
        raise TermError(msg)
    return tuple(_checked(part.strip(), column) for part in parts if part.strip())


def _within(value: Any, with_: tuple[str, ...]) -> Within | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return SENTENCE if with_ else None
    if not with_:
        raise TermError("within is set but with is empty: name the companions that must be near")
    if value == SENTENCE:
        return SENTENCE
    text = str(value).strip()
    if text == SENTENCE:
        return SENTENCE
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and int(text[:9]) <= MAX_WITHIN):
        msg = f"within must be a whole number from 0 to {MAX_WITHIN}, or 'sentence', not {text!r}"
        raise TermError(msg)
    return int(text)


_MOMENT = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?Z)?"
)
_SHORT_MONTHS = {"02": 29, "04": 30, "06": 30, "09": 30, "11": 30}


def _expires(text: str) -> str:
    if not text:
        return ""
    if not _MOMENT.fullmatch(text) or not _is_day(text[:10]):
        msg = f"expires must be a day such as 2026-12-31, or a time in UTC such as 2026-12-31T16:00Z, not {text!r}"
        raise TermError(msg)
    return text[:-1] + ":00Z" if len(text) == len("2026-12-31T16:00Z") else text


def _is_day(text: str) -> bool:
    year, month, day = int(text[:4]), text[5:7], int(text[8:])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = 28 if month == "02" and not leap else _SHORT_MONTHS.get(month, 31)
    return year > 0 and day <= longest


def read_csv(text: str, name: str) -> list[Term]:
    """Read a CSV file with a header.

    Args:
        text: the decoded contents; a byte order mark is skipped.
        name: the file's name, for errors.

    Raises:
        LexiconError: a row is malformed; no term is returned then.
    """
    text = text.removeprefix("\ufeff")
    try:
        return _read_rows(_reader(text))
    except (TermError, csv.Error):
        return _read_row_by_row(text, name)  # the same, slower; it tells the line


def _reader(text: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), strict=True)


def _read_rows(rows: Any) -> list[Term]:
    header = _header(next(rows, None))
    at = header.index("term")
    known: dict[tuple[str, ...], Term] = {}
    terms: list[Term] = []
    while batch := list(islice(rows, _BATCH)):  # in pieces, so that other threads have their turn
        batch = [row for row in batch if row]
        spellings = [row[at].strip() if len(row) == len(header) else "" for row in batch]
        for row, spelling, plain in zip(batch, spellings, fold_plain(spellings), strict=True):
            if plain is None or len(spelling) > MAX_TERM_LENGTH:
                _checked(spelling, "term")
            row[at] = "x"
            rest = tuple(row)
            like = known.get(rest)  # most rows of a large file differ in their term alone
            if like is None:
                like = parse_term(_row_fields(header, row))
                if len(known) < _BATCH:
                    known[rest] = like
            terms.append(
                Term(
                    spelling,
                    like.category,
                    like.action,
                    like.match,
                    like.unless,
                    like.with_,
                    like.within,
                    like.note,
                    like.expires,
                    like.needs,
                )
            )
    return terms


def _read_row_by_row(text: str, name: str) -> list[Term]:
    rows = _reader(text)
    terms: list[Term] = []
    line = 1
    try:
        header = _header(next(rows, None))
        before = rows.line_num
        for row in rows:
            line, before = before + 1, rows.line_num
            if row:
                terms.append(parse_term(_row_fields(header, row)))
    except TermError as error:
        raise LexiconError(name, line, str(error)) from error
    except csv.Error as broken:
        raise LexiconError(name, max(rows.line_num, 1), f"not CSV: {broken}") from broken
    return terms


def _row_fields(header: list[str], row: list[str]) -> dict[str, str]:
    if len(row) != len(header):
        msg = f"{len(row)} fields, but the header has {len(header)}"
        raise TermError(msg)
    return dict(zip(header, row, strict=True))


def _header(row: list[str] | None) -> list[str]:
    header = [column.strip() for column in row or ()]
    for column in ("term", "category"):
        if column not in header:
            msg = f"the header has no column {column!r}: it must name {', '.join(_KNOWN)}"
            raise TermError(msg)
    for column in header:
        if column not in _KNOWN:
            msg = f"unknown column {column!r}: use {', '.join(_KNOWN)}"
            raise TermError(msg)
        if header.count(column) > 1:
            msg = f"column {column!r} stands twice in the header"
            raise TermError(msg)
    return header


def _object(line: str) -> dict[str, Any]:
    fields = json.loads(line, object_pairs_hook=_unique)
    if not isinstance(fields, dict):
        raise TermError("each line must be a JSON object")
    return fields


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise TermError("a key stands twice")
    return fields


def read_jsonl(text: str, name: str) -> list[Term]:
    """Read a file with one JSON object a line, with the same keys as the CSV columns.

    Raises:
        LexiconError: a line is malformed; no term is returned then.
    """
    terms: list[Term] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        try:
            terms.append(parse_term(_object(line)))
        except TermError as error:
            raise LexiconError(name, number, str(error)) from error
        except (ValueError, RecursionError) as broken:
            raise LexiconError(name, number, f"not JSON: {broken}") from broken
    return terms


def term_fields(term: Term) -> dict[str, str]:
    """The term as a row of a lexicon file, column by column; optional columns only where it uses them."""
    fields = {
        "term": term.term,
        "category": term.category,
        "action": term.action.label if term.action is not None else "",
        "match": term.match.value,
        "unless": ";".join(term.unless),
        "with": ";".join(term.with_),
        "within": "" if term.within is None else str(term.within),
        "note": term.note,
    }
    if term.expires:
        fields["expires"] = term.expires
    if term.needs:
        fields["needs"] = term.needs
    return fields


def write_csv(terms: Iterable[Term]) -> str:
    """Write terms as :func:`read_csv` reads them."""
    rows = list(map(term_fields, terms))
    out = io.StringIO(newline="")
    columns = (*COLUMNS, *(name for name in OPTIONAL_COLUMNS if any(name in row for row in rows)))
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def write_jsonl(terms: Iterable[Term]) -> str:
    """Write terms as :func:`read_jsonl` reads them."""
    return "".join(json.dumps(term_fields(term), ensure_ascii=False) + "\n" for term in terms)


READERS: Mapping[str, Callable[[str, str], list[Term]]] = {
    ".csv": read_csv,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
}
"""Reader by file name suffix."""
