"""The network: a small transformer encoder whose tokens also carry the hash of their pair with the token before.

Pairs of characters are what a linear model finds most of its signal in; giving them to the encoder directly saves
the passes over the data that it would need to form them itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

_PAIR_DIM = 64
_MULTIPLIER = 1_000_003  # a prime: neighbouring ids must not fall into neighbouring buckets


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a network; ``pair_buckets`` is how many hashes of token pairs are told apart."""

    vocabulary: int
    labels: int
    layers: int
    width: int
    heads: int
    max_tokens: int
    pair_buckets: int
    dropout: float = 0.1


class _Block(nn.Module):  # type: ignore[misc]  # torch ships no types that we follow
    """One encoder layer, normalised before each part: trains without warm-up troubles."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.head = shape.heads, shape.width // shape.heads
        self.norm_attention, self.norm_feed = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.query_key_value = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.up = nn.Linear(shape.width, 4 * shape.width)
        self.down = nn.Linear(4 * shape.width, shape.width)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Any, bias: Any) -> Any:
        """Mix tokens, then features; ``bias`` keeps padding out of the mixing."""
        batch, length, width = x.shape
        mixed = self.query_key_value(self.norm_attention(x)).view(batch, length, 3, self.heads, self.head)
        query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)
        weights = torch.softmax(query @ key.transpose(-1, -2) * self.head**-0.5 + bias, dim=-1)
        seen = (weights @ value).transpose(1, 2).reshape(batch, length, width)
        x = x + self.dropout(self.out(seen))
        return x + self.dropout(self.down(functional.gelu(self.up(self.norm_feed(x)))))


class Network(nn.Module):  # type: ignore[misc]  # the same
    """Token ids and kinds, both (inputs, tokens), to one logit a label."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token = nn.Embedding(shape.vocabulary, shape.width)
        self.pair = nn.Embedding(shape.pair_buckets, _PAIR_DIM)
        self.pair_in = nn.Linear(_PAIR_DIM, shape.width, bias=False)
        self.position = nn.Embedding(shape.max_tokens, shape.width)
        self.kind = nn.Embedding(2, shape.width)
        self.norm_in, self.norm_out = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.dropout = nn.Dropout(shape.dropout)
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.layers))
        self.gather = nn.Linear(3 * shape.width, shape.width)
        self.score = nn.Linear(shape.width, shape.labels)
        self.apply(_initialise)

    def forward(self, ids: Any, kinds: Any) -> Any:
        """Logits of each label."""
        before = functional.pad(ids[:, :-1], (1, 0))
        hashed = torch.remainder(ids * _MULTIPLIER + before * 8191, self.shape.pair_buckets)
        positions = torch.cumsum(torch.ones_like(ids), dim=1) - 1
        x = self.token(ids) + self.pair_in(self.pair(hashed)) + self.position(positions) + self.kind(kinds)
        x = self.dropout(self.norm_in(x))
        bias = (ids == 0).to(x.dtype)[:, None, None, :] * -1e4
        for block in self.blocks:
            x = block(x, bias)
        return self.score(self.dropout(functional.gelu(self.gather(self._pooled(self.norm_out(x), kinds)))))

    @staticmethod
    def _pooled(x: Any, kinds: Any) -> Any:
        # Only the text to be judged is pooled; the context reaches it through attention.
        judged = kinds.to(x.dtype)[:, :, None]
        mean = (x * judged).sum(1) / judged.sum(1).clamp(min=1.0)
        highest = (x + (judged - 1.0) * 1e4).amax(1)
        return torch.cat([x[:, 0], mean, highest], dim=-1)


def _initialise(module: Any) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02 if isinstance(module, nn.Linear) else 0.05)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
