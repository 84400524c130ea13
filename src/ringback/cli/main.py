"""`ringback`: the commands and what they share. Errors are one line each on standard error, exit code 2 (or 1)."""

from __future__ import annotations

import sys

import typer

from ringback.cli.answer import answer
from ringback.cli.bindings import bindings
from ringback.cli.call import call
from ringback.cli.config import app as config
from ringback.cli.options import options
from ringback.cli.register import register
from ringback.cli.run import run
from ringback.cli.serve import serve
from ringback.cli.softphone import softphone
from ringback.cli.status import status
from ringback.cli.trace import trace
from ringback.cli.user import app as user
from ringback.cli.version import version
from ringback.errors import ConfigurationError, RingbackError

__all__ = ["app", "main"]

app = typer.Typer(
    name="ringback",
    help="A SIP server for a domain (registrar, location service, proxy), and phones for the command line.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (run, serve, bindings, status, trace, call, answer, register, options, softphone, version):
    app.command()(command)
for group in (user, config):
    app.add_typer(group)


def main() -> None:
    """Run the command line of this process and exit: 0 done, 1 failed, 2 a mistake of whoever called it."""
    try:
        app()
    except ConfigurationError as error:
        _complain(error)
        sys.exit(2)
    except RingbackError as error:
        _complain(error)
        sys.exit(1)


def _complain(error: RingbackError) -> None:
    for line in str(error).splitlines():
        print(f"ringback: {line}", file=sys.stderr)
