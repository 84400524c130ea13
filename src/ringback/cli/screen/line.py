"""One call on the screen: what the call itself does not know of it, and its place at the microphone and loudspeaker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ringback.errors import LocalError
from ringback.media.backend import Levels
from ringback.media.quality import Report
from ringback.ua.call import Call
from ringback.ua.devices import Attachment, Devices

__all__ = ["Line"]

_SILENT: Final = Levels(-127.0, -127.0)


class Line:
    """A call on the screen.

    number      its number since the screen was opened
    answering   we have said that we take it
    holding     we have put the other side on hold: it is neither heard nor spoken to
    began, answered_at, ended_at    on the loop's clock; None: not yet
    """

    def __init__(self, number: int, call: Call, now: float, failed: Callable[[str], None]) -> None:
        """`failed` is told when there is no sound although there are devices."""
        self.number = number
        self.call = call
        self.answering = False
        self.holding = False
        self.began = now
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self._muted = False
        self._failed = failed
        self._devices: Devices | None = None
        self._attached: Attachment | None = None
        self._last: Sequence[Report] = ()
        call.moved.append(self._moved)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.call.cause is not None

    @property
    def rings_here(self) -> bool:
        """Whether somebody calls us and nobody has answered yet."""
        return self.call.incoming and self.call.state == "ringing"

    @property
    def talks(self) -> bool:
        """Whether it is answered and lasts."""
        return self.call.state == "established"

    @property
    def muted(self) -> bool:
        """Whether the other side does not hear the microphone."""
        return self._muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._muted = muted
        if self._attached is not None:
            self._attached.muted = muted

    def seconds(self, now: float) -> float:
        """How long it has lasted since it was answered, or has been ringing; the clock stops at its end."""
        begun = self.began if self.answered_at is None else self.answered_at
        return (now if self.ended_at is None else self.ended_at) - begun

    def levels(self) -> Levels:
        """How loud it is, in both directions."""
        if self.is_over:
            return _SILENT
        try:
            return self.call.port.levels
        except LocalError:
            return _SILENT

    def quality(self) -> Sequence[Report]:
        """How it sounds, or did at last."""
        if not self.is_over:
            self._last = self.call.quality() or self._last
        return self._last

    # sound -----------------------------------------------------------------------------------------------------------

    def use(self, devices: Devices | None) -> None:
        """Speak and hear with these devices from now on; None: silently."""
        self.disconnect()
        self._devices = devices
        self.connect()

    def connect(self) -> None:
        """Be at the devices if there is something to hear, at the port that the call has now; else leave them."""
        devices, attached = self._devices, self._attached
        try:
            port = None if self.is_over or self.holding else self.call.port
        except LocalError:
            port = None
        if attached is not None and (attached.port is not port or devices is None):
            self.disconnect()
            attached = None
        # What a caller hears before we answer is not for the microphone.
        if port is None or attached is not None or devices is None or self.rings_here:
            return
        try:
            self._attached = devices.attach(port)
            self._attached.muted = self._muted
        except LocalError as error:
            self._devices = None
            self._failed(str(error))

    def _moved(self) -> None:
        """Somebody else is at the other end, whom nobody has put on hold."""
        self.holding = False
        self.connect()

    def disconnect(self) -> None:
        """Leave the devices."""
        attached, self._attached = self._attached, None
        if attached is not None:
            attached.detach()
