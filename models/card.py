"""The model card: what a classifier is, what it was made of, how well it does, and which bytes belong to it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.calibration import LabelCalibration
from models.types import ClassifierError

CARD_FILE = "card.json"
MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
ACT_AT = 0.8
"""The score from which the shipped policy acts; calibration moves every label's chosen operating point here."""

_SCORED = frozenset({"files", "labels", "calibration", "latin_calibration", "reading", "max_tokens"})


class Source(BaseModel):
    """Where training rows came from, and on what terms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    licence: str
    rows: int = Field(ge=0)
    attribution: str = ""


class ModelCard(BaseModel):
    """Everything that is said of a model, as ``card.json`` holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(default=1, ge=1, le=1)
    name: str
    version: str = ""
    labels: tuple[str, ...] = Field(min_length=1)
    calibration: dict[str, LabelCalibration]
    latin_calibration: dict[str, LabelCalibration] = {}
    """That of texts in Latin letters, where enough rows were held back for one; else theirs is ``calibration``."""
    reading: int = Field(default=0, ge=0)
    """By which rule disguises are undone before the model reads a text (``models.unmasking.READING``); 0: by none."""
    thresholds: dict[str, float]
    max_tokens: int = Field(ge=8)
    max_chars: int = Field(ge=1)
    files: dict[str, str]
    intended_use: str = ""
    weaknesses: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    counts: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    training: dict[str, Any] = {}

    def sealed(self) -> ModelCard:
        """The card with its version: a name and a hash of everything that a score depends on."""
        return self.model_copy(update={"version": f"{self.name}-{self.digest}"})

    @property
    def digest(self) -> str:
        """Twelve hex digits over all that a score depends on."""
        scored = self.written(_SCORED)
        return hashlib.sha256(orjson.dumps(scored, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]

    def save(self, folder: Path) -> None:
        """Write ``card.json``, whole or not at all."""
        write_atomically(
            folder / CARD_FILE, orjson.dumps(self.written(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )

    def written(self, parts: Collection[str] | None = None) -> dict[str, Any]:
        """What ``card.json`` holds, or some parts of it.

        What a card does not have is left out: a Sluice that knew of none can read it, and its version stays.
        """
        absent = {name for name in ("latin_calibration", "reading") if not getattr(self, name)}
        return self.model_dump(mode="json", include=None if parts is None else set(parts), exclude=absent)

    @classmethod
    def load(cls, folder: Path) -> ModelCard:
        """Read and check ``card.json``.

        Raises:
            ClassifierError: it is absent, is no card, or contradicts itself.
        """
        path = folder / CARD_FILE
        try:
            card = cls.model_validate(orjson.loads(path.read_bytes()))
        except OSError as error:
            message = f"{path}: cannot read the model card: {error.strerror}"
            raise ClassifierError(message) from error
        except (orjson.JSONDecodeError, ValidationError) as error:
            message = f"{path}: not a model card: {error}"
            raise ClassifierError(message) from error
        card.check(path)
        return card

    def check(self, path: Path) -> None:
        """Refuse a card whose parts do not belong together.

        Raises:
            ClassifierError: with the reason.
        """
        named = [set(self.calibration), set(self.latin_calibration or self.calibration)]
        if any(set(self.labels) != names for names in named) or len(set(self.labels)) != len(self.labels):
            message = f"{path}: labels and calibration name different categories"
            raise ClassifierError(message)
        if self.version != self.sealed().version:
            message = f"{path}: version {self.version!r} is not that of its files, labels and calibration"
            raise ClassifierError(message)


def checksum(data: bytes) -> str:
    """SHA-256 in hex, as the card's ``files`` hold it."""
    return hashlib.sha256(data).hexdigest()


def read_checked(folder: Path, name: str, files: Mapping[str, str]) -> bytes:
    """The bytes of a model's file, which must be those that its card was written for.

    Raises:
        ClassifierError: the file is absent, or its bytes are others; the message names it.
    """
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError as error:
        message = f"{path}: cannot read the model file: {error.strerror}"
        raise ClassifierError(message) from error
    if checksum(data) != files.get(name):
        message = f"{path}: checksum differs from the model card: the file is damaged or belongs to another version"
        raise ClassifierError(message)
    return data


def write_atomically(path: Path, data: bytes) -> None:
    """Replace ``path`` so that a reader, or a crash, sees the old bytes or the new ones."""
    waiting = path.with_name(f"{path.name}.{os.getpid()}.new")
    with waiting.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    waiting.replace(path)
