"""The conformance suite of the ``Filter`` protocol: whoever writes a filter proves it with :func:`check_filter`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from filters.types import Filter, Match

_THREADS = 4
_HALVES = 200


def check_filter(subject: Filter, texts: Iterable[str], cuts: Iterable[Sequence[int]] = ()) -> None:
    """Check that a filter keeps its protocol on some texts.

    - The matches of a text do not depend on how it is cut: whole, character by character, in halves, with empty chunks
      between, and at each of the given cuts.
    - ``feed`` and ``finish`` return matches in canonical order, with spans inside the text that was fed.
    - The watermark never falls, never passes the text's end, is honest (no match that is returned later begins before
      it), and is the text's length in the end.
    - A filter can be opened again and again, at once, and from several threads: scanners share no state.

    Args:
        subject: the filter.
        texts: whole texts.
        cuts: ways to cut each text, as offsets in any order; those outside the text are left out.

    Raises:
        AssertionError: the message says which promise was broken, for which text and cut.
    """
    ways = [tuple(cut) for cut in cuts]
    known = {text: _scan(subject, [text]) for text in texts}
    for text, expected in known.items():
        for chunks in _cut_all(text, ways):
            found = _scan(subject, chunks)
            _require(found == expected, f"cut as {chunks!r} it gives {found!r}, and whole {expected!r}")
    _check_interleaved(subject, known)
    _check_threads(subject, known)


def _cut_all(text: str, ways: Iterable[Sequence[int]]) -> Iterator[list[str]]:
    yield list(text)
    yield [part for char in text for part in (char, "")]
    step = len(text) // _HALVES + 1
    yield from ([text[:at], text[at:]] for at in range(0, len(text) + 1, step))
    for way in ways:
        places = sorted({0, len(text), *(at for at in way if 0 < at < len(text))})
        yield [text[start:end] for start, end in pairwise(places)]


def _scan(subject: Filter, chunks: Sequence[str]) -> list[Match]:
    """All matches of a text in canonical order, every step checked."""
    scanner = subject.open()
    _require(scanner.watermark == 0, f"the watermark is {scanner.watermark} before any text")
    matches: list[Match] = []
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        before = scanner.watermark
        found = scanner.feed(chunk)
        _check_found(found, before, seen, chunks)
        _require(before <= scanner.watermark <= seen, f"{chunks!r}: watermark {before}, {scanner.watermark} of {seen}")
        matches += found
    before = scanner.watermark
    found = scanner.finish()
    _check_found(found, before, seen, chunks)
    _require(scanner.watermark == seen, f"{chunks!r}: watermark {scanner.watermark} at the end of {seen}")
    return sorted([*matches, *found], key=_order)


def _check_found(found: Sequence[Match], watermark: int, seen: int, chunks: Sequence[str]) -> None:
    _require(list(found) == sorted(found, key=_order), f"{chunks!r}: out of order: {found!r}")
    for match in found:
        span = match.span
        _require(watermark <= span.start, f"{chunks!r}: {match!r} begins before the watermark {watermark}")
        _require(span.start < span.end <= seen, f"{chunks!r}: {match!r} is not inside the {seen} characters fed")


def _check_interleaved(subject: Filter, known: Mapping[str, list[Match]]) -> None:
    """All texts at once, a character of each in turn."""
    scanners = {text: subject.open() for text in known}
    matches: dict[str, list[Match]] = {text: [] for text in known}
    for at in range(max(map(len, known), default=0)):
        for text, scanner in scanners.items():
            if at < len(text):
                matches[text] += scanner.feed(text[at])
    for text, expected in known.items():
        found = sorted([*matches[text], *scanners[text].finish()], key=_order)
        _require(found == expected, f"interleaved with others {text!r} gives {found!r}, and alone {expected!r}")


def _check_threads(subject: Filter, known: Mapping[str, list[Match]]) -> None:
    texts = list(known) * _THREADS
    with ThreadPoolExecutor(_THREADS) as threads:
        for text, found in zip(texts, threads.map(lambda text: _scan(subject, [text]), texts), strict=True):
            _require(found == known[text], f"in a thread {text!r} gives {found!r}, and alone {known[text]!r}")


def _order(match: Match) -> tuple[int, int, str, str]:
    return match.order


def _require(held: bool, message: str) -> None:
    if not held:
        raise AssertionError(message)
