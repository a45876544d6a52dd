"""Write ``cases/*.jsonl`` from ``sources/*.txt``.

Every sentence is written by hand. In a source ``{as written|term}`` marks what must be found, ``{term}`` in a carrier
the place that mechanical disguises are put on. A file without marks holds sentences in which nothing may be found.
"""

from __future__ import annotations

import itertools
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_MARK = re.compile(r"\{([^{}|]+)(?:\|([^{}|]+))?\}")
WRITTEN = (
    "same_sound",
    "fuzzy_sound",
    "pinyin",
    "mixed",
    "split",
    "emoji",
    "digits_spoken",
    "contact",
)
BENIGN = ("homophone", "border", "sentence_end", "names", "numbers", "poem", "news", "everyday")

ZERO_WIDTH = ["\u200b", "\u200c", "\u200d", "\ufeff", "\u00ad", "\u2060", "\ufe0f", "\u0335", "\u200b\u200b"]
SINGLE = [" ", "·", "*", "-", "_", ".", "/", "|", "+", "~", "、", "\u3000", "🔥", "★", "#", "^"]
SEVERAL = ["  ", "**", "-_-", "...", " * ", "—", "~~~", "//", ".. ", "🔥🔥", "* ·", "(_)"]
CYRILLIC = str.maketrans("aceopxysikbn", "асеорхуѕікЬп")
GREEK = str.maketrans("aoviktp", "αονικτρ")
DIGIT_FORMS = {
    "full width": 0xFF10,
    "circled": None,
    "keycap": None,
    "bold": 0x1D7CE,
    "superscript": None,
    "with full stop": None,
}


def _rows(name: str) -> list[str]:
    lines = (HERE / "sources" / f"{name}.txt").read_text("utf-8").split("\n")
    return [line.replace("\\n", "\n") for line in lines if line and not line.startswith("# ")]


def _case(marked: str, note: str, disguise: Callable[[str], str] | None = None) -> dict[str, Any]:
    text, expect, at = "", [], 0
    for found in _MARK.finditer(marked):
        text += marked[at : found.start()]
        written = disguise(found[1]) if disguise else found[1]
        expect.append({"term": found[2] or found[1], "start": len(text), "end": len(text) + len(written)})
        text += written
        at = found.end()
    return {"text": text + marked[at:], "expect": expect, "note": note}


def _disguised(rows: list[str], forms: list[tuple[str, Callable[[str], str]]]) -> Iterator[dict[str, Any]]:
    """Each row in the next form; a form that leaves the term as it was makes no case."""
    for row, (note, form) in zip(rows, itertools.cycle(forms), strict=False):
        found = _MARK.search(row)
        if found and form(found[1]) != found[1]:
            yield _case(row, note, form)


def _each(rows: list[str], forms: list[tuple[str, Callable[[str], str]]]) -> Iterator[dict[str, Any]]:
    """Every row in every form."""
    for form in forms:
        yield from _disguised(rows, [form])


def _joined(separators: list[str]) -> list[tuple[str, Callable[[str], str]]]:
    return [(ascii(mark), lambda term, mark=mark: mark.join(term.replace(" ", ""))) for mark in separators]


def _wide(term: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in term)


def _mathematical(term: str) -> str:
    return "".join(chr(ord(char) - ord("a") + 0x1D41A) if "a" <= char <= "z" else char for char in term)


def _circled(term: str) -> str:
    return "".join(chr(ord(char) - ord("a") + 0x24D0) if "a" <= char <= "z" else char for char in term)


def _digits(form: str) -> Callable[[str], str]:
    names = {
        "circled": "CIRCLED DIGIT {}",
        "superscript": "SUPERSCRIPT {}",
        "with full stop": "DIGIT {} FULL STOP",
    }
    words = ["ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"]

    def one(char: str) -> str:
        if not char.isdigit():
            return char
        if first := DIGIT_FORMS[form]:
            return chr(first + int(char))
        if form == "keycap":
            return char + "\ufe0f\u20e3"
        name = names[form].format(words[int(char)])
        return unicodedata.lookup(name) if char != "0" or form != "with full stop" else "🄀"

    return lambda term: "".join(map(one, term))


def _traditional() -> Callable[[str], str]:
    import opencc

    converter = opencc.OpenCC("s2t")
    return lambda term: str(converter.convert(term))


def _filled(filler: str) -> tuple[str, Callable[[str], str]]:
    return (f"{filler} between", filler.join)


def compose() -> dict[str, list[dict[str, Any]]]:
    """All cases by kind, with their ids."""
    han, latin, digit = (_rows(f"carriers_{name}") for name in ("han", "latin", "digit"))
    spelled = latin + [row for row in digit if "bet365" in row]
    kinds: dict[str, list[dict[str, Any]]] = {
        "plain": [_case(row, "as the lexicon has it") for row in [*han, *latin, *digit]],
        "width": list(_disguised([*latin, *digit], [("full width", _wide)])),
        "case": list(
            _disguised(spelled, [("upper", str.upper), ("title", str.title), ("mixed", lambda t: t[0] + t[1:].upper())])
        ),
        "traditional": list(_disguised(han, [("s2t", _traditional())])),
        "zero_width": list(_disguised(han, _joined(ZERO_WIDTH))),
        "separators": [*_disguised(han, _joined(SINGLE)), *_disguised(han, _joined(SEVERAL))],
        "vertical": list(_disguised(han, _joined(["\n", "\r\n", " \n"]))),
        "homoglyph": list(
            _each(
                spelled,
                [
                    ("Cyrillic", lambda term: term.translate(CYRILLIC)),
                    ("Greek", lambda term: term.translate(GREEK)),
                    ("mathematical", _mathematical),
                    ("circled", _circled),
                ],
            )
        ),
        "digits": list(_each(digit, [(form, _digits(form)) for form in DIGIT_FORMS])),
        "doubled": list(_disguised(han[:30], [("doubled", lambda term: "".join(char * 2 for char in term))])),
        "filler": list(_disguised(han[:30], [_filled(filler) for filler in ("a", "xx", "abc", "o")])),
        "reversed": list(_disguised(han[-30:], [("reversed", lambda term: term[::-1])])),
    }
    kinds |= {name: [_case(row, "") for row in _rows(name)] for name in WRITTEN}
    kinds |= {name: [{"text": row, "expect": [], "note": ""} for row in _rows(name)] for name in BENIGN}
    return {
        kind: [{"id": f"{kind}-{number:03}", "kind": kind, **case} for number, case in enumerate(cases, 1)]
        for kind, cases in kinds.items()
    }


def write() -> int:
    """Write the files; how many cases there are."""
    folder = HERE / "cases"
    folder.mkdir(exist_ok=True)
    composed = compose()
    for kind, cases in composed.items():
        lines = (json.dumps(case, ensure_ascii=False) + "\n" for case in cases)
        (folder / f"{kind}.jsonl").write_text("".join(lines), "utf-8", newline="\n")
    return sum(map(len, composed.values()))


if __name__ == "__main__":
    write()
