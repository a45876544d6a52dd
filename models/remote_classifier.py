"""A classifier that is served elsewhere, asked over HTTP."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from models.http_apis import AnswerError, Api, Found
from models.label_map import LabelMap, Mapped
from models.sequence_classifier import Scale
from models.server import Server, ServerError
from models.types import Calling, ClassifierError, Scores, Segment

_SUM_TOLERANCE = 1e-2


class RemoteClassifier(Mapped):
    """Asks a server for the scores of segments, their context before them in one text. Thread-safe.

    Args:
        server: where it is.
        api: what it speaks.
        labels: its labels and what they stand for.
        scores: whether its labels exclude each other (``softmax``); ``auto`` says yes where they add up to one.
        batch: texts of one request.
        lenient: the map is a general one, of which the server need not have every label.
    """

    def __init__(
        self,
        server: Server,
        api: Api,
        labels: LabelMap,
        *,
        scores: Scale = "auto",
        batch: int = 16,
        lenient: bool = False,
    ) -> None:
        self._server = server
        self._lenient = lenient
        self._absent: tuple[str, ...] = ()
        self._scored: frozenset[str] = frozenset()
        self._independent = False  # the labels do not exclude each other: some text's scores did not add up to one
        self._api = api
        self._map = labels
        self._scores = scores
        self._batch = batch if api.batched else 1
        self._ignored: tuple[str, ...] = ()
        self._name = server.settings.name
        said = (server.settings.url, repr(api), scores, [(label, labels.of(label)) for label in labels.named])
        self.version = f"{self._name}-{hashlib.sha256(repr(said).encode()).hexdigest()[:12]}"

    @property
    def calling(self) -> Calling:
        """As many requests at once as the server is to get."""
        settings = self._server.settings
        return Calling(threads=settings.concurrency, batch=self._batch, deadline_s=settings.timeout_s + 0.25)

    @property
    def notes(self) -> Sequence[str]:
        """Labels that no code is given for, as far as the server has shown them."""
        notes = [*self._map.notes(self._ignored, self._name)]
        if self._absent:
            notes.append(f"{self._name} does not score these labels of the shipped map: {', '.join(self._absent)}")
        return notes

    @property
    def problems(self) -> Sequence[str]:
        """Why the server does not answer."""
        problem = self._server.problem
        return (f"classifier {problem}",) if problem else ()

    def probe(self) -> None:
        """Ask again where there was a problem."""
        if self._server.due:
            with suppress(ClassifierError):  # it is counted, and the next text will say it again
                self.try_now()

    def try_now(self) -> None:
        """Ask once, now. A server that is away may come back; one that answers wrongly will not.

        Raises:
            ClassifierError: it answers, but in another shape or with other labels.
        """
        try:
            self.score([Segment("。")])
        except ServerError:
            return

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def score(self, segments: Sequence[Segment]) -> list[Scores]:
        """Probabilities of the mapped codes.

        Raises:
            ClassifierError: the server did not answer, or answered what cannot be used.
        """
        scores: list[Scores] = []
        for at in range(0, len(segments), self._batch):
            texts = [plain_text(segment) for segment in segments[at : at + self._batch]]
            scores += self._asked(texts)
        return scores

    def _asked(self, texts: Sequence[str]) -> list[Scores]:
        return self._server.post(self._api.path, self._api.ask(texts), lambda answer: self._read(answer, len(texts)))

    def _read(self, answer: Any, count: int) -> list[Scores]:
        try:
            found = self._api.read(answer, count)
        except AnswerError as error:
            message = f"{self._name}: {error}"
            raise ClassifierError(message, of_text=True) from error
        if self._lenient:
            found = [self._completed(one) for one in found]
        self._ignored = self._map.unmapped(found[0])
        return [self._map.scores(one, self._name, exclusive=self._is_exclusive(one)) for one in found]

    def _completed(self, found: Found) -> Found:
        """With 0.0 for what the server does not score; one that scores nothing of the map is another server.

        A null where there were numbers before is an overflow on its way through JSON, and never a zero.
        """
        there = {label: score for label, score in found.items() if score is not None}
        if lost := next((label for label in found if label in self._scored and label not in there), None):
            message = f"{self._name} gave no score for {lost!r}, which it scored before"
            raise ClassifierError(message, of_text=True)
        self._scored |= there.keys()
        self._absent = tuple(label for label in self._map.named if label not in there)
        if len(self._absent) == len(self._map.named):
            self._map.check(there, self._name)
        return {**dict.fromkeys(self._absent, 0.0), **there}

    def _is_exclusive(self, found: Found) -> bool:
        if self._scores != "auto":
            return self._scores == "softmax"
        if not self._independent and len(found) > 1 and _adds_up(found):
            return True
        # Of labels that exclude each other they always do: one text, not that they happen to, decides for all.
        self._independent = self._independent or all(map(_is_share, found.values()))
        return False


def _adds_up(found: Mapping[str, Any]) -> bool:
    try:
        return math.isclose(sum(found.values()), 1.0, abs_tol=_SUM_TOLERANCE)
    except TypeError:  # no numbers: told where they are read
        return False


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def plain_text(segment: Segment) -> str:
    """Context and text in one piece, as JSON can hold it."""
    return encodable(segment.context + segment.text)


def encodable(text: str) -> str:
    """A text as JSON can hold it: without lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
