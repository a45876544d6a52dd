"""Rows that the project wrote itself: ``rows/<category>/<unsafe|safe>-<batch>.txt``, one text a line.

Where a category has kinds with codes of their own, a file of one kind says so: ``unsafe-<kind>-<batch>.txt``.

The guideline beside them says what counts. A share of them is held back for measuring: no run is ever trained or
calibrated on it, whatever its seed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from models.dataset import DatasetError, Row

CODES: Mapping[str, frozenset[str]] = {
    "gambling": frozenset({"A1.h.gambling"}),
    "sexual": frozenset({"A1.f.sexual"}),
    "fraud": frozenset({"A3.e.fraud"}),
    "spam": frozenset({"X.spam"}),
    "illegal_goods": frozenset({"A1.h"}),
    "violence": frozenset({"A1.f.violence"}),
    "terrorism": frozenset({"A1.d"}),
    "self_harm": frozenset({"A4.a.self_harm"}),
    "incitement": frozenset({"A1.a"}),
    "privacy": frozenset({"A4.f"}),
    "jailbreak": frozenset({"X.jailbreak"}),
    "false_information": frozenset({"A1.g"}),
    "insult": frozenset({"A4.a.bullying"}),
    "hate": frozenset({"A2.i"}),
    "benign": frozenset(),
}
"""What an unsafe row of each folder is labelled. ``benign`` holds ordinary text and no unsafe rows."""

KINDS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "illegal_goods": {
        "drugs": frozenset({"A1.h.drugs"}),
        "weapons": frozenset({"A1.h.weapons_cbrne"}),
        "contraband": frozenset({"A1.h.contraband"}),
    }
}
"""What an unsafe row of a file of one kind is labelled instead."""

FAMILY = "written"
HELD_SHARE = 0.15
_LINE = re.compile(r"([paco])\|(.+)")
_KIND = "|".join(kind for kinds in KINDS.values() for kind in kinds)
_FILE = re.compile(rf"(unsafe|safe)(?:-({_KIND}))?-([\w-]+)\.txt")


def read_written(folder: Path) -> tuple[list[Row], list[Row]]:
    """Rows to train on, and rows held back, of every file below ``folder``.

    A row's side depends on its text alone, so that adding rows moves none of the others.

    Raises:
        DatasetError: a file's name, or one of its lines, is not as the guideline has it; the message names it.
    """
    fit: list[Row] = []
    held: list[Row] = []
    seen: set[str] = set()
    for path in sorted(folder.glob("*/*.txt")):
        for row in _rows(path):
            if row.text not in seen:
                seen.add(row.text)
                (held if _is_held(row.text) else fit).append(row)
    return fit, held


def _is_held(text: str) -> bool:
    digest = hashlib.sha256(f"held:{text}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:4]) < HELD_SHARE * 2**32


def _rows(path: Path) -> Iterator[Row]:
    named = _FILE.fullmatch(path.name)
    category = path.parent.name
    if named is None or category not in CODES or (category == "benign" and named[1] == "unsafe"):
        message = f"{path}: the name should be <category>/<unsafe|safe>-<batch>.txt; categories: {', '.join(CODES)}"
        raise DatasetError(message)
    unsafe, kind, batch = named[1] == "unsafe", named[2], named[3]
    if kind and kind not in KINDS.get(category, {}):
        message = f"{path}: {category} has no kind {kind}; it has: {', '.join(KINDS.get(category, {})) or 'none'}"
        raise DatasetError(message)
    if batch in KINDS.get(category, {}):
        message = f"{path}: {batch} is a kind, and the batch is missing: {named[1]}-{batch}-<batch>.txt"
        raise DatasetError(message)
    held = KINDS[category][kind] if kind else CODES[category]
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        found = _LINE.fullmatch(line)
        if found is None:
            message = f"{path}:{number}: should be a channel letter (p, a, c or o), a bar and a text"
            raise DatasetError(message)
        text = found[2].replace("\\n", "\n")
        codes = held if unsafe else frozenset()
        yield Row(text, unsafe, codes, category, _language(text), f"{FAMILY}@{batch}", f"{named[1]}-{found[1]}")


def _language(text: str) -> str:
    return "zh" if any("\u4e00" <= char <= "\u9fff" for char in text) else "en"
