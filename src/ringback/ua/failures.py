"""What calls raise."""

from __future__ import annotations

from ringback.errors import RemoteError
from ringback.sip.cause import Cause

__all__ = ["CallEnded", "CallFailed"]


class CallFailed(RemoteError):
    """A call, or a change of one, did not come about.

    status  the SIP status of the refusal, 408 when nothing was heard, 487 when it was given up here
    cause   all that is known of why: contacts of a redirection, seconds until a retry makes sense
    """

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.status, cause.reason)
        self.cause = cause

    def __reduce__(self) -> tuple[type[CallFailed], tuple[Cause]]:
        return CallFailed, (self.cause,)


class CallEnded(CallFailed):
    """The call was over before what was asked of it could be done."""
