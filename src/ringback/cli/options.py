"""`ringback options`: what the other side can do."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.cli.agents import (
    ANONYMOUS,
    AccountsFile,
    As,
    Authorities,
    Insecure,
    PasswordFromInput,
    Proxy,
    Transport,
    account_of,
)
from ringback.errors import RemoteError

if TYPE_CHECKING:
    from ringback.ua.account import Account
    from ringback.ua.capabilities import Capabilities

__all__ = ["options"]


def options(
    uri: Annotated[str, typer.Argument(help="Whom to ask: sip:bob@example.org, example.org, 192.0.2.1:5070 …")],
    name: As = "",
    accounts: AccountsFile = None,
    password_stdin: PasswordFromInput = False,
    proxy: Proxy = None,
    transport: Transport = "",
    tls_ca: Authorities = None,
    tls_insecure: Insecure = False,
    seconds: Annotated[float, typer.Option(help="How long to wait for an answer.", min=0.1, max=64)] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask what the other side can do: methods, extensions, codecs, encryption. Any SIP server or phone can be asked."""
    account = account_of(
        "" if name else ANONYMOUS,
        name,
        accounts,
        password_stdin,
        proxy=proxy,
        transport=transport,
        authorities=tls_ca,
        insecure=tls_insecure,
        register=False,
    )
    found = asyncio.run(_ask(account, uri, seconds))
    print(json.dumps(found.as_dict(), indent=2) if as_json else found.text())
    if found.status >= 300:
        raise typer.Exit(1)


async def _ask(account: Account, uri: str, seconds: float) -> Capabilities:
    from ringback.ua.agent import UserAgent

    async with UserAgent(account) as agent:
        try:
            async with asyncio.timeout(seconds):
                return await agent.options(uri)
        except TimeoutError:
            raise RemoteError(408, f"no answer from {uri} within {seconds:g} s") from None
