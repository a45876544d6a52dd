"""Training from labelled rows to a folder that serves. Needs the ``train`` extra (torch, onnx)."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from models import dataset, pretraining
from models import tokenizer as tokens
from models.batches import Batch, Epoch
from models.calibration import shares
from models.card import MODEL_FILE, TOKENIZER_FILE, ModelCard, checksum, write_atomically
from models.certificate import calibrated, drawn_up, measured, sample
from models.dataset import DatasetError, Row
from models.export import export
from models.fine_tuning import Checkpoint, Recipe, fine_tune, group_loss
from models.labels import choose_labels, groups, narrow
from models.network import Encoder, Network, Shape
from models.progress import Progress, Report
from models.sounds import shared_sounds
from models.training_config import TrainingConfig
from models.wide import fit_wide
from models.written import read_written

__all__ = ["Progress", "TrainingConfig", "train"]

_PROBE_ROWS = 64
_WIDE_VIEWS = 1  # of each row, besides the whole text: what the linear part is fitted on
_WIDE_DROPOUT = 0.15  # of the tokens of such a view: few weights, many words, so none may decide alone


def train(
    config: TrainingConfig,
    data_paths: Sequence[Path],
    out_dir: Path,
    progress: Report | None = None,
    *,
    dev_path: Path | None = None,
    resume: bool = False,
) -> ModelCard:
    """Train, export, calibrate and measure a classifier.

    Args:
        config: sizes, seed and balance.
        data_paths: files of labelled rows to train on; a part is held back for calibration.
        out_dir: gets the model, its tokenizer, its card and a checkpoint after each pass and epoch.
        progress: called as work goes on.
        dev_path: rows that are only measured on.
        resume: go on from what is in ``out_dir``: an encoder of the same shape that has read its texts, or the state
            of one that was reading the same, and the checkpoint of a run of the same config and labels.

    Returns:
        the card, as written to ``out_dir``.

    Raises:
        DatasetError: the rows cannot be read, or hold nothing to learn.
        ExportError: the exported file does not compute what was trained.
    """
    report = progress or (lambda _: None)
    out_dir.mkdir(parents=True, exist_ok=True)
    rows = [row for path in data_paths for row in dataset.read_rows(path) if row.usable]
    fit, held = dataset.hold_back(rows, config.held_share, config.seed)
    labels = choose_labels([row.codes for row in fit], config.min_label_rows)
    if not labels:
        message = f"no category has {config.min_label_rows} rows or more: nothing to train on"
        raise DatasetError(message)
    fit, held = ([row for row in part if not row.unsafe or narrow(row.codes, labels)] for part in (fit, held))
    network, tokenizer = _fitted(config, fit, held or fit, labels, report=report, out=out_dir, resume=resume)
    report(Progress("export", 0, 1))
    delta = _export(network, tokenizer, held or fit, config, out_dir)
    card = drawn_up(config, labels, fit, held, out_dir).sealed()
    card = calibrated(card, held or fit, config, out_dir, report)
    written = [row for path in data_paths if path.is_dir() for row in read_written(path)[1]]
    dev = dataset.read_rows(dev_path) if dev_path is not None else []
    card = measured(card, _measured_on(config, dev), _measured_on(config, written), out_dir, report)
    card = card.model_copy(update={"metrics": {"int8_max_logit_difference": round(delta, 5), **card.metrics}})
    card.save(out_dir)
    return card


def _measured_on(config: TrainingConfig, rows: list[Row]) -> list[Row]:
    if config.measured_rows is None or len(rows) <= config.measured_rows:
        return rows
    return _rng(config, "measuring").sample(rows, config.measured_rows)


def _fitted(
    config: TrainingConfig,
    fit: Sequence[Row],
    held: Sequence[Row],
    labels: Sequence[str],
    *,
    report: Report,
    out: Path,
    resume: bool,
) -> tuple[Network, Tokenizer]:
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True)
    shape = _shape(config, config.vocabulary, labels)
    read = pretraining.load(out / pretraining.PRETRAINED_FILE, shape) if resume else None
    tokenizer = read[1] if read else _tokenizer(fit, config)
    shape = dataclasses.replace(shape, vocabulary=tokenizer.get_vocab_size())
    if read is None and config.pretrain_passes:
        whole = dataclasses.replace(shape, gram_dropout=0.0)  # it reads far more than it could learn by heart
        read = _pretrained(config, whole, tokenizer, fit, report=report, out=out, resume=resume), tokenizer
    torch.manual_seed(config.seed)
    network = Network(shape)
    if read is not None:
        network.encoder.load_state_dict(read[0].state_dict())
    start = copied(network)
    ends = []
    for member in range(config.members):
        network.load_state_dict(start)
        _fit_member(network, member, config, fit, tokenizer, labels=labels, report=report, out=out, resume=resume)
        ends.append(copied(network))
    network.load_state_dict(averaged(ends))
    seen = _wide_batches(config, tokenizer, labels, fit)
    fit_wide(network.wide, seen, lambda done, total: report(Progress("linear part", done, total)))
    judges = sample(held, config)
    _mix(network, list(_examples(config, tokenizer, labels).batches(judges, config.batch, _rng(config, "mix"))))
    return network, tokenizer


def _fit_member(
    network: Network,
    member: int,
    config: TrainingConfig,
    fit: Sequence[Row],
    tokenizer: Tokenizer,
    *,
    labels: Sequence[str],
    report: Report,
    out: Path,
    resume: bool,
) -> None:
    before, of = member * config.epochs, config.members * config.epochs
    with shared_sounds(network.encoder, tokenizer):
        fine_tune(
            network,
            Recipe(config.epochs, config.batch, config.learning_rate, config.weight_decay, config.seed + member),
            examples=_examples(config, tokenizer, labels),
            rows=lambda epoch: _epoch_rows(config, fit, epoch + before),
            loss=group_loss(network.shape.groups),
            kept=Checkpoint(out / f"checkpoint-{member}.pt", _identity(config, labels, tokenizer), resume),
            done=lambda epoch, *at: report(Progress(f"epoch {before + epoch + 1} of {of}", *at)),
        )


def copied(network: Network) -> dict[str, Any]:
    """The network's weights as they are now."""
    return {name: value.clone() for name, value in network.state_dict().items()}


def averaged(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of several networks' weights.

    From one start they end in one valley, and its middle is better than its sides (Wortsman et al., "Model soups",
    2022): the gain of several networks for the price of one.
    """
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}


def _rng(config: TrainingConfig, purpose: str) -> random.Random:
    return random.Random(f"{config.seed}-{purpose}")  # noqa: S311 - reproducible on purpose


def _tokenizer(rows: Sequence[Row], config: TrainingConfig) -> Tokenizer:
    sample = dataset.balanced(rows, config.wide_caps, {}, random.Random(config.seed))  # noqa: S311 - reproducible on purpose
    return tokens.build((row.text for row in sample), config.vocabulary)


def _pretrained(
    config: TrainingConfig,
    shape: Shape,
    tokenizer: Tokenizer,
    rows: Sequence[Row],
    *,
    report: Report,
    out: Path,
    resume: bool,
) -> Encoder:
    # An encoder that another run left here must not be taken for this one's if this one is broken off.
    (out / pretraining.PRETRAINED_FILE).unlink(missing_ok=True)
    unfinished = out / pretraining.UNFINISHED_FILE
    if not resume:
        unfinished.unlink(missing_ok=True)
    chosen = dataset.balanced(rows, config.wide_caps, config.repeats, _rng(config, "reading"))
    encoder = pretraining.pretrain(
        shape,
        tokenizer,
        [row.text for row in chosen],
        passes=config.pretrain_passes,
        batch=config.batch,
        learning_rate=1e-3,
        seed=config.seed,
        done=lambda done, total, value: report(Progress("reading", done, total, value)),
        unfinished=unfinished,
    )
    pretraining.save(encoder, shape, tokenizer, out / pretraining.PRETRAINED_FILE)
    unfinished.unlink(missing_ok=True)
    return encoder


def _examples(config: TrainingConfig, tokenizer: Tokenizer, labels: Sequence[str]) -> Epoch:
    return Epoch(
        tokenizer,
        labels,
        config.max_tokens,
        whole_share=config.whole_share,
        token_dropout=config.token_dropout,
        disguised_share=config.disguised_share,
    )


def _epoch_rows(config: TrainingConfig, rows: Sequence[Row], epoch: int) -> list[Row]:
    return dataset.balanced(rows, config.caps, config.repeats, _rng(config, f"rows-{epoch}"))


def _wide_batches(
    config: TrainingConfig, tokenizer: Tokenizer, labels: Sequence[str], rows: Sequence[Row]
) -> list[Batch]:
    """Each row whole and as it is, and in views as the encoder gets them."""
    plain = Epoch(tokenizer, labels, config.max_tokens, whole_share=1.0, token_dropout=0.0)
    views = Epoch(
        tokenizer,
        labels,
        config.max_tokens,
        whole_share=config.whole_share,
        token_dropout=_WIDE_DROPOUT,
        disguised_share=config.disguised_share,
    )
    rng = _rng(config, "wide")
    chosen = dataset.balanced(rows, config.wide_caps, config.repeats, rng)
    passes = [plain, *[views] * _WIDE_VIEWS]
    return [batch for epoch in passes for batch in epoch.batches(chosen, config.batch, rng)]


def _mix(network: Network, batches: Sequence[Batch]) -> None:
    """Weigh the two parts against one another on rows that neither was fitted on."""
    network.eval()
    labels = network.shape.labels
    with torch.no_grad():
        ids = [(torch.from_numpy(batch.ids), torch.from_numpy(batch.kinds)) for batch in batches]
        deep = np.concatenate([network.deep(*item).numpy() for item in ids])[:, labels:]
        wide = np.concatenate([network.wide(item[0]).numpy() for item in ids])
    truth = np.concatenate([batch.targets for batch in batches])[:, labels:] > 0
    sure = np.concatenate([batch.weights for batch in batches])[:, labels:]
    found = [
        shares(np.stack([deep[:, group], wide[:, group]], axis=1), truth[:, group], sure[:, group])
        for group in range(truth.shape[1])
    ]
    network.mix([float(pair[0]) for pair in found], [float(pair[1]) for pair in found])


def _shape(config: TrainingConfig, vocabulary: int, labels: Sequence[str]) -> Shape:
    return Shape(
        vocabulary=vocabulary,
        groups=groups(labels),
        layers=config.layers,
        width=config.width,
        heads=config.heads,
        max_tokens=config.max_tokens,
        gram_buckets=config.gram_buckets,
        gram_width=config.gram_width,
        wide_buckets=config.wide_buckets,
        dropout=config.dropout,
        gram_dropout=config.gram_dropout,
    )


def _identity(config: TrainingConfig, labels: Sequence[str], tokenizer: Tokenizer) -> str:
    """What two runs must share for one to go on from the other; the tokenizer stands for the data it was built from."""
    # How the result is calibrated and measured does not touch the weights: a finished run can be calibrated again.
    fitted = dataclasses.asdict(
        dataclasses.replace(config, target_false_alarms=0.0, target_remark_alarms=0.0, measured_rows=None)
    )
    return repr((fitted, tuple(labels), checksum(tokenizer.to_str().encode())))


def _export(network: Network, tokenizer: Tokenizer, rows: Sequence[Row], config: TrainingConfig, out: Path) -> float:
    room = config.max_tokens - 3
    probe = tokens.stack(
        [tokens.pair((), tokens.read(tokenizer, row.text)[:room], config.max_tokens) for row in rows[:_PROBE_ROWS]]
    )
    write_atomically(out / TOKENIZER_FILE, tokenizer.to_str().encode())
    return export(network, out / MODEL_FILE, probe)
