"""Writes ``tables/simplified.txt``: traditional characters and the simplified ones that stand for them, a pair a line.

Run it with ``python -m models.generate_simplified_table`` where OpenCC is installed (the ``train`` extra); serving
needs the table alone. One character in, one out, and folding twice changes nothing more.
"""

from __future__ import annotations

from models.unmasking import TABLE

_BLOCKS = (range(0x3400, 0x4DC0), range(0x4E00, 0xA000), range(0xF900, 0xFB00))
_HEAD = "# Written by models/generate_simplified_table.py with OpenCC (Apache-2.0); do not edit.\n"


def table() -> str:
    """The file's text: each traditional character with its simplified one, by OpenCC's table of single characters."""
    import opencc

    convert = opencc.OpenCC("t2s").convert
    found = {char: convert(char) for block in _BLOCKS for char in map(chr, block)}
    changed = {char: simple for char, simple in found.items() if len(simple) == 1 and simple != char}
    return _HEAD + "".join(f"{char}{changed.get(simple, simple)}\n" for char, simple in sorted(changed.items()))


if __name__ == "__main__":
    TABLE.write_text(table(), "utf-8")
