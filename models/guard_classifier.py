"""A generative guard as a classifier: behind a server that speaks OpenAI's chat completions, or generating here."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from models.guards import UNSAFE, Guard, Question, Reply, reply_of
from models.http_apis import AnswerError
from models.label_map import Codes, LabelMap, Mapped
from models.remote_classifier import encodable, plain_text
from models.server import Server, ServerError
from models.types import Calling, ClassifierError, Scores, Segment

PATH = "/v1/chat/completions"
TOP = 20
"""Alternatives of a token that are asked for; the decisive words are always among them."""

Read = Callable[[Reply], Mapping[str, float]]


class Asker(Protocol):
    """Puts questions to a guard. Thread-safe."""

    name: str
    version: str
    calling: Calling

    @property
    def problems(self) -> Sequence[str]:
        """Why it cannot be asked at present."""

    @property
    def due(self) -> bool:
        """Whether there is a problem and it is time to try again."""

    def ask(self, question: Question, read: Read, spent_s: float = 0.0) -> Mapping[str, float]:
        """What ``read`` makes of the reply; ``spent_s`` went on earlier questions about the same text.

        Raises:
            ClassifierError: there is no reply, or ``read`` raised it.
        """

    def close(self) -> None:
        """Let go of connections."""


class ServedGuard:
    """Asks a server: vLLM, or any other that speaks chat completions and knows the guard's chat template."""

    def __init__(self, server: Server, model: str, *, weighed: bool) -> None:
        self._server = server
        self._model = model
        self._weighed = weighed
        settings = server.settings
        self.name = settings.name
        self.version = f"{settings.url} {model}"
        self.calling = Calling(settings.concurrency, 1, settings.timeout_s + 0.25, prompts=True)

    @property
    def problems(self) -> Sequence[str]:
        """Why the server does not answer."""
        return (f"classifier {self._server.problem}",) if self._server.problem else ()

    @property
    def due(self) -> bool:
        """Whether it is time to try again."""
        return self._server.due

    def ask(self, question: Question, read: Read, spent_s: float = 0.0) -> Mapping[str, float]:
        """One chat completion, as deterministic as the server can.

        Raises:
            ClassifierError: there is none, or ``read`` raised it.
        """

        def reply(answer: Any) -> Mapping[str, float]:
            try:
                return read(reply_of(answer, any_end=bool(question.label)))
            except AnswerError as error:
                message = f"{self.name}: {error}"
                raise ClassifierError(message) from error

        return self._server.post(PATH, self._body(question), reply, spent_s)

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def _body(self, question: Question) -> Mapping[str, Any]:
        return {
            "model": self._model,
            "messages": question.messages,
            "max_tokens": question.max_tokens,
            "temperature": 0,
            "seed": 0,
            "stream": False,
            **({"logprobs": True, "top_logprobs": TOP} if self._weighed else {}),
            **({"chat_template_kwargs": question.extra} if question.extra else {}),
        }


class GuardClassifier(Mapped):
    """Scores by a guard's verdicts. Thread-safe.

    Args:
        guard: its family.
        asker: how it is reached.
        labels: codes of its categories, in place of the shipped ones of the same names.
        weighed: scores are the probabilities of its words, not 1.0 for every verdict.
    """

    def __init__(self, guard: Guard, asker: Asker, labels: Codes | None = None, *, weighed: bool = False) -> None:
        if weighed and not guard.weighs:
            message = "probabilities cannot be read from the answers of this kind of guard: leave them out"
            raise ClassifierError(message, ("probabilities",))
        self._guard = guard
        self._asker = asker
        self._weighed = weighed
        if labels:
            LabelMap({**guard.labels, **labels}).check(guard.labels, asker.name)
        self._map = LabelMap({**guard.labels, **(labels or {})})
        codes = [(label, self._map.of(label)) for label in self._map.named]
        said = (asker.version, repr(guard), codes, weighed)
        self.version = f"{asker.name}-{hashlib.sha256(repr(said).encode()).hexdigest()[:12]}"

    @property
    def calling(self) -> Calling:
        """One text at a time, from as many threads as the guard may have questions."""
        return self._asker.calling

    @property
    def notes(self) -> Sequence[str]:
        """None: every category stands for something, unless the policy says otherwise."""
        return ()

    @property
    def problems(self) -> Sequence[str]:
        """Why it cannot be asked."""
        return self._asker.problems

    def probe(self) -> None:
        """Ask again where there was a problem."""
        if self._asker.due:
            with suppress(ClassifierError):  # it is counted, and the next text will say it again
                self.score([Segment("。")])

    def try_now(self) -> None:
        """Ask once, now. A server that is away may come back; one that answers wrongly will not.

        Raises:
            ClassifierError: it answers, but not as such a guard.
        """
        try:
            self.score([Segment("你好")])
        except ServerError:
            return

    def close(self) -> None:
        """Let go of the connections."""
        self._asker.close()

    def score(self, segments: Sequence[Segment]) -> list[Scores]:
        """Scores by its verdicts; 0.0 for what it does not name.

        Raises:
            ClassifierError: it did not answer, or not in its form.
        """
        return [self._score(plain_text(segment), segment.prompt or "") for segment in segments]

    def _score(self, text: str, prompt: str) -> Scores:
        found = dict.fromkeys(self._guard.labels, 0.0)
        began = time.monotonic()  # all questions about a text share its time
        for question in self._guard.questions(text, encodable(prompt)):
            read = partial(self._guard.read, question, weighed=self._weighed)
            for label, score in self._asker.ask(question, read, time.monotonic() - began).items():
                found[label] = max(found.get(label, 0.0), score)
        return self._map.scores(found, self._asker.name, exclusive=False)


__all__ = ["UNSAFE", "Asker", "GuardClassifier", "ServedGuard"]
