"""How commands speak: results to stdout, everything else to stderr, problems in one line."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import typer

FAILURE = 1
USAGE = 2
_COLUMN = 10  # the least room beside an id that a column can be read in

Word = TypeVar("Word", bound=StrEnum)


def say(text: str = "") -> None:
    """One line of result on stdout."""
    typer.echo(text)


def note(text: str) -> None:
    """One line beside the result, on stderr."""
    typer.echo(text, err=True)


def counted(count: int, what: str) -> str:
    """``1 term``, ``2 terms``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def fail(problem: str, code: int = FAILURE) -> NoReturn:
    """Say what is wrong and end."""
    note(f"sluice: {problem}")
    raise typer.Exit(code)


def one_of(kind: type[Word]) -> dict[str, Any]:
    """How an option reads one of a few words, and says so: for ``typer.Option(**one_of(Scope))``."""
    words = [word.value for word in kind]

    def read(value: str) -> Word:
        if value not in words:
            message = f"{value!r} is none of {', '.join(words)}"
            raise typer.BadParameter(message)
        return kind(value)

    return {"parser": read, "metavar": "|".join(words)}


@contextlib.contextmanager
def problems(code: int = FAILURE) -> Iterator[None]:
    """Turn expected exceptions of the block into one line on stderr and an exit code."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        from gateway.problems import explain

        if (problem := explain(error)) is None:
            raise
        fail(problem, code)


def say_json(value: Any) -> None:
    """A JSON document on stdout, indented for people."""
    import orjson

    say(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as wide as the terminal; where there is none, tab-separated lines that lose nothing.

    A column ``id`` is to be copied: it is never torn, and where the terminal is too narrow, each has a line of its own.
    """
    if not sys.stdout.isatty():
        for row in (headings, *rows):
            say("\t".join(" ".join(cell.split()) for cell in row))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if _are_ids_torn(headings, rows, console.width):
        at = headings.index("id")
        for row in rows:
            console.print(escape("  ".join(cell for cell in (*row[:at], *row[at + 1 :]) if cell)), highlight=False)
            console.print(f"  {escape(row[at])}", highlight=False, soft_wrap=True)
        return
    shown = Table(box=None, pad_edge=False)
    for heading in headings:
        shown.add_column(heading, no_wrap=heading == "id")
    for row in rows:
        shown.add_row(*(escape(cell) for cell in row))
    console.print(shown)


def _are_ids_torn(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> bool:
    if "id" not in headings or not rows:
        return False
    longest = max(len(row[headings.index("id")]) for row in rows)
    return width < longest + _COLUMN * (len(headings) - 1)


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal that something takes its time."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def progress(files: Sequence[Path], what: str, read: Callable[[Path], Iterable[str]]) -> Iterator[str]:
    """The texts of files; on a terminal with a bar that moves with the bytes of the files that are done."""
    if not sys.stderr.isatty():
        for file in files:
            yield from read(file)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=sum(file.stat().st_size for file in files))
        for file in files:
            texts, done, size = list(read(file)), 0.0, file.stat().st_size
            for text in texts:
                yield text
                done += size / len(texts)
                bar.update(task, advance=size / len(texts))
            bar.update(task, advance=size - done)
