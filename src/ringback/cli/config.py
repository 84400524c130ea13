"""`ringback config`: look at a configuration without serving."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(name="config", help="The configuration.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """The configuration."""


@app.command("check")
def check(file: Annotated[Path, typer.Argument(help="The configuration file.")] = Path("ringback.toml")) -> None:
    """Check a configuration file, the variables that override it, and the certificates that it names."""
    from ringback.net.tls import ClientTls, ServerTls
    from ringback.server.config import load

    settings = load(file)
    tls = settings.tls
    if tls.certificate is not None and tls.key is not None:
        server = ServerTls(
            tls.certificate, tls.key, client_authorities=tls.client_ca, require_client=tls.require_client
        )
        print(
            f"{tls.certificate}: for {', '.join(server.names) or 'no domain'}, good until {server.not_after:%Y-%m-%d}"
        )
    if tls.ca is not None:
        ClientTls(tls.ca)
    print(f"{file}: nothing is wrong; it serves {', '.join(settings.served)}")
