"""The plain refresh of a registration: what a registrar is asked most, answered with little work.

`refresh` gives what `binding.apply` would give, or None for every request that is not that plain: then the long way is
taken. It may be brief because the stored URI was checked when it was stored.
"""

from __future__ import annotations

from ringback.sip.headers import Via
from ringback.sip.message import Headers, Request
from ringback.sip.outbound import encode_flow_token, is_first_hop, names_source
from ringback.sip.registrar import (
    LONGEST_USER_AGENT,
    MOST_Q,
    REFRESHED,
    Binding,
    Change,
    Outcome,
    Policy,
    contact_value,
    finish,
    received_from,
)
from ringback.sip.transport import Flow, bracketed


def refresh(
    register: Request, current: list[Binding], now: float, policy: Policy, source: Flow, date: str
) -> Outcome | None:
    """The outcome for one `<uri>` with no parameter but expires, which is the text of a binding that is there."""
    names = register.names
    if names.count("contact") != 1 or "require" in names or "path" in names:
        return None
    value = register.value_at(names.index("contact"))
    end = value.find(">")
    if end < 0 or value[0] != "<":
        return None
    contact = value[1:end]
    place = -1
    for position, binding in enumerate(current):
        if binding.expires <= now or binding.instance:
            return None
        if binding.contact == contact:
            place = position
    if place < 0:
        return None
    old = current[place]
    if old.parameters or old.path or old.q != MOST_Q:
        return None
    requested = _plain_expires(register, value[end + 1 :], policy)
    if requested <= 0 or requested < policy.min_expires:
        return None
    call_id = register.call_id
    cseq = register.cseq.number
    if call_id == old.call_id and cseq <= old.cseq:
        return None
    agent = register.header("user-agent") or ""
    if len(agent) > LONGEST_USER_AGENT or len(call_id) > LONGEST_USER_AGENT:
        return None
    flow = received = ""
    if policy.flow_secret and is_first_hop(register):
        if source.transport == "UDP":
            direct = _is_direct(contact, register.via, source)
            if direct < 0:
                return None
        else:
            direct = 0
        if direct == 0:
            flow = encode_flow_token(policy.flow_secret, source)
            received = received_from(source)
    if old.flow and not flow and policy.refused is not None:
        # What was good behind a flow may not be where its URI leads.
        return None
    granted = requested if requested < policy.max_expires else policy.max_expires
    new = Binding(contact, now + granted, MOST_Q, call_id, cseq, "", 0, (), flow, received, "", agent, 0, now)
    rows = current.copy()
    rows[place] = new
    headers: Headers = [("Contact", contact_value(binding, now)) for binding in rows]
    finish(headers, policy, date)
    return Outcome(200, "", headers, rows, [Change(REFRESHED, new)], "refreshed")


def _plain_expires(register: Request, tail: str, policy: Policy) -> int:
    """The expiry asked for when `tail` follows the URI; -1 when there is more in it than `;expires=`."""
    if tail:
        digits = tail[9:]
        if not tail.startswith(";expires=") or len(digits) > 9 or not digits.isascii() or not digits.isdigit():
            return -1
        return int(digits)
    if "expires" not in register.names:
        return policy.default_expires
    text = register.value_at(register.names.index("expires"))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def _is_direct(contact: str, via: Via, source: Flow) -> int:
    """1 when a Contact is reached by its URI and not over its flow, 0 when not, -1 when it takes more to tell."""
    place, _, parameters = contact.partition(";")
    if parameters and "transport=" in parameters.lower():
        return -1
    place = place[place.rfind("@") + 1 :] if "@" in place else place.partition(":")[2]
    host = bracketed(source.host)
    if place == f"{host}:{source.port}" or (source.port == 5060 and place == host):
        return 1
    if place == host or place.startswith(f"{host}:"):
        # Another port of the same host.
        return 1 if names_source(via, source) else 0
    return 0
