"""Reading before judging: the encoder learns how our texts go on, from the texts alone.

Some tokens are replaced by ones that follow, or come before, their neighbour somewhere else. The encoder tells which
ones were, and what stood there: every token teaches, which masked-language modelling on a small collection does not
(Clark et al., "ELECTRA", 2020; Meng et al., "COCO-LM", 2021; the replacements here come from counts, not from a
network).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional

from models.network import Encoder, Shape
from models.tokenizer import SEP, UNK, pair, read, stack

PRETRAINED_FILE = "pretrained.pt"
UNFINISHED_FILE = "reading.pt"
_CHANGED_SHARE = 0.18
_HIDDEN = 0.25  # of the changed tokens are hidden, the rest replaced
_BY_LEFT = 0.6  # up to here by what follows the left neighbour elsewhere,
_BY_RIGHT = 0.92  # up to here by what comes before the right one, the rest by any token
_REPLACED_WEIGHT = 8.0  # telling replaced tokens is the easier task: its loss is small
_LONGEST = 94
_SORTED_BATCHES = 40
_FIRST_REAL = SEP + 1

Ids = NDArray[np.int64]


def pretrain(
    shape: Shape,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    passes: int,
    batch: int,
    learning_rate: float,
    seed: int,
    done: Callable[[int, int, float], None],
    unfinished: Path | None = None,
) -> Encoder:
    """An encoder that has read ``texts`` so many times.

    Args:
        shape: the network's.
        tokenizer: what the network will read with.
        texts: of any label; none is looked at.
        passes: how often each is read.
        batch: texts a step.
        learning_rate: the highest.
        seed: the same seed and texts give the same encoder on one machine.
        done: told steps behind, steps in all, and the loss.
        unfinished: where the state after each pass is kept; one of the same texts and settings is taken up, and gives
            the encoder that reading without a break gives.
    """
    torch.manual_seed(seed)
    rows = [row for row in (np.array(read(tokenizer, text), dtype=np.int64) for text in texts) if len(row) > 1]
    model = _Reader(shape)
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01, fused=True)
    changes = _Changes(np.concatenate([np.append(row, SEP) for row in rows]), shape.vocabulary)
    steps = -(-len(rows) // batch) * passes
    how = (passes, batch, learning_rate, seed, _said(shape), tokenizer.to_str(), texts)
    identity = hashlib.sha256(repr(how).encode("utf-8", "replace")).hexdigest()
    behind, step = _taken_up(unfinished, identity, model, optimiser)
    for number in range(behind, passes):
        rng = np.random.default_rng([seed, number])
        for ids, kinds in _batches(rows, batch, min(_LONGEST, shape.max_tokens - 3), rng):
            rate = learning_rate * min((step + 1) / 300, max(0.02, 1 - step / steps))
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = model.loss(ids, kinds, changes, rng)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            step += 1
            done(min(step, steps), steps, float(loss.detach()))
        if unfinished is not None:
            _put_by(unfinished, identity, model, optimiser, at=(number + 1, step))
    return model.encoder


def _put_by(path: Path, identity: str, model: Any, optimiser: Any, *, at: tuple[int, int]) -> None:
    waiting = path.with_suffix(".new")
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "chance": torch.get_rng_state()}
    torch.save({"identity": identity, "at": at, **state}, waiting)
    waiting.replace(path)


def _taken_up(path: Path | None, identity: str, model: Any, optimiser: Any) -> tuple[int, int]:
    """Passes and steps that are behind."""
    if path is None or not path.exists():
        return 0, 0
    saved = torch.load(path, weights_only=True)
    if saved["identity"] != identity:
        return 0, 0
    model.load_state_dict(saved["model"])
    optimiser.load_state_dict(saved["optimiser"])
    torch.set_rng_state(saved["chance"])  # dropout goes on where it was
    behind, step = saved["at"]
    return int(behind), int(step)


def _batches(rows: Sequence[Ids], size: int, longest: int, rng: np.random.Generator) -> Iterator[tuple[Ids, Ids]]:
    order = rng.permutation(len(rows))
    for start in range(0, len(order), size * _SORTED_BATCHES):
        chosen = order[start : start + size * _SORTED_BATCHES]
        part = sorted((_stretch(rows[index], longest, rng) for index in chosen), key=len)
        ready = [part[at : at + size] for at in range(0, len(part), size)]
        for number in rng.permutation(len(ready)):
            yield stack([pair((), row.tolist(), longest + 3) for row in ready[number]])


def _stretch(row: Ids, longest: int, rng: np.random.Generator) -> Ids:
    start = int(rng.integers(0, max(1, len(row) - longest + 1)))
    return row[start : start + longest]


class _Neighbours:
    """For each token, what stands beside it in the collection, as often as it does."""

    def __init__(self, keys: Ids, found: Ids, vocabulary: int) -> None:
        self._found = found[np.argsort(keys, kind="stable")]
        self._counts = np.bincount(keys, minlength=vocabulary)
        self._starts = np.cumsum(self._counts) - self._counts

    def draw(self, keys: Ids, rng: np.random.Generator) -> Ids:
        places = self._starts[keys] + (rng.random(len(keys)) * self._counts[keys]).astype(np.int64)
        drawn: Ids = self._found[np.minimum(places, len(self._found) - 1)]
        return drawn


class _Changes:
    """Makes changed inputs."""

    def __init__(self, stream: Ids, vocabulary: int) -> None:
        self._real = stream[stream >= _FIRST_REAL]
        self._after = _Neighbours(stream[:-1], stream[1:], vocabulary)
        self._before = _Neighbours(stream[1:], stream[:-1], vocabulary)

    def made(self, ids: Ids, kinds: Ids, rng: np.random.Generator) -> tuple[Ids, NDArray[np.bool_]]:
        """Changed ids, and which places were drawn; a drawn place may have got its own token back."""
        drawn = (kinds == 1) & (ids >= _FIRST_REAL) & (rng.random(ids.shape) < _CHANGED_SHARE)
        rows, columns = np.nonzero(drawn)
        how = rng.random(len(rows))
        anything = self._real[rng.integers(0, len(self._real), len(rows))]
        new = np.where(how < _BY_LEFT, self._after.draw(ids[rows, columns - 1], rng), anything)
        by_right = (how >= _BY_LEFT) & (how < _BY_RIGHT)
        new = np.where(by_right, self._before.draw(ids[rows, columns + 1], rng), new)
        new = np.where(how < _HIDDEN, UNK, np.where(new < _FIRST_REAL, anything, new))
        changed = ids.copy()
        changed[rows, columns] = new
        return changed, drawn


class _Reader(nn.Module):  # type: ignore[misc]  # torch ships no types that we follow
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.encoder = Encoder(shape)
        self.told = nn.Sequential(nn.Linear(shape.width, shape.width), nn.GELU(), nn.Linear(shape.width, 1))
        self.stood = nn.Sequential(nn.Linear(shape.width, shape.width), nn.GELU(), nn.LayerNorm(shape.width))
        self.bias = nn.Parameter(torch.zeros(shape.vocabulary))
        self.scale = 4 / shape.width**0.5  # logits of the size that a softmax learns from

    def loss(self, ids: Ids, kinds: Ids, changes: _Changes, rng: np.random.Generator) -> Any:
        changed, drawn = changes.made(ids, kinds, rng)
        seen = self.encoder(torch.from_numpy(changed), torch.from_numpy(kinds))
        real = torch.from_numpy((kinds == 1) & (ids >= _FIRST_REAL))
        told = functional.binary_cross_entropy_with_logits(
            self.told(seen)[..., 0][real], torch.from_numpy(changed != ids)[real].float()
        )
        if not drawn.any():
            return _REPLACED_WEIGHT * told
        places = torch.from_numpy(drawn)
        words = self.stood(seen[places]) @ self.encoder.token.weight.T * self.scale + self.bias
        return _REPLACED_WEIGHT * told + functional.cross_entropy(words, torch.from_numpy(ids)[places])


def save(encoder: Encoder, shape: Shape, tokenizer: Tokenizer, path: Path) -> None:
    """Keep an encoder with the tokenizer that it reads with."""
    waiting = path.with_suffix(".new")
    torch.save({"shape": _said(shape), "tokenizer": tokenizer.to_str(), "encoder": encoder.state_dict()}, waiting)
    waiting.replace(path)


def load(path: Path, shape: Shape) -> tuple[Encoder, Tokenizer] | None:
    """What ``save`` kept; None where nothing is kept, or an encoder of another shape."""
    if not path.exists():
        return None
    state = torch.load(path, weights_only=True)
    if state["shape"] != _said(shape):
        return None
    tokenizer = Tokenizer.from_str(state["tokenizer"])
    encoder = Encoder(dataclasses.replace(shape, vocabulary=tokenizer.get_vocab_size()))
    encoder.load_state_dict(state["encoder"])
    return encoder, tokenizer


def _said(shape: Shape) -> str:
    return repr((shape.layers, shape.width, shape.heads, shape.max_tokens, shape.gram_buckets, shape.gram_width))
