"""`ringback register`: register an address, and keep it registered until Ctrl-C."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringback.cli.agents import (
    AccountsFile,
    As,
    Authorities,
    Expires,
    Insecure,
    ListenAt,
    PasswordFromInput,
    Proxy,
    Registrar,
    Transport,
    account_of,
)
from ringback.cli.phone import run_until_interrupted
from ringback.errors import ParseError

if TYPE_CHECKING:
    from ringback.ua.account import Account
    from ringback.ua.agent import UserAgent
    from ringback.ua.registration import FlowRegistration, RegistrationChange

__all__ = ["register"]


def register(
    address: Annotated[str, typer.Argument(help="The address, such as sip:alice@example.org.")] = "",
    name: As = "",
    accounts: AccountsFile = None,
    password_stdin: PasswordFromInput = False,
    registrar: Registrar = "",
    proxy: Proxy = None,
    transport: Transport = "",
    expires: Expires = None,
    tls_ca: Authorities = None,
    tls_insecure: Insecure = False,
    listen: ListenAt = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one line for each change.")] = False,
) -> None:
    """Register an address, say what the registrar has, keep it registered until Ctrl-C, and take it back."""
    account = account_of(
        address,
        name,
        accounts,
        password_stdin,
        registrar=registrar,
        proxy=proxy,
        transport=transport,
        expires=expires,
        authorities=tls_ca,
        insecure=tls_insecure,
        listen=listen,
        register=True,
    )
    run_until_interrupted(_keep(account, as_json))
    _say([json.dumps({"state": "off"})] if as_json else ["ended"])


async def _keep(account: Account, as_json: bool) -> int:
    from ringback.ua.agent import UserAgent

    async with UserAgent(account) as agent:
        _say(_all(agent) if as_json else [line for flow in _flows(agent) for line in lines(flow)])
        if not as_json:
            _say(["Ctrl-C ends the registration."])
        last = {flow.server.text: flow.change() for flow in _flows(agent)}
        async for change in agent.changes():
            if _tells(last.get(change.server), change):
                _say([json.dumps(asdict(change))] if as_json else [told(change)])
            last[change.server] = change
    return 0


def _flows(agent: UserAgent) -> list[FlowRegistration]:
    return list(agent.registration.flows) if agent.registration is not None else []


def lines(flow: FlowRegistration) -> list[str]:
    """What people read of one registration."""
    change = flow.change()
    grant = flow.it.grant
    if grant is None or not flow.it.is_registered:
        return [told(change)]
    shown = [
        ("registered", f"{flow.it.aor} at {change.server} for {change.expires} s"),
        ("contact", change.contact),
        ("GRUU", grant.public_gruu),
        ("temporary", grant.temporary_gruu),
        ("outbound", "in use: it is reached over the connection that it has opened" if grant.outbound else ""),
        ("route", ", ".join(grant.service_route)),
        ("identities", ", ".join(grant.associated)),
        ("bindings", ""),
    ]
    out = [f"{title:<14}{_plain(text)}" for title, text in shown if text]
    for number, binding in enumerate(grant.bindings):
        out.append(f"{'' if number else 'bindings':<14}{_plain(_without_gruus(binding))}")
    return out


def told(change: RegistrationChange) -> str:
    """One line for a change."""
    why = f"{change.status} {change.reason}".strip() if change.status else change.reason
    again = f"; again in {change.retry:.0f} s" if change.retry else ""
    said = f" for {change.expires} s" if change.expires else f": {why}{again}" if why else ""
    return _plain(f"{change.state:<14}{change.server}{said}")


def _tells(before: RegistrationChange | None, change: RegistrationChange) -> bool:
    """Whether a change is worth a line: not that a refresh begins, nor that it was as all before."""
    if change.state in ("registering", "refreshing", "ending", "off"):
        return False
    return before is None or (before.state, before.contact, before.status) != (
        change.state,
        change.contact,
        change.status,
    )


def _all(agent: UserAgent) -> list[str]:
    found: list[str] = []
    for flow in _flows(agent):
        values: dict[str, Any] = {"address": flow.it.aor, **asdict(flow.change())}
        grant = flow.it.grant
        if grant is not None:
            values |= {
                "public_gruu": grant.public_gruu,
                "temporary_gruu": grant.temporary_gruu,
                "outbound": grant.outbound,
                "service_route": grant.service_route,
                "associated": grant.associated,
                "bindings": grant.bindings,
            }
        found.append(json.dumps(values))
    return found


def _without_gruus(binding: str) -> str:
    """A binding without the parameters that have lines of their own."""
    from ringback.sip.grammar import split_parameters

    try:
        parts = split_parameters(binding)
    except ParseError:
        return binding
    return ";".join(part for part in parts if not part.strip().lower().startswith(("pub-gruu", "temp-gruu")))


def _plain(text: str) -> str:
    """Text of a peer without what would steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _say(what: list[str]) -> None:
    for line in what:
        print(line, flush=True)
