"""What calls raise."""

from __future__ import annotations

from ringback.errors import ParseError, RemoteError
from ringback.media.backend import MediaError
from ringback.sip.cause import Cause

__all__ = ["CallEnded", "CallFailed", "status_of"]


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


def status_of(error: ParseError | MediaError) -> int:
    """The status that refuses a call for what cannot be read or negotiated, or for media that cannot be."""
    return error.status if isinstance(error, ParseError) else 488
