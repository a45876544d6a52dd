"""Labelled rows: reading, balancing, and a split that keeps rewrites of one another on one side."""

from __future__ import annotations

import gzip
import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import orjson

from models.labels import codes_of

_SHINGLE = 6  # characters; rewrites of one seed share runs of this length
_COMMON_SHINGLE = 12  # a run in more rows than this is a phrase of the language, not a sign of one seed
_SHARED_RUNS = 3
_LARGEST_HELD = 500

# Rows of a source that are drawn at most. The reasons are in the sources' own faults: machine-written questions would
# drown the rest, and the tweets are five sixths positive and of one dialect. COLD and SWSR are taken nearly whole;
# their numbers are for runs that take a part of each.
DEFAULT_CAPS: Mapping[str, int] = MappingProxyType(
    {"plexpt": 8_000, "kdconv": 3_000, "davidson": 4_000, "cold": 24_000, "swsr": 6_000, "laws": 2_000}
)

_WITH_LOOK_ALIKES = frozenset({"written", "sluice_exam"})
"""Families whose safe rows look like unsafe ones on purpose, all but those of the category ``benign``."""

_OF_CONTEMPT = frozenset({"cold", "swsr", "davidson"})
"""Families of remarks that were gathered by the words of contempt: many labels are doubtful, and none is ordinary."""


class DatasetError(Exception):
    """A data file cannot be read; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text."""

    text: str
    unsafe: bool
    codes: frozenset[str]
    category: str
    lang: str
    source: str
    label: str

    @property
    def family(self) -> str:
        """The source without its revision and file."""
        return self.source.partition("@")[0]

    @property
    def plain(self) -> bool:
        """Whether it is ordinary text: safe, and neither written nor gathered to look like something that is not."""
        if self.unsafe or self.remark:
            return False
        return self.family not in _WITH_LOOK_ALIKES or self.category == "benign"

    @property
    def remark(self) -> bool:
        """Whether it is a safe remark of a source of contempt."""
        return not self.unsafe and self.family in _OF_CONTEMPT

    @property
    def usable(self) -> bool:
        """Whether it can teach: an unsafe row whose category is unknown cannot."""
        return not self.unsafe or bool(self.codes)


def read_rows(path: Path) -> list[Row]:
    """Rows of a ``.jsonl`` or ``.jsonl.gz`` file; rows without a verdict are left out.

    A folder is one of rows that were written by the guideline; those held back for measuring are left out.

    Raises:
        DatasetError: the file or one of its lines cannot be read.
    """
    if path.is_dir():
        from models.written import read_written  # it makes the rows that are defined here

        return read_written(path)[0]
    return list(_rows(path))


def _rows(path: Path) -> Iterator[Row]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip() and (row := _row(line, f"{path}:{number}")) is not None:
                    yield row
    except (OSError, EOFError) as error:
        message = f"{path}: cannot read the data: {error}"
        raise DatasetError(message) from error


def _row(line: bytes, place: str) -> Row | None:
    try:
        data = orjson.loads(line)
        if data["unsafe"] is None or not data["text"].strip():
            return None
        unsafe = bool(data["unsafe"])
        source, label = str(data["source"]), str(data.get("label", ""))
        codes = frozenset(data["codes"]) if "codes" in data else codes_of(source, label, data["category"])
        return Row(
            str(data["text"]), unsafe, codes if unsafe else frozenset(), data["category"], data["lang"], source, label
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        message = f"{place}: no labelled row (text, unsafe, category, lang, source): {error!r}"
        raise DatasetError(message) from error


def groups(rows: Sequence[Row]) -> list[str]:
    """A name for each row's group: rows of one document, or rewrites of one seed, share it.

    JADE's rewrites are found as connected components of shared six-character runs; other sources group by file,
    or, where that says nothing, each row stands alone.
    """
    seeds = _rewrite_groups([index for index, row in enumerate(rows) if row.family == "jade"], rows)
    return [seeds.get(index) or _document(row) for index, row in enumerate(rows)]


def _document(row: Row) -> str:
    return row.source if row.family in {"laws", "plexpt"} else row.text


def _rewrite_groups(indices: Sequence[int], rows: Sequence[Row]) -> dict[int, str]:
    holders: dict[str, list[int]] = defaultdict(list)
    for index in indices:
        text = rows[index].text
        for run in {text[at : at + _SHINGLE] for at in range(len(text) - _SHINGLE + 1)}:
            holders[run].append(index)
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for members in holders.values():
        if len(members) <= _COMMON_SHINGLE:
            for other in members[1:]:
                shared[members[0], other] += 1
    leader = {index: index for index in indices}
    for (first, second), count in shared.items():
        if count >= _SHARED_RUNS:
            leader[_find(leader, second)] = _find(leader, first)
    return {index: f"jade-{_find(leader, index)}" for index in indices}


def _find(leader: dict[int, int], index: int) -> int:
    while leader[index] != index:
        leader[index] = leader[leader[index]]
        index = leader[index]
    return index


def hold_back(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Split into rows to fit on and rows held back (about ``share``), whole groups at a time.

    A row's side depends on its group and the seed alone, so adding rows moves none of the others; but a group of very
    many rows is always fitted on: held back, it would take all that its source has of one kind.
    """
    fit: list[Row] = []
    held: list[Row] = []
    names = groups(rows)
    sizes = Counter(names)
    for row, group in zip(rows, names, strict=True):
        if sizes[group] > _LARGEST_HELD:
            fit.append(row)
            continue
        digest = hashlib.sha256(f"{seed}:{group}".encode("utf-8", "replace")).digest()
        (held if int.from_bytes(digest[:4]) < share * 2**32 else fit).append(row)
    return fit, held


def balanced(rows: Iterable[Row], caps: Mapping[str, int], repeats: Mapping[str, int], rng: random.Random) -> list[Row]:
    """One epoch's rows in random order: large one-sided sources capped, small needed ones repeated."""
    families: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        families[row.family].append(row)
    chosen: list[Row] = []
    for family, members in families.items():
        cap = caps.get(family, len(members))
        kept = rng.sample(members, cap) if cap < len(members) else members
        chosen.extend(kept * repeats.get(family, 1))
    rng.shuffle(chosen)
    return chosen
