"""``sluice lexicon``: the operator's own terms."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands import (
    lexicon_files,
    lexicon_history,
    lexicon_proposals,
    lexicon_review,
    second_opinion,
    terminal,
)
from gateway.commands.lexicon_files import Form, Format
from gateway.commands.opened import changing_terms, load_settings, on_this_machine, open_store

if TYPE_CHECKING:
    from filters.lexicon import Term

app = typer.Typer(help="The lexicon: terms that were imported, beside the shipped ones.", no_args_is_help=True)
app.command("lint")(lexicon_review.lint)
app.command("try")(lexicon_review.try_)
app.command("coverage")(lexicon_review.coverage)
app.command("propose")(lexicon_proposals.propose)
app.command("proposals")(lexicon_proposals.proposals)
app.command("approve")(lexicon_proposals.approve)
app.command("try-proposal")(lexicon_proposals.try_proposal)
app.command("activate")(lexicon_proposals.activate)
app.command("reject")(lexicon_proposals.reject)
app.command("history")(lexicon_history.history)
app.command("undo")(lexicon_history.undo)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV with a header, JSONL, a word list or JSON.")],
    replace: Annotated[bool, typer.Option("--replace", help="Instead of everything imported before.")] = False,
    form: Annotated[
        Form | None, typer.Option("--format", help="By the file's name if left out.", **terminal.one_of(Form))
    ] = None,
    category: Annotated[str, typer.Option(help="A code, for words that have none of their own.")] = "",
) -> None:
    """Take terms from a file, and make every worker use them within two seconds."""
    from gateway.memory import no_collection  # first: what is imported below is looked through for nothing as well

    with terminal.problems(), no_collection():
        settings = load_settings()
        with terminal.working(f"reading {file}"):
            terms = lexicon_files.read(file, form, category)
        with open_store(settings) as store, terminal.working(f"storing {terminal.counted(len(terms), 'term')}"):
            by = on_this_machine()
            with changing_terms(settings, store):
                kept = partial(store.terms.replace, keep=True)  # they are compiled next
                put = kept if replace else partial(store.terms.upsert, action="import")
                revision = put(terms, by=by)
            count = store.terms.count()
        unscored = second_opinion.unscored(terms)
    done = "replaced all by" if replace else "imported"
    active = f"{terminal.counted(count, 'imported term')} {'is' if count == 1 else 'are'} active"
    terminal.say(f"{done} {terminal.counted(len(terms), 'term')}; {active} (revision {revision})")
    if unscored:
        terminal.note(f"sluice: {second_opinion.warning(unscored)}")


@app.command()
def export(
    output: Annotated[Path | None, typer.Argument(help="File to write; stdout if left out or -.")] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="By the file's name if left out, else CSV.", **terminal.one_of(Format)),
    ] = None,
    shipped: Annotated[bool, typer.Option("--shipped", help="The terms that come with Sluice instead.")] = False,
) -> None:
    """Write the imported terms as `import` reads them."""
    with terminal.problems():
        if shipped:
            from gateway.sources import shipped_terms

            terms: Sequence[Term] = shipped_terms()
        else:
            with open_store(load_settings()) as store:
                terms = store.terms.all()
        text = lexicon_files.write(terms, form or lexicon_files.form_of(output))
    count = terminal.counted(len(terms), "term")
    if output is None or str(output) == "-":
        typer.echo(text, nl=False)
        terminal.note(f"{count} to stdout")
        return
    lexicon_files.save(output, text)
    terminal.note(f"{count} to {output}")


@app.command("list")
def list_terms(
    *,
    category: Annotated[str | None, typer.Option(help="A code; A1.h holds A1.h.drugs too.")] = None,
    q: Annotated[str | None, typer.Option("--q", help="Part of the term.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List imported terms."""
    from filters.lexicon import term_fields

    with terminal.problems(), open_store(load_settings()) as store:
        page = store.terms.list(category=category, q=q, limit=limit)
        count = store.terms.count()
    if as_json:
        terminal.say_json([{"id": item.id, **term_fields(item.term)} for item in page.items])
        return
    lexicon_files.print_terms([item.term for item in page.items], [item.id for item in page.items])
    terminal.note(f"{len(page.items)} of {terminal.counted(count, 'imported term')}")
