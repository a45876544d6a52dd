"""One token a Han character, sub-words for other scripts; and the pair layout ``[CLS] context [SEP] text [SEP]``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from models.unmasking import unmasked

PAD, UNK, CLS, SEP = 0, 1, 2, 3
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
_FIXED_TOKENS = 3  # [CLS] and two [SEP]
_STRIDE_SHARE = 2  # windows of a long text overlap by half, so that nothing is only seen at an edge


def build(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A WordPiece tokenizer over ``texts``: width-folded, lower-cased, without accents and invisible characters.

    The same texts give the same tokenizer. The library's trainer numbers characters in the order of a randomly seeded
    hash table and breaks ties by number, so all characters are numbered for it beforehand.
    """
    words = list(_words(_tokenizer({}), texts))
    starts, inner = _characters(words, vocabulary * 3 // 4)
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        min_frequency=3,
        initial_alphabet=starts,
        limit_alphabet=len(starts),
        special_tokens=[*_SPECIAL, *(f"##{char}" for char in inner)],
        show_progress=False,
    )
    trained = _tokenizer({})
    trained.normalizer, trained.pre_tokenizer = normalizers.Sequence([]), pre_tokenizers.WhitespaceSplit()
    trained.train_from_iterator(words, trainer)
    # Only the vocabulary is taken over: to the trained one, "##a" in a text would be a command.
    return _tokenizer(trained.get_vocab())


def _tokenizer(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - a token of text, no secret
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _words(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        normal = tokenizer.normalizer.normalize_str(unmasked(text))
        yield " ".join(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal))


def _characters(lines: Iterable[str], limit: int) -> tuple[list[str], list[str]]:
    """The most frequent characters, and those of them that also stand inside words; in one order for all runs."""
    counts: Counter[str] = Counter()
    inside: set[str] = set()
    for line in lines:
        for word in line.split():
            counts.update(word)
            inside.update(word[1:])
    kept = sorted(counts, key=lambda char: (-counts[char], char))[:limit]
    return kept, [char for char in kept if char in inside]


@dataclass(frozen=True, slots=True)
class Pair:
    """Token ids of one input, and for each whether it is context (0) or text to be judged (1)."""

    ids: list[int]
    kinds: list[int]


def pair(context: Sequence[int], text: Sequence[int], max_tokens: int) -> Pair:
    """Lay out one input; a context that does not fit loses its beginning. ``text`` must fit."""
    room = max_tokens - _FIXED_TOKENS - len(text)
    before = list(context[-room:]) if room > 0 else []
    ids = [CLS, *before, SEP, *text, SEP]
    return Pair(ids, [0] * (len(before) + 2) + [1] * (len(text) + 1))


def windows(context: Sequence[int], text: Sequence[int], max_tokens: int) -> Iterator[Pair]:
    """One input where the text fits, else overlapping ones, each with the tokens before it as context."""
    room = max_tokens - _FIXED_TOKENS
    if len(text) <= room:
        yield pair(context, text, max_tokens)
        return
    step = room // _STRIDE_SHARE
    for start in range(0, len(text) - room + step, step):
        yield pair((), text[start : start + room], max_tokens)


def read(tokenizer: Tokenizer, text: str) -> list[int]:
    """Token ids of ``text`` with its plainest disguises undone: how models are trained to read (``READING``)."""
    return encode(tokenizer, unmasked(text))


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Token ids of ``text`` as it stands. Lone surrogates, which no UTF-8 can hold, count as unknown characters."""
    try:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    except (TypeError, UnicodeEncodeError):
        clean = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        ids = tokenizer.encode(clean, add_special_tokens=False).ids
    return ids


def stack(pairs: Sequence[Pair]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids and kinds as two arrays of shape (inputs, longest input), padded with ``PAD``."""
    width = max(len(item.ids) for item in pairs)
    ids = np.full((len(pairs), width), PAD, dtype=np.int64)
    kinds = np.zeros((len(pairs), width), dtype=np.int64)
    for row, item in enumerate(pairs):
        ids[row, : len(item.ids)] = item.ids
        kinds[row, : len(item.kinds)] = item.kinds
    return ids, kinds
