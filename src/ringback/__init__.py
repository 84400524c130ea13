"""Ringback: a SIP server, a library of user agents and a SIP test kit on one pure protocol core.

    from ringback import UserAgent, Call          phones and bots: docs/user-agents.md
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from ringback._pure import compiled, install

# Before any other module of the package is imported: RINGBACK_PURE=1 decides which form of it that will be.
install()

if TYPE_CHECKING:
    from ringback.ua.account import Account
    from ringback.ua.accounts import load_accounts
    from ringback.ua.agent import UserAgent
    from ringback.ua.call import Call
    from ringback.ua.conversation import Conversation, connect
    from ringback.ua.failures import CallEnded, CallFailed
    from ringback.ua.registration import RegistrationFailed
    from ringback.ua.requests import RequestFailed

__version__ = "0.1.0"

__all__ = [
    "Account",
    "Call",
    "CallEnded",
    "CallFailed",
    "Conversation",
    "RegistrationFailed",
    "RequestFailed",
    "UserAgent",
    "__version__",
    "compiled",
    "connect",
    "load_accounts",
]

#: Where the public names come from. They are imported when they are asked for: a server needs no sound.
_HOMES: Final = {
    "Account": "ringback.ua.account",
    "Call": "ringback.ua.call",
    "CallEnded": "ringback.ua.failures",
    "CallFailed": "ringback.ua.failures",
    "Conversation": "ringback.ua.conversation",
    "RegistrationFailed": "ringback.ua.registration",
    "RequestFailed": "ringback.ua.requests",
    "UserAgent": "ringback.ua.agent",
    "connect": "ringback.ua.conversation",
    "load_accounts": "ringback.ua.accounts",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'ringback' has no attribute {name!r}")
    return getattr(import_module(home), name)
