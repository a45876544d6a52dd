"""The ``sluice`` command. Each command's work is imported when it is called, so that every call starts fast."""

from __future__ import annotations

import atexit
import gc
import os
from typing import Annotated

import typer

from gateway.commands import api, check, config, keys, lexicon, migrate, policy, serve, terminal, violations
from gateway.commands.opened import load_settings

app = typer.Typer(
    name="sluice",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        terminal.say(f"sluice {version('sluice')}")
        raise typer.Exit


@app.callback()
def sluice(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A moderation gateway for generative AI: reads every prompt and every answer."""


app.command("serve")(serve.serve)
app.command("check")(check.check)
app.command("config")(config.config)
app.command("migrate")(migrate.migrate)
app.add_typer(policy.app, name="policy")
app.add_typer(lexicon.app, name="lexicon")
app.add_typer(violations.app, name="violations")
app.add_typer(keys.app, name="key")
app.add_typer(api.app, name="api")


@app.command(
    "model", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def model(context: typer.Context) -> None:
    """Classifier models: list, card, train, evaluate, compare, promote, rollback, try."""
    from gateway.commands.classifier_trial import try_classifier
    from models.commands import app as commands

    if not any(command.name == "try" for command in commands.registered_commands):
        commands.command("try")(try_classifier)  # it needs the policy, of which ``models`` knows nothing
    with terminal.problems():
        # ``models`` knows nothing of the gateway's settings, so it is told the one that it needs
        os.environ.setdefault("SLUICE_DATA_DIR", str(load_settings().data_dir))
    commands(args=context.args, prog_name="sluice model")


def main() -> None:
    """The console script."""
    # The interpreter looks through everything once more before it ends, a tenth of a second of every command.
    atexit.register(gc.freeze)
    app(prog_name="sluice")
