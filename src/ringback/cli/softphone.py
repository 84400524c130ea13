"""`ringback softphone`: a phone on the screen of a terminal."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.cli.agents import (
    AccountsFile,
    Authorities,
    Insecure,
    PasswordFromInput,
    Proxy,
    Registrar,
    Transport,
)
from ringback.cli.answer import DEFAULT_PLACE
from ringback.cli.phone import As, Codec, Encryption, Ice, account_for, handled
from ringback.errors import LocalError

if TYPE_CHECKING:
    from ringback.cli.screen.contacts import Contacts
    from ringback.ua.account import Account
    from ringback.ua.devices import Devices

__all__ = ["softphone"]


def softphone(
    as_account: As = "",
    accounts: AccountsFile = None,
    password_stdin: PasswordFromInput = False,
    registrar: Registrar = "",
    proxy: Proxy = None,
    transport: Transport = "",
    tls_ca: Authorities = None,
    tls_insecure: Insecure = False,
    listen: Annotated[
        list[str] | None, typer.Option(help=f"Where to be reached; without an account {DEFAULT_PLACE}.")
    ] = None,
    contacts: Annotated[
        Path | None, typer.Option(help="The contacts file (TOML); contacts.toml beside the accounts file.")
    ] = None,
    microphone: Annotated[str, typer.Option(help="The microphone, by name or number; that of the system.")] = "",
    loudspeaker: Annotated[str, typer.Option(help="The loudspeaker, by name or number; that of the system.")] = "",
    silent: Annotated[bool, typer.Option("--silent", help="Use neither microphone nor loudspeaker.")] = False,
    codec: Codec = None,
    encryption: Encryption = "",
    ice: Ice = "",
) -> None:
    """A phone on this terminal: contacts, calls, levels and quality."""
    _textual()
    from ringback.cli.screen.contacts import Contacts, contacts_file
    from ringback.ua.accounts import accounts_file

    nobody = not as_account and accounts is None and not accounts_file().exists()
    account = account_for(
        as_account,
        accounts,
        password_stdin,
        {"codecs": codec, "encryption": encryption, "ice": ice},
        registrar=registrar,
        proxy=proxy,
        transport=transport,
        authorities=tls_ca,
        insecure=tls_insecure,
        listen=listen or ([DEFAULT_PLACE] if nobody else []),
    )
    book = Contacts(contacts or contacts_file(accounts or accounts_file()))
    devices, silence = (None, "--silent") if silent else _devices(microphone, loudspeaker)
    asyncio.run(_show(account, book, devices, silence))


def _textual() -> None:
    """Raises LocalError, which says what to install, when textual is missing."""
    try:
        import textual  # noqa: F401
    except ImportError as error:
        raise LocalError("the screen needs textual: pip install 'ringback[softphone]'") from error


def _devices(microphone: str, loudspeaker: str) -> tuple[Devices | None, str]:
    """The devices, or why there are none: calls are silent then. One that is named and is not there is a mistake."""
    from ringback.ua.devices import Devices

    try:
        return Devices(_device(microphone), _device(loudspeaker)), ""
    except LocalError as error:
        if microphone or loudspeaker:
            raise
        return None, str(error)


def _device(name: str) -> int | str | None:
    return int(name) if name.isascii() and name.isdigit() else name or None


async def _show(account: Account, contacts: Contacts, devices: Devices | None, silence: str) -> None:
    from ringback.cli.screen.app import Softphone
    from ringback.cli.screen.switchboard import Switchboard
    from ringback.ua.agent import UserAgent

    async with UserAgent(account) as agent:
        app = Softphone(Switchboard(agent, devices, silence), contacts)
        # Left in order: the terminal is as it was, and calls are hung up.
        with handled((signal.SIGTERM, signal.SIGHUP), app.exit):
            await app.run_async()
