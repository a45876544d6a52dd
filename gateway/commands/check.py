"""``sluice check``: what the filters make of a text, without a server."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.commands import terminal
from gateway.commands.opened import load_settings

if TYPE_CHECKING:
    from filters.types import Decision, Match
    from gateway.commands.judging import Refused

ACTED_ON = 1
_STYLES = {"allow": "green", "flag": "yellow", "mask": "magenta", "block": "red"}


class Way(StrEnum):
    """Directions of a text."""

    INPUT = "input"
    OUTPUT = "output"


def check(
    *,
    text: Annotated[str | None, typer.Argument(help="The text; - reads it from stdin.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Read the text from this file.")] = None,
    direction: Annotated[
        Way, typer.Option(help="input: a prompt; output: an answer.", **terminal.one_of(Way))
    ] = Way.INPUT,
    profile: Annotated[str | None, typer.Option(help="As this profile of the policy has it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as a result of /v1/moderations.")] = False,
    explained: Annotated[
        bool,
        typer.Option("--explain", help="Say which characters each match was found in, and as what they were read."),
    ] = False,
) -> None:
    """Judge a text with the policy, lexicon and classifier in force.

    Ends with 0 for allow and flag, 1 for mask and block, 2 where the text could not be judged.
    """
    judged = _read(text, file)
    with terminal.problems(terminal.USAGE):
        from filters.types import Action, Direction
        from gateway.commands.judging import judge_text

        reasons: list[str] = []
        refused: list[Refused] = []
        way = Direction(direction.value)
        decision = judge_text(
            load_settings(), judged, way, profile, on_failure=reasons.append, on_refused=refused.append
        )
    if decision.degraded:
        what = f"the classifier gave no scores ({reasons[0]})" if reasons else "not all of the text could be judged"
        terminal.note(f"sluice: {what}: the policy's on_error decided in its place")
    if as_json:
        terminal.say_json(_as_json(judged, decision))
    else:
        _print(judged, decision, explained=explained)
        if explained:
            _print_refused(judged, refused)
    raise typer.Exit(ACTED_ON if decision.action >= Action.MASK else 0)


def _read(text: str | None, file: Path | None) -> str:
    if (text is None) == (file is None):
        raise typer.BadParameter("give one of TEXT, - (stdin) or --file FILE")
    if file is not None:
        try:
            return _decoded(file.read_bytes(), str(file))
        except OSError as error:
            terminal.fail(f"{file} cannot be read: {error.strerror}", terminal.USAGE)
    if text == "-":
        return _decoded(sys.stdin.buffer.read(), "stdin")
    return text or ""


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        terminal.fail(f"{name} is not UTF-8", terminal.USAGE)


def _as_json(text: str, decision: Decision) -> dict[str, Any]:
    from filters.explain import explain
    from gateway.store.records import gravest, match_records
    from gateway.verdicts import masked

    return {
        "action": decision.action.label,
        "would_action": decision.would_action.label,
        "ruleset": decision.ruleset_version,
        "model_version": decision.model_version,
        "degraded": decision.degraded,
        "categories": [{"code": code, "score": score} for code, score in decision.categories.items()],
        "matches": [
            {**record, "how": [step.record() for step in explain(text, match)]}
            for record, match in zip(match_records(decision.matches), gravest(decision.matches), strict=True)
        ],
        "masked": masked(text, decision),
    }


def _print_refused(text: str, refused: list[Refused]) -> None:
    for match, said, least in sorted(refused, key=lambda one: one.match.order):
        terminal.say(_line(text, match, "allow"))
        scores = f"{said:.2f} < {least:.2f}"
        terminal.say(f"      语境词，分类器给 {scores} | context term, the classifier said {scores}")


def _line(text: str, match: Match, done: str) -> str:
    from filters import taxonomy

    category = taxonomy.get(match.category)
    found = text[match.span.start : match.span.end]
    name = f"{category.zh} / {category.en}"
    where = f"{match.span.start}-{match.span.end}"
    return "  " + "  ".join((where, repr(found), match.category, name, done, match.source.value, match.rule))


def _print(text: str, decision: Decision, *, explained: bool) -> None:
    from filters.explain import explain
    from gateway.verdicts import masked

    would, action = decision.would_action.label, decision.action.label
    head = would if would == action else f"{would} (monitor mode: {action})"
    terminal.say(typer.style(head, fg=_STYLES[would], bold=True) + (" (degraded)" if decision.degraded else ""))
    for match in decision.matches:
        done = match.action.label if match.action is not None else ""
        terminal.say(_line(text, match, done) + f"  {match.score:.2f}")
        for step in explain(text, match) if explained else ():
            terminal.say(f"      {step.say('zh')} | {step.say('en')}")
    if decision.matches:
        terminal.say(f"masked: {masked(text, decision)}")
