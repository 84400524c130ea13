"""`ringback user`: the accounts of a domain. A running server knows of a change within a second."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Annotated

import typer

from ringback.cli.common import Config, Data, Place, place_of
from ringback.errors import ConfigurationError

__all__ = ["app"]

app = typer.Typer(name="user", help="Accounts: who may register and call.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The user's name: what stands before the @ of the address.")]
Domain = Annotated[str, typer.Option("--domain", help="The domain of the account.")]
Password = Annotated[
    str | None,
    typer.Option("--password", help="The password. Others on this machine may see it: --password-stdin is safer."),
]
FromInput = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@app.command("add")
def add(
    name: Name,
    domain: Domain = "",
    data: Data = None,
    config: Config = None,
    password: Password = None,
    password_stdin: FromInput = False,
) -> None:
    """Make an account."""
    place = place_of(domain, data, config)
    secret = _password(password, password_stdin)
    asyncio.run(_add(name, place, secret))


async def _add(name: str, place: Place, password: str) -> None:
    from ringback.server import accounts

    async with place.opened("accounts", new=True) as store:
        await accounts.add(store.accounts, name, place.domain, place.realm, password, time.time())
    print(f"added {name}@{place.domain}")


@app.command("password")
def set_password(
    name: Name,
    domain: Domain = "",
    data: Data = None,
    config: Config = None,
    password: Password = None,
    password_stdin: FromInput = False,
) -> None:
    """Give an account a new password."""
    place = place_of(domain, data, config)
    secret = _password(password, password_stdin)
    asyncio.run(_set_password(name, place, secret))


async def _set_password(name: str, place: Place, password: str) -> None:
    from ringback.server import accounts

    async with place.opened("accounts") as store:
        await accounts.set_password(store.accounts, name, place.domain, place.realm, password)
    print(f"{name}@{place.domain} has a new password")


@app.command("remove")
def remove(name: Name, domain: Domain = "", data: Data = None, config: Config = None) -> None:
    """Remove an account."""
    asyncio.run(_remove(name, place_of(domain, data, config)))


async def _remove(name: str, place: Place) -> None:
    async with place.opened("accounts") as store:
        if not await store.accounts.remove(name, place.domain):
            raise ConfigurationError(f"there is no account {name}@{place.domain}")
    print(f"removed {name}@{place.domain}")


@app.command("list")
def list_accounts(domain: Domain = "", data: Data = None, config: Config = None) -> None:
    """List the accounts, one a line; those of one domain with --domain."""
    asyncio.run(_list(place_of(domain, data, config, needs_domain=False)))


async def _list(place: Place) -> None:
    async with place.opened("accounts") as store:
        async for row in store.accounts.scan(place.domain or None):
            print(f"{row.user}@{row.domain}{'' if row.enabled else ' (disabled)'}")


def _password(given: str | None, from_input: bool) -> str:
    if (given is not None) == from_input:
        raise ConfigurationError("give either --password or --password-stdin")
    if given is not None:
        return given
    if sys.stdin is None:
        raise ConfigurationError("--password-stdin: standard input is closed")
    # As octets: a digest is made of octets, whatever the terminal's encoding is, and an argument comes like this too.
    line = sys.stdin.buffer.readline().decode("utf-8", "surrogateescape")
    return line.removesuffix("\n").removesuffix("\r")
