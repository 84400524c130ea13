"""What the commands share that are phones: which account, what is wanted of media, and what is printed of a call."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringback.cli.agents import ANONYMOUS, account_of
from ringback.errors import ConfigurationError

if TYPE_CHECKING:
    from ringback.sip.cause import Cause
    from ringback.ua.account import Account
    from ringback.ua.call import Call

__all__ = [
    "As",
    "Codec",
    "Encryption",
    "Ice",
    "Json",
    "Reporter",
    "account_for",
    "file_for",
    "handled",
    "run_until_interrupted",
]

As = Annotated[str, typer.Option("--as", help="An account by its name in the accounts file, or a SIP address.")]
Codec = Annotated[list[str] | None, typer.Option("--codec", help="A codec, best first; may be given several times.")]
Encryption = Annotated[str, typer.Option("--encryption", help="Of the sound: none, offer or require.")]
Ice = Annotated[str, typer.Option("--ice", help="none, accept, full or lite.")]
Json = Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")]


def account_for(name: str, file: Path | None, password_stdin: bool, media: dict[str, Any], **servers: Any) -> Account:
    """The account that a command is to use, with what its options say of media over it.

    `name` is one of the accounts file, a SIP address, or "": then the file's default when there is a file, else nobody.
    Raises ConfigurationError.
    """
    from ringback.media import codecs
    from ringback.ua.account import Account
    from ringback.ua.accounts import accounts_file

    is_address = name[:4].lower() == "sip:" or name[:5].lower() == "sips:"
    if not name and file is None and not accounts_file().exists():
        name, is_address = ANONYMOUS, True
    address, named = (name, "") if is_address else ("", name)
    account = account_of(address, named, file, password_stdin, **servers)
    given = {key: value for key, value in media.items() if value}
    for name in given.get("codecs", ()):
        if codecs.find(name) is None:
            there = ", ".join(dict.fromkeys(info.name for info in codecs.available()))
            raise ConfigurationError(f"--codec: {name!r} is not available here; there are {there}")
    return Account.of(**{**account.model_dump(by_alias=True, exclude_unset=True), **given})


class Reporter:
    """Prints what happens to a call, a line each, for people or as JSON."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def say(self, event: str, text: str = "", **values: Any) -> None:
        """`event` is a word; `text` says it to people, who get `event` when there is none."""
        if self._as_json:
            print(json.dumps({"event": event, **values}), flush=True)
        else:
            print(text or event, flush=True)

    def answered(self, call: Call) -> None:
        """A call is answered: how it sounds."""
        report = next(iter(call.quality()), None)
        codec = report.codec if report is not None else ""
        protection = call.media.encrypted or "not encrypted"
        self.say(
            "answered",
            f"answered by {call.remote}: {codec or 'no sound yet'}, {protection}",
            remote=call.remote,
            codec=codec,
            encrypted=call.media.encrypted,
        )

    def ended(self, call: Call, cause: Cause) -> None:
        """A call is over: why, and how it was."""
        for change in call.history:
            if change.kind != "ended":
                self.say("change", f"  {change.kind}: {change.reason} {change.details}".rstrip(), kind=change.kind,
                         reason=change.reason, details=change.details)  # fmt: skip
        for report in call.quality():
            self.say("quality", f"  {report}", direction=report.direction, codec=report.codec, mos=round(report.mos, 2),
                     loss=round(report.loss, 4), jitter=round(report.jitter, 1), packets=report.packets)  # fmt: skip
        reason = cause.reason or "hung up"
        self.say("ended", f"ended by {cause.by}: {reason}", by=cause.by, status=cause.status, reason=cause.reason)


def file_for(pattern: Path | None, number: int, remote: str) -> Path | None:
    """The file for a call's recording: `{n}` and `{from}` stand for its number and its caller.

    Who calls chooses his own name: of it only letters, digits, `.`, `-`, `_` and `@` go into the file's.
    """
    if pattern is None:
        return None
    caller = re.sub(r"[^A-Za-z0-9.@_-]", "_", remote.partition(":")[2])[:64].lstrip(".") or "unknown"
    return Path(str(pattern).replace("{n}", str(number)).replace("{from}", caller))


def run_until_interrupted(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine to its end; SIGINT and SIGTERM cancel it, so that calls are hung up in order. The exit code."""

    async def guarded() -> int:
        task = asyncio.ensure_future(main)
        with handled((signal.SIGINT, signal.SIGTERM), task.cancel):
            try:
                return await task
            except asyncio.CancelledError:
                return 0

    return asyncio.run(guarded())


@contextmanager
def handled(signals: Sequence[signal.Signals], call: Callable[[], object]) -> Iterator[None]:
    """Meanwhile `call` is called when one of the signals comes."""
    loop = asyncio.get_running_loop()
    for number in signals:
        loop.add_signal_handler(number, call)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
