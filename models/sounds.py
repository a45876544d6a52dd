"""Characters of one sound share a part of what they mean while a network is fitted.

People write 堵博 for 赌博. No collection holds every such spelling, but what is learned of one character's sound can
be learned for all characters that have it. Afterwards the shared part is added to each character's own: what serves
has neither a table of sounds nor a step more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.utils import parametrize

from models.augment import sound
from models.network import Encoder
from models.scripts import HAN

_SILENT = 0
_CHARACTER = re.compile(HAN)


@contextmanager
def shared_sounds(encoder: Encoder, tokenizer: Tokenizer) -> Iterator[None]:
    """While it lasts, the vectors of tokens are sums of an own part and one of their sound; then one vector again."""
    parametrize.register_parametrization(encoder.token, "weight", _Shared(sound_numbers(tokenizer), encoder.token))
    try:
        yield
    finally:
        parametrize.remove_parametrizations(encoder.token, "weight")


def sound_numbers(tokenizer: Tokenizer) -> list[int]:
    """For each token the number of its sound, from 1; 0 for one that is no single Chinese character."""
    numbers: dict[str, int] = {}
    places = tokenizer.get_vocab()
    return [
        numbers.setdefault(sound(token), len(numbers) + 1) if _CHARACTER.fullmatch(token) else _SILENT
        for token in sorted(places, key=places.__getitem__)
    ]


class _Shared(nn.Module):  # type: ignore[misc]  # torch ships no types that we follow
    def __init__(self, numbers: list[int], tokens: nn.Embedding) -> None:
        super().__init__()
        self.register_buffer("numbers", torch.tensor(numbers))  # kept with a run that is broken off
        self.sound = nn.Embedding(max(numbers) + 1, tokens.embedding_dim, padding_idx=_SILENT)
        nn.init.zeros_(self.sound.weight)

    def forward(self, own: Any) -> Any:
        """The vectors that the encoder reads, (tokens, width)."""
        return own + self.sound(self.numbers)
