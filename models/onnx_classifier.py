"""Serving: onnxruntime on an int8 file and ``tokenizers``; neither torch nor transformers is imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.calibration import apply, arrays
from models.card import MODEL_FILE, TOKENIZER_FILE, ModelCard, read_checked
from models.scripts import is_latin
from models.tokenizer import Pair, encode, read, stack, windows
from models.types import ClassifierError, Scores, Segment
from models.unmasking import READING

# Tokens come at most one a character but for rare compatibility characters, so this much of a text can decide.
_CONTEXT_CHARS = 256


class OnnxClassifier:
    """A classifier from a folder of ``model.onnx``, ``tokenizer.json`` and ``card.json``.

    Thread-safe: it holds nothing that a call changes. Each input runs alone, because int8 scales are taken over a
    whole input tensor: in a batch, a score would depend on the texts that happened to stand beside it.
    A text longer than ``max_chars`` is read in overlapping windows, and each label's highest score counts.
    """

    def __init__(self, card: ModelCard, session: Any, tokenizer: Tokenizer) -> None:
        self.card = card
        self._session = session
        self._tokenizer = tokenizer
        self._encode = read if card.reading else encode
        self._calibration = arrays(card.calibration, card.labels)
        self._latin_calibration = arrays(card.latin_calibration or card.calibration, card.labels)

    @classmethod
    def load(cls, folder: Path) -> OnnxClassifier:
        """Read, verify and try a model.

        Raises:
            ClassifierError: a file is missing, damaged, or of another shape than the card says; the message names it.
        """
        card = ModelCard.load(folder)
        if card.reading not in {0, READING}:
            message = (
                f"{folder}: model {card.version} reads texts by rule {card.reading}, this Sluice by {READING}: "
                "serve it with the Sluice that trained it, or train it anew"
            )
            raise ClassifierError(message)
        tokenizer_bytes = read_checked(folder, TOKENIZER_FILE, card.files)
        read_checked(folder, MODEL_FILE, card.files)
        try:
            tokenizer = Tokenizer.from_buffer(tokenizer_bytes)
        except Exception as error:  # tokenizers raises bare Exception for bytes it cannot read
            message = f"{folder / TOKENIZER_FILE}: not a tokenizer: {error}"
            raise ClassifierError(message) from error
        classifier = cls(card, _session(folder / MODEL_FILE), tokenizer)
        classifier.score([Segment("。")])  # one run now: a model of another shape fails here, not on a customer's text
        return classifier

    @property
    def version(self) -> str:
        """The card's version: a name and a hash of weights, tokenizer and calibration."""
        return self.card.version

    @property
    def labels(self) -> Sequence[str]:
        """The category codes that the model scores."""
        return self.card.labels

    @property
    def max_chars(self) -> int:
        """Longest ``context + text`` read in one piece."""
        return self.card.max_chars

    def score(self, segments: Sequence[Segment]) -> list[Scores]:
        """Calibrated probabilities, one mapping a segment.

        Raises:
            ClassifierError: the model failed, or gave something that is no probability.
        """
        latin = np.array([is_latin(segment.text, segment.context) for segment in segments], dtype=bool)[:, None]
        slopes, offsets = (
            np.where(latin, *both) for both in zip(self._latin_calibration, self._calibration, strict=True)
        )
        scores = apply(self.logits(segments), slopes, offsets)
        return [dict(zip(self.card.labels, row, strict=True)) for row in scores.tolist()]

    def logits(self, segments: Sequence[Segment]) -> NDArray[np.float64]:
        """What the network says before calibration, (segments, labels); for fitting the calibration.

        Raises:
            ClassifierError: as ``score``.
        """
        rows = [self._highest(segment) for segment in segments]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.card.labels))

    def _highest(self, segment: Segment) -> NDArray[np.float32]:
        text = self._encode(self._tokenizer, segment.text)
        context = self._encode(self._tokenizer, segment.context[-_CONTEXT_CHARS:]) if segment.context else []
        highest: NDArray[np.float32] | None = None
        for item in windows(context, text, self.card.max_tokens):
            logits = self._run(item)
            highest = logits if highest is None else np.maximum(highest, logits)
        assert highest is not None  # noqa: S101 - a text of no tokens still gives one window
        return highest

    def _run(self, item: Pair) -> NDArray[np.float32]:
        ids, kinds = stack([item])
        try:
            logits = self._session.run(["logits"], {"ids": ids, "kinds": kinds})[0]
        except Exception as error:  # onnxruntime's exceptions share no public base class
            message = f"model {self.version}: inference failed: {error}"
            raise ClassifierError(message) from error
        if logits.shape != (1, len(self.card.labels)):
            message = f"model {self.version}: gives {logits.shape} scores where its card names {len(self.card.labels)}"
            raise ClassifierError(message)
        if not np.isfinite(logits).all():
            message = f"model {self.version}: gave a score that is no number"
            raise ClassifierError(message)
        row: NDArray[np.float32] = logits[0]
        return row


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        # by its name: a session that is given bytes keeps them for good, beside what it made of them
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the same: no public base class
        message = f"{path}: not a model that onnxruntime can load: {error}"
        raise ClassifierError(message) from error
    names = {item.name for item in session.get_inputs()}, {item.name for item in session.get_outputs()}
    if names != ({"ids", "kinds"}, {"logits"}):
        message = f"{path}: takes {sorted(names[0])} and gives {sorted(names[1])} instead of ids, kinds and logits"
        raise ClassifierError(message)
    return session
