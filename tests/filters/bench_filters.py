"""Measures the lexicon filter on synthetic words and on the texts of ``dev``; prints a table, asserts nothing.

Run with ``python tests/filters/bench_filters.py [folder of dev.jsonl.gz]``. Not collected by pytest.
"""

# ruff: noqa: T201 - prints a table

import gzip
import json
import random
import resource
import sys
import time
from pathlib import Path

from filters import tokens
from filters.keyword import build_filters
from filters.lexicon import Lexicon, MatchMode, Term, read_csv, write_csv
from filters.normalise import Folder

HAN = (
    "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之"
    "过家学对可她里后小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主"
    "行方又如前所本见经头面公同三已老从动两长党知民样"
)


def words(count, seed=1):
    """Plausible terms: two to five ideographs of a wide range of frequencies, and one in twenty Latin."""
    chooser = random.Random(seed)
    chars = [chr(code) for code in range(0x4E00, 0x9FA5) if _common(chr(code))]
    chooser.shuffle(chars)
    chars.sort(key=lambda char: char not in HAN)
    weights = [1 / (rank + 300) for rank in range(len(chars))]
    pool = chooser.choices(chars, weights, k=count * 6)
    at, found = 0, set()
    while len(found) < count:
        if at + 5 >= len(pool):
            pool, at = chooser.choices(chars, weights, k=count * 6), 0
        size = chooser.choices((2, 3, 4, 5), (25, 30, 35, 10))[0]
        if chooser.random() < 0.05:
            found.add("".join(chooser.choices("abcdefghijklmnopqrstuvwxyz", k=chooser.randint(5, 12))))
        else:
            found.add("".join(pool[at : at + size]))
            at += size
    return sorted(found)


def _common(char):
    try:
        char.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def texts(folder):
    """Chinese text of the dev set, or random words where it is not at hand."""
    file = Path(folder) / "dev.jsonl.gz"
    if file.exists():
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        return [row["text"] for row in rows if not row.get("codes")][:6000]
    chooser = random.Random(2)
    return ["，".join(chooser.choices(words(3000, 3), k=12)) + "。" for _ in range(2000)]


def best(work, times=5):
    """The least CPU time of some runs, in seconds."""
    spent = []
    for _ in range(times):
        begin = time.process_time()
        work()
        spent.append(time.process_time() - begin)
    return min(spent)


def chunked(scanner_filter, text, size):
    """Feed in equal chunks; the watermark's distance after each."""
    scanner = scanner_filter.open()
    held = []
    for at in range(0, len(text), size):
        scanner.feed(text[at : at + size])
        held.append(min(at + size, len(text)) - scanner.watermark)
    scanner.finish()
    return held


def speed(name, scanner_filter, text):
    """Long text and 20-character chunks."""
    whole = best(lambda: scanner_filter.open().feed(text))
    folding = best(lambda: Folder().feed(text))
    pieces = [text[at : at + 20] for at in range(0, 40000, 20)]

    def stream():
        scanner = scanner_filter.open()
        for piece in pieces:
            scanner.feed(piece)

    def fold_stream():
        folder = Folder()
        for piece in pieces:
            folder.feed(piece)

    matches = len(scanner_filter.open().feed(text))
    print(
        f"{name}: {len(text):,} chars, {matches} matches: {len(text) / whole / 1e6:.1f} M chars/s"
        f" (folding {len(text) / folding / 1e6:.0f}); 20-char chunk {best(stream) / len(pieces) * 1e6:.2f} us"
        f" (folding {best(fold_stream) / len(pieces) * 1e6:.2f})"
    )


def hold_back(name, scanner_filter, rows, size):
    """The distribution of what is held back after each chunk."""
    held = sorted(n for row in rows for n in chunked(scanner_filter, row, size))
    count = len(held)
    print(
        f"hold-back {name}, chunks of {size}: mean {sum(held) / count:.2f} p50 {held[count // 2]}"
        f" p99 {held[int(count * 0.99)]} max {held[-1]} ({count:,} samples)"
    )


def main():
    """Print all."""
    rows = texts(sys.argv[1] if len(sys.argv) > 1 else ".")
    chinese = [row for row in rows if sum("\u4e00" <= char <= "\u9fff" for char in row) * 2 > len(row)]
    english = [row for row in rows if row.isascii()] or ["the quick brown fox jumps over the lazy dog. "]
    begin = time.process_time()
    tokens.load()
    print(f"jieba's dictionary: {time.process_time() - begin:.2f} s CPU")
    for count in (100_000, 40_000):
        terms = [Term(word, "A1.d") for word in words(count)]
        sheet = write_csv(terms)
        reading = best(lambda sheet=sheet: read_csv(sheet, "bench.csv"), 2)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begin = time.process_time()
        lexicon = Lexicon(terms)
        hashed = time.process_time() - begin
        begin = time.process_time()
        (scanner_filter,) = build_filters(lexicon)
        built = time.process_time() - begin
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(
            f"{count:,} terms: CSV {reading:.2f} s, lexicon {hashed:.2f} s, filter {built:.2f} s, +{grown:.0f} MB peak"
        )
        speed("Chinese", scanner_filter, ("".join(chinese) * 9)[:1_000_000])
        speed("English", scanner_filter, ("".join(english) * 2000)[:1_000_000])
        for size in (1, 2, 4, 20):
            hold_back("Chinese", scanner_filter, chinese[:1500], size)
    words_only = [Term(term.term, term.category, match=MatchMode.WORD) for term in terms[:10_000]]
    speed("10,000 word terms, Chinese", build_filters(Lexicon(words_only))[0], ("".join(chinese) * 9)[:200_000])


if __name__ == "__main__":
    main()
