"""Fitting the linear part of the network: convex, so run to its minimum by L-BFGS over all rows at once.

Each feature counts by its rarity, each text by about the root of its features' squares: many short rows, few frequent
characters. Rarity and length are then folded into the tables that the network reads.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from models.batches import Batch
from models.network import Wide

_ROUNDS = 60
_SHORT_SHARE = 0.25  # of the squared length of a usual input, added to that of each
_PENALTY = 1 / 30  # a row's worth of loss for each unit of squared weight: chosen on rows that were held back


@dataclass(frozen=True, slots=True)
class _Rows:
    """Features of all inputs as one sparse matrix, with what is true of them."""

    features: Any
    transposed: Any
    targets: Any
    weights: Any


def fit_wide(wide: Wide, batches: Sequence[Batch], done: Callable[[int, int], None]) -> None:
    """Fit ``wide`` in place.

    Args:
        wide: its weights, its rarities and its bias are replaced.
        batches: what to fit on; of their targets, those of the groups.
        done: told the rounds behind and in all.
    """
    counts = _document_counts(wide, batches)
    total = sum(len(batch.ids) for batch in batches)
    groups = wide.bias.shape[0]
    rarity = np.log1p(total / np.maximum(counts, 1.0)).astype(np.float32)
    rows = _matrix(wide, batches, rarity, groups)
    weight = torch.zeros(wide.weight.weight.shape, requires_grad=True)
    bias = torch.full_like(wide.bias, -1.0).requires_grad_()
    optimiser = torch.optim.LBFGS(
        [weight, bias], max_iter=_ROUNDS, max_eval=_ROUNDS * 2, history_size=6, line_search_fn="strong_wolfe"
    )
    evaluated = 0

    def closure() -> Any:
        nonlocal evaluated
        optimiser.zero_grad()
        said = _Product.apply(weight, rows.features, rows.transposed) + bias
        misses = functional.binary_cross_entropy_with_logits(said, rows.targets, rows.weights, reduction="sum")
        cost = (misses + _PENALTY / 2 * (weight**2).sum()) / total
        cost.backward()
        evaluated += 1
        done(min(evaluated, _ROUNDS * 2), _ROUNDS * 2)
        return cost

    optimiser.step(closure)
    done(_ROUNDS * 2, _ROUNDS * 2)
    rare = torch.from_numpy(rarity)[:, None]
    with torch.no_grad():
        wide.weight.weight.copy_(weight * rare)
        wide.square.weight.copy_(rare**2)
        wide.bias.copy_(bias)


class _Product(torch.autograd.Function):  # type: ignore[misc]  # torch ships no types that we follow
    """Sparse features times dense weights; the gradient by the transposed matrix, kept so that none is made anew."""

    @staticmethod
    def forward(ctx: Any, weight: Any, features: Any, transposed: Any) -> Any:
        ctx.transposed = transposed
        return features @ weight

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return ctx.transposed @ gradient, None, None


def _runs(wide: Wide, batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    runs: NDArray[np.int64] = wide.runs(torch.from_numpy(batch.ids)).numpy()
    return runs, np.tile(batch.ids != 0, 3)


def _document_counts(wide: Wide, batches: Sequence[Batch]) -> NDArray[np.float32]:
    counts = np.zeros(wide.features, dtype=np.float32)
    for batch in batches:
        runs, live = _runs(wide, batch)
        inputs = np.broadcast_to(np.arange(len(runs))[:, None], runs.shape)[live]
        found = np.unique(inputs * wide.features + runs[live]) % wide.features
        counts += np.bincount(found, minlength=wide.features)
    return counts


def _matrix(wide: Wide, batches: Sequence[Batch], rarity: NDArray[np.float32], groups: int) -> _Rows:
    """All inputs, each over about its length; what is added to the squares of the lengths is set in ``wide``."""
    columns, worths, squares, counts = [], [], [], []
    for batch in batches:
        runs, live = _runs(wide, batch)
        worth = rarity[runs] * live
        columns.append(runs[live])
        worths.append(worth[live])
        squares.append((worth**2).sum(1))
        counts.append(live.sum(1))
    square, count = np.concatenate(squares), np.concatenate(counts)
    with torch.no_grad():
        wide.short.fill_(_SHORT_SHARE * float(np.median(square)))
    length = np.sqrt(square + float(wide.short)).clip(min=1e-3)
    values = np.concatenate(worths) / np.repeat(length, count)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls its compressed sparse tensors a beta
        features = torch.sparse_csr_tensor(
            torch.from_numpy(np.append(0, np.cumsum(count))),
            torch.from_numpy(np.concatenate(columns)),
            torch.from_numpy(values),
            size=(sum(len(batch.ids) for batch in batches), wide.features),
            check_invariants=False,
        )
        transposed = features.to_sparse_coo().t().coalesce().to_sparse_csr()
    return _Rows(
        features,
        transposed,
        torch.from_numpy(np.concatenate([batch.targets[:, -groups:] for batch in batches])),
        torch.from_numpy(np.concatenate([batch.weights[:, -groups:] for batch in batches])),
    )
