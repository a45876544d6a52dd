"""Any transformers sequence classifier: torch weights or an ONNX export, with labels mapped onto our codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from models import pretrained
from models.label_map import Codes, LabelMap, Mapped
from models.pretrained import Configuration
from models.token_windows import Window, Windows
from models.types import Calling, ClassifierError, PartialScores, Scores, Segment

Floats = NDArray[np.float64]
Runtime = Literal["auto", "torch", "onnx"]
Scale = Literal["auto", "softmax", "sigmoid"]
_LEAST_TOKENS = 8


class Network(Protocol):
    """The model itself. Thread-safe."""

    def logits(self, windows: Sequence[Window]) -> Floats:
        """One row a window, one column a label.

        Raises:
            ClassifierError: it failed.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceSettings:
    """How a model is read.

    Attributes:
        model: a folder, or a name on the Hugging Face hub.
        labels: its labels and the codes that each stands for.
        runtime: ``auto`` takes an ONNX export where there is one.
        scores: ``auto`` follows the model's ``problem_type``.
        max_tokens: longest input; the model's own limit if ``None``.
        stride: tokens shared by neighbouring windows of a long text; a quarter of the input if ``None``.
        windows: windows read of one text; what follows them makes the coverage partial.
        batch: windows read together. More than one is faster on an accelerator; scores may then differ in the last
            digits with the texts that happen to stand beside.
    """

    model: str
    labels: Codes
    revision: str | None = None
    runtime: Runtime = "auto"
    scores: Scale = "auto"
    max_tokens: int | None = None
    stride: int | None = None
    windows: int = 32
    batch: int = 1
    threads: int = 1
    device: str = "cpu"


class SequenceClassifier(Mapped):
    """Scores by a transformers model. Thread-safe. Each label's highest score in any window of a text counts."""

    def __init__(
        self, network: Network, windows: Windows, configuration: Configuration, settings: SequenceSettings, version: str
    ) -> None:
        self._network = network
        self._windows = windows
        self._known = configuration.labels
        self._map = LabelMap(settings.labels)
        self._map.check(self._known, str(configuration.folder))
        multi = configuration.multi_label if settings.scores == "auto" else settings.scores == "sigmoid"
        self._scale = _sigmoid if multi else _softmax
        self._exclusive = not multi
        self._batch = settings.batch
        self._threads = settings.threads
        self.version = version

    @classmethod
    def load(cls, settings: SequenceSettings) -> SequenceClassifier:
        """Find, read and try a model.

        Raises:
            ClassifierError: it is not there, damaged, of another shape than its configuration says, or its labels are
                others than the map's; the message says what to change.
        """
        LabelMap(settings.labels)  # a map of nothing is told before anything is fetched
        folder = pretrained.find(settings.model, settings.revision, settings.runtime)
        _check_there(folder)
        configuration = Configuration.read(folder)
        export = _export(folder, settings.runtime)
        if export is not None:
            from models.exported_network import ExportedNetwork

            network: Network = ExportedNetwork.load(export, settings.threads)
            tokenizer = pretrained.read_tokenizer(folder / "tokenizer.json")
        else:
            from models.torch_network import TorchNetwork, load_tokenizer

            tokenizer = load_tokenizer(folder)
            network = TorchNetwork.load(folder, device=settings.device, threads=settings.threads)
        max_tokens, stride = _lengths(configuration, settings, tokenizer.num_special_tokens_to_add(is_pair=False))
        windows = Windows(tokenizer, max_tokens=max_tokens, stride=stride, most=settings.windows)
        runtime = "torch" if export is None else "onnx"
        said = (sorted(settings.labels.items()), settings.scores, max_tokens, stride, settings.windows)
        name = Path(settings.model).name or folder.resolve().name  # the hub's folders are called by their commit
        version = f"{name}-{pretrained.digest(folder, pretrained.FILES[runtime], runtime, *said)}"
        classifier = cls(network, windows, configuration, settings, version)
        classifier.score([Segment("。")])  # one run now: a model of another shape fails here, not on a customer's text
        return classifier

    @property
    def calling(self) -> Calling:
        """As often at once as it has threads for."""
        return Calling(batch=max(8, self._batch))

    @property
    def notes(self) -> Sequence[str]:
        """Labels that no code is given for."""
        return self._map.notes(self._map.unmapped(self._known), self.version)

    @property
    def problems(self) -> Sequence[str]:
        """None: it lies in memory."""
        return ()

    def probe(self) -> None:
        """Nothing can come back that was not lost."""

    def close(self) -> None:
        """Nothing is open."""

    def score(self, segments: Sequence[Segment]) -> list[Scores]:
        """Probabilities of the mapped codes.

        Raises:
            ClassifierError: the model failed, or gave something that is no probability.
        """
        cut = [self._windows.cut(segment.context + segment.text) for segment in segments]
        rows = self._rows([window for windows, _ in cut for window in windows])
        scores: list[Scores] = []
        at = 0
        for windows, whole in cut:
            highest = rows[at : at + len(windows)].max(axis=0, initial=0.0).tolist()
            at += len(windows)
            found = self._map.scores(
                dict(zip(self._known, highest, strict=True)), self.version, exclusive=self._exclusive
            )
            scores.append(found if whole else PartialScores(found))
        return scores

    def _rows(self, windows: Sequence[Window]) -> Floats:
        pieces = [self._probabilities(windows[at : at + self._batch]) for at in range(0, len(windows), self._batch)]
        return np.concatenate(pieces) if pieces else np.zeros((0, len(self._known)))

    def _probabilities(self, windows: Sequence[Window]) -> Floats:
        logits = self._network.logits(windows)
        if logits.shape != (len(windows), len(self._known)):
            message = (
                f"{self.version} gives scores of shape {logits.shape} for {len(windows)} inputs, "
                f"but config.json names {len(self._known)} labels"
            )
            raise ClassifierError(message, ("model",))
        if not np.isfinite(logits).all():
            message = f"{self.version} gave a score that is no number"
            raise ClassifierError(message, of_text=True)
        return self._scale(logits)


def _check_there(folder: Path) -> None:
    """Say that a folder holds no model at all, before anybody installs libraries to read one."""
    if pretrained.exported(folder) is None and not pretrained.has_weights(folder):
        message = (
            f"{folder} holds neither model.onnx nor weights (*.safetensors): put the model there, or name its folder"
        )
        raise ClassifierError(message, ("model",))


def _export(folder: Path, wanted: Runtime) -> Path | None:
    """The export to run; ``None`` where torch is to."""
    found = None if wanted == "torch" else pretrained.exported(folder)
    if wanted == "onnx" and found is None:
        message = f"{folder} has no model.onnx: export the model to ONNX, or use runtime: torch"
        raise ClassifierError(message, ("runtime",))
    return found


def _lengths(configuration: Configuration, settings: SequenceSettings, special: int) -> tuple[int, int]:
    limit = settings.max_tokens or configuration.max_tokens
    if limit > configuration.max_tokens:
        message = f"max_tokens is {limit}, but the model takes {configuration.max_tokens} tokens at most"
        raise ClassifierError(message, ("max_tokens",))
    room = limit - special
    if room < _LEAST_TOKENS:
        message = f"max_tokens is {limit}, of which the model's own tokens leave only {room}"
        raise ClassifierError(message, ("max_tokens",))
    stride = room // 4 if settings.stride is None else settings.stride
    if stride >= room:
        message = f"stride is {stride}, so windows of {room} tokens would never move on: use less than {room}"
        raise ClassifierError(message, ("stride",))
    return limit, stride


def _sigmoid(logits: Floats) -> Floats:
    probabilities: Floats = 1.0 / (1.0 + np.exp(-np.clip(logits, -60.0, 60.0)))
    return probabilities


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Floats = raised / raised.sum(axis=1, keepdims=True)
    return probabilities
