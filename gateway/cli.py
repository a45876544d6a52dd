"""The ``sluice`` command. Each command's work is imported when it is called, so that every call starts fast."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from gateway.commands import check, config, keys, lexicon, migrate, policy, serve, violations
from gateway.terminal import fail

app = typer.Typer(
    name="sluice",
    help="A moderation gateway for generative AI: reads every prompt and every answer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("check")(check.check)
app.command("config")(config.config)
app.command("migrate")(migrate.migrate)
app.add_typer(policy.app, name="policy")
app.add_typer(lexicon.app, name="lexicon")
app.add_typer(violations.app, name="violations")
app.add_typer(keys.app, name="key")


class _Late(TyperGroup):
    """``sluice model``: its commands are read from ``models`` only when somebody asks for them."""
