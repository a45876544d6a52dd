"""What a policy says about the classifier: which one scores the texts, and how they are cut for it.

Only the description is here; what loads and asks one is told by the gateway.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StrictBool,
    StringConstraints,
    Tag,
    model_validator,
)

from filters import taxonomy
from filters.base_url import base_url
from filters.classifier import CLAUSES, LENGTHS, PROMPT_CUTTING, SENTENCES, Cutting
from filters.policy_rules import Frozen
from filters.policy_text import PlacedError
from filters.policy_upstreams import Seconds, UpstreamName
from filters.types import Direction

IGNORE = "ignore"
"""Stands in place of a code for a label that counts for nothing on purpose."""
MAX_MEMBERS = 8
MAX_LABELS = 500
_ENDS: Mapping[str, re.Pattern[str]] = {"clause": CLAUSES, "sentence": SENTENCES, "length": LENGTHS}


def _read_codes(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _check_url(url: str) -> str:
    return base_url(url, keys="SLUICE_CLASSIFIER_KEY_NAME and its name into key: NAME")


def _check_codes(codes: tuple[str, ...]) -> tuple[str, ...]:
    if codes == (IGNORE,):
        return ()
    for code in codes:
        taxonomy.get(code)
    return codes


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]
Codes = Annotated[
    tuple[str, ...],
    BeforeValidator(_read_codes, json_schema_input_type=str | tuple[str, ...]),
    AfterValidator(_check_codes),
]
Labels = Annotated[dict[str, Codes], Field(max_length=MAX_LABELS)]
ServerUrl = Annotated[str, AfterValidator(_check_url)]
Cut = Literal["clause", "sentence", "length"]


class Usual(NamedTuple):
    """How texts are cut where a policy says nothing."""

    cut: Cut
    segment: int
    context: int
    least: int = 1
    latin_context: int = 1


class _Cutting(Frozen):
    """How texts are cut for a classifier. The default is the shipped one's: a clause, or 24 characters."""

    usual: ClassVar[Usual] = Usual("sentence", 200, 64)

    cut: Cut | None = None
    """Where a text is cut: after a clause, a sentence, or only where a segment is full."""
    segment: Annotated[int, Field(strict=True, ge=8, le=1000)] | None = None
    """Characters that a segment has at most. What is not cut yet is held back."""
    least: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = None
    """Characters that a segment has at least where a clause or sentence ends it."""
    context: Annotated[int, Field(strict=True, ge=0, le=8000)] | None = None
    """Characters before a segment that the classifier reads with it."""

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        cutting = self.cutting
        if self.least is not None and self.least > cutting.chars:
            msg = f"segments have {cutting.chars} characters at most: take fewer for least"
            raise PlacedError(msg, ("least",))
        return self

    def cutting_of(self, direction: Direction) -> Cutting:  # noqa: ARG002 - the shipped one's kind tells them apart
        """How texts of a direction are cut."""
        return self.cutting

    @property
    def cutting(self) -> Cutting:
        """The same for the engine."""
        usual = self.usual
        segment = self.segment or usual.segment
        return Cutting(
            segment,
            usual.context if self.context is None else self.context,
            _ENDS[self.cut or usual.cut],
            min(self.least or usual.least, segment),
            latin_context=1 if self._said else usual.latin_context,
        )

    @property
    def _said(self) -> bool:
        """Whether the policy says anything of it."""
        return any(value is not None for value in (self.cut, self.segment, self.least, self.context))


class _Member(_Cutting):
    """What every classifier may be given."""

    name: UpstreamName | None = None
    """What it is called in logs, metrics and /readyz; its kind if left out."""
    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """In an ensemble with combine: weighted, how much its scores count."""
    optional: StrictBool = False
    """In an ensemble: where it fails the others decide, and the coverage is partial."""


class OnnxClassifier(_Member):
    """A model in Sluice's own format."""

    usual: ClassVar[Usual] = Usual("clause", 24, 64, latin_context=3)

    kind: Literal["onnx"] = "onnx"
    """Sluice's own format."""
    model: Name | None = None
    """A folder, a version of `sluice model list`, or an alias; what SLUICE_CLASSIFIER names if left out."""

    def cutting_of(self, direction: Direction) -> Cutting:
        """As the policy says; else prompts in larger pieces, which nobody waits for."""
        return self.cutting if self._said or direction is Direction.OUTPUT else PROMPT_CUTTING


class TransformersClassifier(_Member):
    """A sequence classifier of transformers."""

    kind: Literal["transformers"]
    """A sequence classifier of transformers: torch weights, or an ONNX export."""
    model: Name
    """A folder, or a name on the Hugging Face hub."""
    labels: Labels
    """The model's labels, and the category (or categories) that each stands for; ignore: none."""
    revision: Name | None = None
    """Branch, tag or commit on the hub."""
    runtime: Literal["auto", "torch", "onnx"] = "auto"
    """auto: onnx where the folder has a model.onnx, else torch."""
    scores: Literal["auto", "softmax", "sigmoid"] = "auto"
    """softmax where labels exclude each other, sigmoid where they do not; auto: what the model says."""
    max_tokens: Annotated[int, Field(strict=True, ge=8)] | None = None
    """Longest input; the model's own limit if left out."""
    stride: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Tokens shared by neighbouring windows of a longer text; a quarter of the input if left out."""
    windows: Annotated[int, Field(strict=True, ge=1, le=1000)] = 32
    """Windows read of one text; what follows them makes the coverage partial."""
    batch: Annotated[int, Field(strict=True, ge=1, le=256)] = 1
    """Windows read together; more than one pays on an accelerator."""
    threads: Annotated[int, Field(strict=True, ge=1, le=64)] = 1
    """Processor threads of one inference."""
    device: Name = "cpu"
    """Where torch computes: cpu, cuda, cuda:1, mps."""


class _Served(_Member):
    """What holds for every server."""

    key: UpstreamName | None = None
    """Name of the key that is sent; the key itself stands in the environment or a file."""
    timeout: Seconds = 5.0
    """Seconds for a text's scores, retries included; in place of SLUICE_INFERENCE_DEADLINE_MS."""
    connect_timeout: Seconds = 2.0
    """Seconds to connect."""
    retries: Annotated[int, Field(strict=True, ge=0, le=5)] = 1
    """Further tries where the server refused, was busy, or broke the connection off."""
    concurrency: Annotated[int, Field(strict=True, ge=1, le=64)] = 8
    """Requests of one process on their way at once."""
    breaker_failures: Annotated[int, Field(strict=True, ge=1, le=1000)] = 5
    """Failures in a row after which the server is left alone."""
    breaker_pause: Seconds = 10.0
    """Seconds that it is left alone."""


class GuardClassifier(_Served):
    """A generative guard."""

    usual: ClassVar[Usual] = Usual("sentence", 400, 1000, 80)

    kind: Literal["guard"]
    """A generative guard, behind a server that speaks OpenAI's chat completions, or here."""
    format: Literal["qwen3guard", "llama-guard", "shieldgemma"]
    """Its family."""
    model: Name
    """Its name on the server; without url, a folder or a name on the Hugging Face hub."""
    url: ServerUrl | None = None
    """Base URL of the server, without /v1; if left out, the model generates in this process (torch)."""
    labels: Labels = Field(default_factory=dict)
    """The guard's categories, and what they stand for, where that is not what Sluice has for them."""
    controversial: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Score of qwen3guard's middle tier."""
    probabilities: StrictBool = False
    """Take the probability of the guard's word for the score (llama-guard, shieldgemma), not 1.0."""
    guidelines: dict[str, Annotated[str, StringConstraints(min_length=1, max_length=4000)]] = Field(
        default_factory=dict
    )
    """shieldgemma: what it is asked, by label, in place of Sluice's guidelines."""
    revision: Name | None = None
    """Branch, tag or commit on the hub."""
    device: Name = "cpu"
    """Where torch computes."""
    threads: Annotated[int, Field(strict=True, ge=1, le=64)] = 1
    """Processor threads of one inference here."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.guidelines and self.format != "shieldgemma":
            msg = "only shieldgemma is asked by guidelines"
            raise PlacedError(msg, ("guidelines",))
        for label in self.guidelines:
            if label not in self.labels:
                msg = f"the guideline {label!r} needs its category: add it to labels"
                raise PlacedError(msg, ("guidelines", label))
        if self.probabilities and self.format == "qwen3guard":
            msg = "probabilities cannot be read from qwen3guard's answers"
            raise PlacedError(msg, ("probabilities",))
        if self.url is None and self.key is not None:
            msg = "a key is for a server: give its url as well"
            raise PlacedError(msg, ("key",))
        return self


class HttpClassifier(_Served):
    """A classifier that is served elsewhere."""

    kind: Literal["http"]
    """A classifier behind a server."""
    api: Literal["vllm", "tei", "openai", "chat"]
    """vllm: /classify; tei: /predict; openai: /v1/moderations; chat: any chat model as a judge."""
    url: ServerUrl
    """Base URL of the server; the path of the API is appended."""
    model: Name | None = None
    """The model's name on the server."""
    labels: Labels = Field(default_factory=dict)
    """The server's labels (vllm without classes: 0, 1, …), and what each stands for; openai has a map of its own."""
    classes: tuple[Name, ...] = ()
    """vllm: the names of its classes by position, for the server gives none."""
    instructions: Annotated[str, StringConstraints(max_length=20_000)] = ""
    """chat: what the judge should know, before the labels that it is asked for."""
    scores: Literal["auto", "softmax", "sigmoid"] = "auto"
    """softmax where labels exclude each other, sigmoid where they do not; auto: whether they add up to one."""
    batch: Annotated[int, Field(strict=True, ge=1, le=256)] = 16
    """Texts in one request."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.labels and self.api != "openai":
            msg = "give the server's labels, and the category that each stands for"
            raise PlacedError(msg, ("labels",))
        if self.api == "chat" and self.model is None:
            msg = "a chat model needs its name: give model"
            raise PlacedError(msg, ("model",))
        for key, api in (("classes", "vllm"), ("instructions", "chat")):
            if getattr(self, key) and self.api != api:
                msg = f"{key} is for api: {api}"
                raise PlacedError(msg, (key,))
        if twice := next((name for name in self.classes if self.classes.count(name) > 1), None):
            msg = f"two classes are called {twice!r}: give each a name of its own"
            raise PlacedError(msg, ("classes", self.classes.index(twice, self.classes.index(twice) + 1)))
        if self.classes:
            for label in self.labels:
                if label not in self.classes:
                    msg = f"{label!r} is not among classes{taxonomy.suggest(label, self.classes)}"
                    raise PlacedError(msg, ("labels", label))
        return self


_KINDS = ("onnx", "transformers", "guard", "http")
_ALL_KINDS = (*_KINDS, "ensemble")


def _kind(value: object) -> str:
    if isinstance(value, Mapping):
        return f"[{value.get('kind', 'onnx')}]"
    return f"[{getattr(value, 'kind', value)}]"


def _chosen_from(kinds: tuple[str, ...]) -> Discriminator:
    return Discriminator(
        _kind, custom_error_type="classifier_kind", custom_error_message=f"kind must be one of {', '.join(kinds)}"
    )


Single = Annotated[
    Annotated[OnnxClassifier, Tag("[onnx]")]
    | Annotated[TransformersClassifier, Tag("[transformers]")]
    | Annotated[GuardClassifier, Tag("[guard]")]
    | Annotated[HttpClassifier, Tag("[http]")],
    _chosen_from(_KINDS),
]


class EnsembleClassifier(_Cutting):
    """Several classifiers as one."""

    kind: Literal["ensemble"]
    """Several classifiers."""
    members: Annotated[tuple[Single, ...], Field(max_length=MAX_MEMBERS)]
    """Classifiers, each as it would stand alone; texts are cut as the ensemble says."""
    combine: Literal["max", "weighted"] = "max"
    """max: a category's highest score; weighted: the mean of those that know it, by their weights."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.members) < 2:
            msg = "an ensemble has two members at least"
            raise PlacedError(msg, ("members",))
        for at, member in enumerate(self.members):
            alone = [key for key in ("cut", "segment", "least", "context") if getattr(member, key) is not None]
            if alone:
                msg = f"all members read the same segments: {alone[0]} belongs to the ensemble"
                raise PlacedError(msg, ("members", at, alone[0]))
        if all(member.optional for member in self.members):
            msg = "one member at least must not be optional"
            raise PlacedError(msg, ("members",))
        names = [member.name or member.kind for member in self.members]
        if twice := next((name for name in names if names.count(name) > 1), None):
            msg = f"two members are called {twice!r}: give one a name of its own"
            raise PlacedError(msg, ("members", names.index(twice, names.index(twice) + 1)))
        return self


ClassifierRule = Annotated[
    Annotated[OnnxClassifier, Tag("[onnx]")]
    | Annotated[TransformersClassifier, Tag("[transformers]")]
    | Annotated[GuardClassifier, Tag("[guard]")]
    | Annotated[HttpClassifier, Tag("[http]")]
    | Annotated[EnsembleClassifier, Tag("[ensemble]")],
    _chosen_from(_ALL_KINDS),
]
"""What scores the texts; of kind onnx where nothing else is said."""

RULES = (OnnxClassifier, TransformersClassifier, GuardClassifier, HttpClassifier, EnsembleClassifier)
