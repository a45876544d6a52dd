"""The network: a small transformer encoder, and beside it a linear model of the same tokens; one file, one answer.

The encoder's tokens also carry the hashes of their pair and triple with the tokens before. Runs of characters are what
a linear model finds its signal in; giving them to the encoder directly saves the passes over the data that it would
need to form them itself. The linear part learns a few thousand rows better than any encoder does; the encoder carries
further to words that it has not seen. Both say for each group of labels whether any of them holds, which takes all of
the group's rows to learn; which one it is, the encoder says alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

_MULTIPLIER = 1_000_003  # a prime: neighbouring ids must not fall into neighbouring buckets
_FAR = 1e4  # further apart than any two scores


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a network.

    Attributes:
        groups: for each label, the group that it belongs to, counted from 0.
        gram_buckets: how many hashes of token pairs, and of triples, the encoder tells apart.
        wide_buckets: the same for the linear part.
        dropout: share of the numbers inside that a pass in training leaves out.
        gram_dropout: share of the tokens whose pair and triple it leaves out: they know a row again by heart, and
            without them the encoder has to read it.
    """

    vocabulary: int
    groups: tuple[int, ...]
    layers: int
    width: int
    heads: int
    max_tokens: int
    gram_buckets: int
    gram_width: int
    wide_buckets: int
    dropout: float = 0.1
    gram_dropout: float = 0.0

    @property
    def labels(self) -> int:
        """How many labels there are."""
        return len(self.groups)

    @property
    def group_count(self) -> int:
        """How many groups there are."""
        return max(self.groups) + 1


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


class Encoder(nn.Module):  # type: ignore[misc]  # the same
    """Token ids and kinds, both (inputs, tokens), to one vector a token."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.buckets = shape.gram_buckets
        self.token = nn.Embedding(shape.vocabulary, shape.width)
        self.pair = nn.Embedding(shape.gram_buckets, shape.gram_width)
        self.tri = nn.Embedding(shape.gram_buckets, shape.gram_width)
        self.gram_in = nn.Linear(2 * shape.gram_width, shape.width, bias=False)
        self.position = nn.Embedding(shape.max_tokens, shape.width)
        self.kind = nn.Embedding(2, shape.width)
        self.norm_in, self.norm_out = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.dropout = nn.Dropout(shape.dropout)
        self.gram_dropout = shape.gram_dropout
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.layers))
        self.apply(_initialise)

    def forward(self, ids: Any, kinds: Any) -> Any:
        """A vector for each token, in sight of all others."""
        pairs, triples = hashed(ids)
        grams = torch.cat(
            [self.pair(torch.remainder(pairs, self.buckets)), self.tri(torch.remainder(triples, self.buckets))], dim=-1
        )
        if self.training and self.gram_dropout:
            grams = grams * (torch.rand(grams.shape[:2], device=grams.device) >= self.gram_dropout)[:, :, None]
        positions = torch.cumsum(torch.ones_like(ids), dim=1) - 1
        x = self.token(ids) + self.gram_in(grams) + self.position(positions) + self.kind(kinds)
        x = self.dropout(self.norm_in(x))
        bias = (ids == 0).to(x.dtype)[:, None, None, :] * -_FAR
        for block in self.blocks:
            x = block(x, bias)
        return self.norm_out(x)


class Wide(nn.Module):  # type: ignore[misc]  # the same
    """Logistic regression on runs of one to three tokens, weighted by rarity, over context and text alike."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.vocabulary, self.buckets = shape.vocabulary, shape.wide_buckets
        self.weight = nn.Embedding(self.features, shape.group_count)
        self.square = nn.Embedding(self.features, 1)
        self.bias = nn.Parameter(torch.zeros(shape.group_count))
        # Added to the square of a text's length. Without it the few runs of a short text would count so much that a
        # clause is called unsafe sooner than the text it stands in.
        self.register_buffer("short", torch.zeros(()))
        nn.init.zeros_(self.weight.weight)
        nn.init.ones_(self.square.weight)

    @property
    def features(self) -> int:
        """How many runs are told apart."""
        return self.vocabulary + self.buckets

    def runs(self, ids: Any) -> Any:
        """Feature numbers of each input's runs, (inputs, 3 x tokens); those of padding are to be left out."""
        pairs, triples = (torch.remainder(hashes, self.buckets) + self.vocabulary for hashes in hashed(ids))
        return torch.cat([ids, pairs, triples], dim=1)

    def forward(self, ids: Any) -> Any:
        """One number a group; the rarity is part of the weights, its square of the length."""
        runs = self.runs(ids)
        live = (ids != 0).to(self.bias.dtype).repeat(1, 3)[:, :, None]
        length = torch.sqrt((self.square(runs) * live).sum(1) + self.short).clamp(min=1e-3)
        return (self.weight(runs) * live).sum(1) / length + self.bias


class Network(nn.Module):  # type: ignore[misc]  # the same
    """Token ids and kinds, both (inputs, tokens), to one logit a label."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = Encoder(shape)
        self.dropout = nn.Dropout(shape.dropout)
        self.gather = nn.Linear(3 * shape.width, shape.width)
        self.score = nn.Linear(shape.width, shape.labels + shape.group_count)
        self.wide = Wide(shape)
        self.gather.apply(_initialise)
        self.score.apply(_initialise)
        member = torch.zeros(shape.group_count, shape.labels)
        member[list(shape.groups), range(shape.labels)] = 1.0
        self.register_buffer("member", member)
        self.register_buffer("shares", torch.tensor([[1.0], [0.0]]).repeat(1, shape.group_count))

    def forward(self, ids: Any, kinds: Any) -> Any:
        """Logits of each label: its group's, less by as much as another label of the group is likelier."""
        said = self.deep(ids, kinds)
        each = said[:, : self.shape.labels]
        whether = said[:, self.shape.labels :] * self.shares[0] + self.wide(ids) * self.shares[1]
        likeliest = (each[:, None, :] + (self.member - 1.0) * _FAR).amax(-1)
        return each + (whether - likeliest) @ self.member

    def deep(self, ids: Any, kinds: Any) -> Any:
        """What the encoder says: one number a label, then one a group."""
        pooled = self.dropout(_pooled(self.encoder(ids, kinds), kinds))
        return self.score(self.dropout(functional.gelu(self.gather(pooled))))

    def mix(self, deep: Sequence[float], wide: Sequence[float]) -> None:
        """Set how much each part counts, for each group."""
        self.shares.copy_(torch.tensor([list(deep), list(wide)]))


def hashed(ids: Any) -> tuple[Any, Any]:
    """Hashes of each token with the one before, and with the two before."""
    before = functional.pad(ids[:, :-1], (1, 0))
    pairs = ids * _MULTIPLIER + before * 8191
    return pairs, pairs + functional.pad(before[:, :-1], (1, 0)) * 131_071 + 7


def _pooled(x: Any, kinds: Any) -> Any:
    # Only the text to be judged is pooled; the context reaches it through attention.
    judged = kinds.to(x.dtype)[:, :, None]
    mean = (x * judged).sum(1) / judged.sum(1).clamp(min=1.0)
    highest = (x + (judged - 1.0) * _FAR).amax(1)
    return torch.cat([x[:, 0], mean, highest], dim=-1)


def _initialise(module: Any) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02 if isinstance(module, nn.Linear) else 0.05)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
