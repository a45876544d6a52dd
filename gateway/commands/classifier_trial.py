"""``sluice model try``: what the classifier in force, or that of a policy, makes of one text."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filters.types import Direction
from gateway.commands import terminal
from gateway.commands.opened import load_settings

if TYPE_CHECKING:
    from filters.classifier import Segment as Cut
    from filters.policy import Policy
    from models.types import Classifier, Scores


def try_classifier(
    text: Annotated[str, typer.Argument(help="The text; - reads it from stdin.")],
    *,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="A policy file; the policy in force if left out.")
    ] = None,
    direction: Annotated[
        Direction, typer.Option("--direction", help="What the text is cut as: prompts in larger pieces than answers.")
    ] = Direction.INPUT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score one text with the classifier of a policy: every category, how the text is cut, and how long it takes.

    Nothing is decided: `sluice check` says what the policy makes of the scores. Ends with 2 where there are none.
    """
    judged = sys.stdin.read() if text == "-" else text
    with terminal.problems(terminal.USAGE):
        from filters.classifier import ClassifierFilter
        from filters.ruleset import cutting_of
        from gateway.classifier_loading import ClassifierLoader

        settings = load_settings()
        parsed, source = _policy(policy)
        classifier = ClassifierLoader(settings).load(parsed, source)
        if classifier is None:
            terminal.fail("SLUICE_CLASSIFIER is none, and the policy names no classifier either", terminal.USAGE)
        cutting = cutting_of(parsed, direction)
        cuts = ClassifierFilter(classifier.version, classifier.labels, {}, cutting).segments(judged)
        began = time.perf_counter()
        scores = _score(classifier, cuts)
        told = _told(classifier, cuts, scores, time.perf_counter() - began)
    if as_json:
        terminal.say_json(told)
    else:
        _print(told)


def _policy(path: Path | None) -> tuple[Policy, Any]:
    from gateway.commands.judging import policy_in_force
    from gateway.sources import PolicySource, read_text

    source = policy_in_force(load_settings()) if path is None else PolicySource(read_text(path), str(path), "file")
    return source.parse(), source


def _score(classifier: Classifier, cuts: list[Cut]) -> list[Scores]:
    from models.types import Segment, Served

    batch = classifier.calling.batch if isinstance(classifier, Served) else 1
    segments = [Segment(cut.text, cut.context) for cut in cuts]
    scores: list[Scores] = []
    try:
        for at in range(0, len(segments), batch):
            scores += classifier.score(segments[at : at + batch])
    finally:
        if isinstance(classifier, Served):
            classifier.close()
    return scores


def _told(classifier: Classifier, cuts: list[Cut], scores: list[Scores], seconds: float) -> dict[str, Any]:
    from models.types import PartialScores, Served

    best = {code: max((one[code] for one in scores), default=0.0) for code in classifier.labels}
    return {
        "version": classifier.version,
        "coverage": "partial" if any(isinstance(one, PartialScores) for one in scores) else "full",
        "ms": round(seconds * 1000, 1),
        "notes": list(classifier.notes) if isinstance(classifier, Served) else [],
        "scores": dict(sorted(best.items(), key=lambda item: (-item[1], item[0]))),
        "segments": [
            {"start": cut.span.start, "end": cut.span.end, "text": cut.text, "scores": dict(found)}
            for cut, found in zip(cuts, scores, strict=True)
        ],
    }


def _print(told: dict[str, Any]) -> None:
    from filters import taxonomy

    terminal.say(f"{told['version']}  coverage {told['coverage']}  {told['ms']} ms")
    for note in told["notes"]:
        terminal.note(f"sluice: {note}")
    for code, score in told["scores"].items():
        terminal.say(f"  {score:.3f}  {code}  {taxonomy.get(code).zh}")
    for segment in told["segments"]:
        code, score = max(segment["scores"].items(), key=lambda item: item[1])
        terminal.say(f"  {segment['start']}-{segment['end']}  {segment['text']!r}  {code} {score:.3f}")
