"""`ringback serve`: serve a domain until told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ringback.server.runtime import Server

__all__ = ["serve"]


def serve(
    domain: Annotated[list[str] | None, typer.Option(help="The domain to serve; may be given several times.")] = None,
    listen: Annotated[
        list[str] | None, typer.Option(help="Where to listen, such as udp:127.0.0.1:5060; may be given several times.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The folder for what is kept.")] = None,
    config: Annotated[Path | None, typer.Option(help="A configuration file (TOML).")] = None,
    no_web: Annotated[bool, typer.Option("--no-web", help="No metrics and no health over HTTP.")] = False,
) -> None:
    """Serve a SIP domain: registrar, location service and proxy."""
    from ringback.server.config import load
    from ringback.server.runtime import Server, run

    options: dict[str, Any] = {}
    if domain:
        options["domain"] = domain[0]
        if len(domain) > 1:
            options["domains"] = domain[1:]
    if listen:
        options["listen"] = listen
    if data is not None:
        options["data"] = data
    if no_web:
        options["web"] = {"enabled": False}
    run(Server(load(config, options), reload=lambda: load(config, options)), ready=_say_ready)


def _say_ready(server: Server) -> None:
    print(f"ringback: listening on {', '.join(server.places)}")
    print("ringback: ready", flush=True)
