"""Word boundaries in short windows of Chinese, by jieba's dictionary, and the ordinary words of English.

Only windows round a candidate are ever segmented, never whole texts. The best path is jieba's own (the most probable
words, without the hidden Markov model, so that every multi-character word it finds is one of the dictionary), computed
here because a window may know one word more: a ``word`` term has to be able to stand on its own boundaries.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from functools import cache
from math import log
from pathlib import Path

_loading = threading.Lock()
_QUIET = 100  # above every level of the logging module
_cache_dir: list[Path] = []


class Dictionary:
    """Word frequencies: jieba's, where 0 marks a mere prefix of longer words."""

    __slots__ = ("_frequencies", "_log_total", "_total")

    def __init__(self, frequencies: Mapping[str, int], total: int) -> None:
        self._frequencies = frequencies
        self._total = total
        self._log_total = log(total)

    def boundaries(self, text: str, extra: str = "") -> frozenset[int]:
        """The offsets at which words of ``text`` begin or end, its own ends included.

        Args:
            text: folded, without gaps; a window of a few dozen characters.
            extra: one more word to know, as if it had been added to jieba.
        """
        steps = self._best_steps(text, self._extra_weight(extra), extra)
        found = {0}
        at = 0
        while at < len(text):
            at = steps[at]
            found.add(at)
        return frozenset(found)

    def _best_steps(self, text: str, extra_weight: float, extra: str) -> list[int]:
        """For each offset, where the word that begins there ends on the most probable path to the end."""
        frequencies, log_total, size = self._frequencies, self._log_total, len(text)
        weights = [0.0] * (size + 1)
        steps = [0] * size
        for start in range(size - 1, -1, -1):
            end = start + 1
            single = frequencies.get(text[start]) or 1
            best, step = log(single) - log_total + weights[end], end
            while end < size:
                end += 1
                frequency = frequencies.get(text[start:end])
                if frequency is None:
                    break
                if frequency:
                    weight = log(frequency) - log_total + weights[end]
                    if weight >= best:  # jieba takes the longer of equals
                        best, step = weight, end
            if extra and text.startswith(extra, start):
                weight = extra_weight + weights[start + len(extra)]
                if weight >= best:
                    best, step = weight, start + len(extra)
            weights[start], steps[start] = best, step
        return steps

    def _extra_weight(self, extra: str) -> float:
        """The log probability that ``jieba.add_word`` gives a new word: just enough to win over its own parts."""
        steps = self._best_steps(extra, 0.0, "")
        at, share = 0, 1.0
        while at < len(extra):
            share *= (self._frequencies.get(extra[at : steps[at]]) or 1) / self._total
            at = steps[at]
        frequency = max(int(share * self._total) + 1, self._frequencies.get(extra, 0))
        return log(frequency) - self._log_total

    def __contains__(self, word: str) -> bool:
        return bool(self._frequencies.get(word))

    @property
    def frequencies(self) -> Mapping[str, int]:
        """How often each word was counted; 0 marks a mere prefix of longer words."""
        return self._frequencies


def load(cache_dir: Path | None = None) -> Dictionary:
    """Load the dictionary once; later calls return the same.

    Args:
        cache_dir: a private folder to keep jieba's parsed dictionary in, or ``None`` to keep nothing. (jieba itself
            would read back whatever lies in the shared temporary folder.)
    """
    with _loading:
        if cache_dir is not None and not _cache_dir:
            _cache_dir.append(cache_dir)
        return _load()


@cache
def _load() -> Dictionary:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in jieba's source, and its use of pkg_resources
        import jieba
    jieba.setLogLevel(_QUIET)
    tokenizer = jieba.Tokenizer()
    if _cache_dir:
        _cache_dir[0].mkdir(parents=True, exist_ok=True)
        tokenizer.tmp_dir = str(_cache_dir[0])
        tokenizer.initialize()
        return Dictionary(tokenizer.FREQ, tokenizer.total)
    frequencies, total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    return Dictionary(frequencies, total)


ORDINARY_ENGLISH = frozenset(
    """
    a about above after again ago all also always am an and another any are around as ask at away back bad be because
    been before being best better between big both boy but buy by call came can car come could cut dad day did die do
    does dog done down each eat end ever every eye far few find first for from fun gave get girl give go god going good
    got great had hand hard has have he hear help her here hi high him his hit home hot how i if in into is it its job
    just keep kid kind knew know land last late law lead least left less let life like line little live long look lot
    love low made make man many may me mean men might mine more most mother much must my name near need never new next
    no nor not now of off often oh old on once one only open or other our out over own part pen people place play put
    rap rapist read red right room run said same saw say see seem seen set she should show side sit six sky small so
    some son soon still stop such sun sure take talk tell ten than that the their them then there these they thing think
    this those though three time to today told too took top try turn two under until up us use very want war was way we
    well went were what when where which while who why will win with word work world would year yes yet you young your
    """.split()  # noqa: SIM905 - as a list it would fill four pages
)
"""Frequent short words: where all parts of a hit are such words, an ordinary phrase explains it ("the pen is mine")."""
