"""``sluice serve``: start the gateway."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.commands import terminal
from gateway.commands.opened import load_settings

Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the data plane; 0 takes a free one.")]
AdminPort = Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the control plane.")]


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address of the data plane.")] = None,
    port: Port = None,
    admin_host: Annotated[str | None, typer.Option(help="Address of the control plane.")] = None,
    admin_port: AdminPort = None,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Data-plane processes on one port.")] = None,
    upstream: Annotated[str | None, typer.Option(help="Base URL of the model API; the built-in demo if unset.")] = None,
) -> None:
    """Start the gateway: data plane and control plane. Every option is a setting too (`sluice config`)."""
    with terminal.problems():
        from gateway.app import run
        from gateway.settings import read_value

        settings = load_settings().override(
            host=host,
            port=port,
            admin_host=admin_host,
            admin_port=admin_port,
            workers=workers,
            upstream=None if upstream is None else read_value("upstream", upstream),
        )
        run(settings, terminal.say)
