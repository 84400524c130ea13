"""`ringback call`: call somebody, play and record."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
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
from ringback.cli.phone import (
    As,
    Codec,
    Encryption,
    Ice,
    Json,
    Reporter,
    account_for,
    run_until_interrupted,
)
from ringback.errors import ConfigurationError, ParseError, RingbackError

if TYPE_CHECKING:
    from ringback.sip.cause import Cause
    from ringback.ua.account import Account
    from ringback.ua.call import Call

__all__ = ["call"]


def call(
    target: Annotated[str, typer.Argument(help="Whom: a SIP URI, or a user of the account's domain.", metavar="URI")],
    as_account: As = "",
    accounts: AccountsFile = None,
    password_stdin: PasswordFromInput = False,
    registrar: Registrar = "",
    proxy: Proxy = None,
    transport: Transport = "",
    tls_ca: Authorities = None,
    tls_insecure: Insecure = False,
    play: Annotated[Path | None, typer.Option(help="A WAV file to play; then hang up, unless recording.")] = None,
    record: Annotated[Path | None, typer.Option(help="The WAV file for what is heard.")] = None,
    seconds: Annotated[float, typer.Option(help="Hang up after so long; 0: when the other side does.")] = 0.0,
    ring_seconds: Annotated[float, typer.Option(help="How long it may ring.")] = 60.0,
    digits: Annotated[str, typer.Option(help="DTMF to send when it is answered.")] = "",
    transfer: Annotated[str, typer.Option(help="Where to send the other side at the end.", metavar="URI")] = "",
    codec: Codec = None,
    encryption: Encryption = "",
    ice: Ice = "",
    as_json: Json = False,
) -> None:
    """Call a SIP URI with any server, or directly."""
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
    )
    reporter = Reporter(as_json)
    try:
        whom, at_the_end = account.target(target), account.target(transfer) if transfer else ""
    except ParseError as error:
        raise ConfigurationError(f"nobody can be called like that: {error}") from error
    wishes = _Wishes(play, record, seconds, ring_seconds, digits, at_the_end)
    raise typer.Exit(run_until_interrupted(_call(account, whom, wishes, reporter)))


class _Wishes:
    """What is to be done once the call is answered."""

    def __init__(
        self, play: Path | None, record: Path | None, seconds: float, ring: float, digits: str, transfer: str
    ) -> None:
        self.play = play
        self.record = record
        self.seconds = seconds
        self.ring = ring
        self.digits = digits
        self.transfer = transfer


async def _call(account: Account, target: str, wishes: _Wishes, reporter: Reporter) -> int:
    from ringback.ua.agent import UserAgent
    from ringback.ua.failures import CallFailed

    async with UserAgent(account) as agent, await agent.dial(target) as call:
        reporter.say("calling", f"calling {target}", target=target)
        try:
            async with asyncio.timeout(wishes.ring):
                await call.answered()
        except TimeoutError:
            raise RingbackError(f"{target}: not answered within {wishes.ring:g} seconds") from None
        except CallFailed as failure:
            raise RingbackError(f"{target}: {failure}") from failure
        reporter.answered(call)
        try:
            await _talk(call, wishes, reporter)
        except CallFailed as failure:
            if call.cause is None:
                raise RingbackError(f"{target}: {failure}") from failure
        except BaseException:
            reporter.ended(call, call.cause or _interrupted())
            raise
        await call.hang_up()
        reporter.ended(call, await call.ended())
    return 0


def _interrupted() -> Cause:
    from ringback.sip.cause import LOCAL, Cause

    return Cause(0, "interrupted", LOCAL)


async def _talk(call: Call, wishes: _Wishes, reporter: Reporter) -> None:
    async with AsyncExitStack() as stack:
        if wishes.record is not None:
            await stack.enter_async_context(call.record(wishes.record, 16000))
        ended = asyncio.ensure_future(call.ended())
        stack.callback(ended.cancel)
        doing = asyncio.ensure_future(_say(call, wishes))
        stack.callback(doing.cancel)
        await asyncio.wait((doing, ended), return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
    if wishes.transfer and call.cause is None:
        await call.transfer(wishes.transfer)
        reporter.say("transferred", f"transferred to {wishes.transfer}", target=wishes.transfer)


async def _say(call: Call, wishes: _Wishes) -> None:
    """What we have to say, and then as long as is wished."""
    started = asyncio.get_running_loop().time()
    if wishes.digits:
        await call.send_digits(wishes.digits)
    if wishes.play is not None:
        await call.play(wishes.play)
    if wishes.seconds:
        await asyncio.sleep(max(0.0, started + wishes.seconds - asyncio.get_running_loop().time()))
    elif wishes.record is not None or (wishes.play is None and not wishes.transfer):
        await call.ended()
