"""What calls need of the agent that they belong to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from ringback.media.backend import MediaBackend, MediaPreferences
from ringback.sip.profile import Profile
from ringback.sip.user_agent import UserAgentCore

if TYPE_CHECKING:
    from ringback.ua.calls import Calls

__all__ = ["Host"]


class Host(Protocol):
    """The agent, as its calls see it.

    now              the loop's clock
    turn             send what there is to send, and tell what has happened, after what runs now
    spawn            run something as a task of the agent's: its errors are reported, and it ends with the agent
    preferences_for  what calls to and from a SIP URI may use; the local address is that towards it
    """

    @property
    def core(self) -> UserAgentCore: ...
    @property
    def profile(self) -> Profile: ...
    @property
    def media(self) -> MediaBackend: ...
    @property
    def calls(self) -> Calls: ...
    def now(self) -> float: ...
    def turn(self) -> None: ...
    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]: ...
    def preferences_for(self, target: str) -> MediaPreferences: ...
