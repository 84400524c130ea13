"""`ringback answer`: take calls, play and record."""

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
    file_for,
    run_until_interrupted,
)
from ringback.errors import ConfigurationError

if TYPE_CHECKING:
    from ringback.ua.account import Account
    from ringback.ua.call import Call

__all__ = ["answer"]

#: Where direct calls are taken when nobody says.
DEFAULT_PLACE = "udp:127.0.0.1:5070"


def answer(
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
    play: Annotated[Path | None, typer.Option(help="A WAV file to play; then hang up, unless recording.")] = None,
    record: Annotated[
        Path | None, typer.Option(help="The WAV file for what is heard; {n} and {from} stand for number and caller.")
    ] = None,
    echo: Annotated[bool, typer.Option("--echo", help="Say what is heard.")] = False,
    after: Annotated[float, typer.Option(help="Seconds to ring before answering.")] = 0.0,
    early: Annotated[bool, typer.Option("--early", help="Let the caller hear us before the call is answered.")] = False,
    reject: Annotated[int, typer.Option(help="Refuse every call with this status.")] = 0,
    transfers: Annotated[bool, typer.Option("--transfers", help="Let callers transfer us.")] = False,
    once: Annotated[bool, typer.Option("--once", help="End after the first call.")] = False,
    codec: Codec = None,
    encryption: Encryption = "",
    ice: Ice = "",
    as_json: Json = False,
) -> None:
    """Take the calls of an account, or direct ones, until Ctrl-C."""
    if reject and not 300 <= reject <= 699:
        raise ConfigurationError(f"--reject: {reject} refuses nothing; allowed: 300 to 699")
    if play is not None and echo:
        raise ConfigurationError("give --play or --echo")
    places = listen or ([] if as_account or accounts else [DEFAULT_PLACE])
    account = account_for(
        as_account,
        accounts,
        password_stdin,
        {"codecs": codec, "encryption": encryption, "ice": ice, "transfers": transfers},
        registrar=registrar,
        proxy=proxy,
        transport=transport,
        authorities=tls_ca,
        insecure=tls_insecure,
        listen=places,
    )
    answering = _Answering(Reporter(as_json), play, record, echo, after, early, reject)
    raise typer.Exit(run_until_interrupted(_answer(account, answering, once)))


async def _answer(account: Account, answering: _Answering, once: bool) -> int:
    from ringback.ua.agent import UserAgent

    async with UserAgent(account) as agent:
        text = f"registered as {agent.uri}" if agent.is_registered else f"ready for calls to {agent.contact}"
        answering.reporter.say("ready", text, uri=agent.uri, contact=agent.contact, registered=agent.is_registered)
        if not once:
            await agent.serve(answering.handle)
        async for call in agent.calls():
            await answering.handle(call)
            break
    return 0


class _Answering:
    """What is done with each call."""

    def __init__(
        self,
        reporter: Reporter,
        play: Path | None,
        record: Path | None,
        echo: bool,
        after: float,
        early: bool,
        reject: int,
    ) -> None:
        self.reporter = reporter
        self._play = play
        self._record = record
        self._echo = echo
        self._after = after
        self._early = early
        self._reject = reject
        self._number = 0

    async def handle(self, call: Call) -> None:
        """One call, from its ringing to its end."""
        self._number += 1
        number = self._number
        self.reporter.say("incoming", f"call {number} from {call.remote_name}", number=number, remote=call.remote)
        try:
            if self._reject:
                call.reject(self._reject)
            else:
                await self._take(call, number)
        finally:
            self.reporter.ended(call, call.cause or await call.ended())

    async def _take(self, call: Call, number: int) -> None:
        if self._early:
            await call.early_media()
        if self._after:
            await asyncio.wait((asyncio.ensure_future(call.ended()),), timeout=self._after)
        await call.answer()
        self.reporter.answered(call)
        async with AsyncExitStack() as stack:
            file = file_for(self._record, number, call.remote)
            if file is not None:
                await stack.enter_async_context(call.record(file, 16000))
            if self._play is not None:
                await call.play(self._play)
            if self._echo:
                async for frame in call.audio(16000):
                    await call.send_audio(frame, 16000)
            elif file is not None or self._play is None:
                await call.ended()
        await call.hang_up()
