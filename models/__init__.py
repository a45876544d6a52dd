"""Machine learning: serving, training and evaluation of classifiers. Knows nothing of filters, gateway or database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.types import Classifier

SHIPPED_WEIGHTS = Path(__file__).parent / "weights"
"""The classifier that comes with the package: what serves until an operator promotes another."""

ALIASES = Path("models/aliases.json")
"""In the data folder: which model versions are called production, candidate and previous (``models.registry``)."""


def load_classifier(path: Path | str = SHIPPED_WEIGHTS) -> Classifier:
    """Load the classifier in a folder of ``model.onnx``, ``tokenizer.json`` and ``card.json``.

    Raises:
        ClassifierError: a file is missing, damaged, or of another shape than the card says; the message names it.
    """
    from models.onnx_classifier import OnnxClassifier

    return OnnxClassifier.load(Path(path))


__all__ = ["ALIASES", "SHIPPED_WEIGHTS", "load_classifier"]
