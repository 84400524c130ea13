"""The calls of the screen and what a person can do with them; nothing in here knows what a screen is.

Whatever is asked for is begun and goes on by itself: what becomes of it is seen in the calls, and what fails is said.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from ringback.cli.screen.line import Line
from ringback.cli.screen.words import plain
from ringback.errors import RingbackError
from ringback.sip.cause import LOCAL, Cause
from ringback.ua.agent import UserAgent
from ringback.ua.call import Call
from ringback.ua.devices import Devices
from ringback.ua.failures import CallFailed

__all__ = ["MOST_ENDED", "MOST_LIVE", "Switchboard"]

#: Calls at a time; who calls then is told that we are busy. Calls that have ended and are still shown.
MOST_LIVE: Final = 16
MOST_ENDED: Final = 20


class Switchboard:
    """All calls of the screen, the newest last.

    changed   called when something is to be shown
    say       called with what a person has to be told
    arrived   called with a call that comes in
    sound     which devices there are, or why there is silence
    """

    def __init__(self, agent: UserAgent, devices: Devices | None = None, silence: str = "") -> None:
        """`silence` says why there are no devices."""
        self.agent = agent
        self.lines: list[Line] = []
        self.changed: list[Callable[[], None]] = []
        self.say: Callable[[str], None] = _nothing
        self.arrived: Callable[[Line], None] = _nothing
        self._devices = devices
        self._silence = silence
        self._number = 0
        if devices is not None:
            devices.on_lost = self._no_sound

    async def run(self) -> None:
        """Take calls until this is cancelled."""
        await self.agent.serve(self._come)

    @property
    def sound(self) -> str:
        """The devices, or why the calls are silent."""
        devices = self._devices
        if devices is None:
            return f"calls are silent: {self._silence or 'no sound device'}"
        microphone, loudspeaker = devices.microphone or "no microphone", devices.loudspeaker or "no loudspeaker"
        return microphone if microphone == loudspeaker else f"{microphone} / {loudspeaker}"

    @property
    def live(self) -> list[Line]:
        """The calls that have not ended."""
        return [line for line in self.lines if not line.is_over]

    def leave(self) -> None:
        """End all calls, at once."""
        for line in self.live:
            line.call.end(Cause(0, "", LOCAL))
            line.disconnect()

    def tick(self) -> None:
        """Several times a second: levels, durations, early media."""
        for line in self.live:
            line.connect()
        self.tell()

    def tell(self) -> None:
        """Have it shown."""
        for changed in self.changed:
            changed()

    # what a person does ----------------------------------------------------------------------------------------------

    def dial(self, target: str) -> None:
        """Call a URI, or a user of our domain. Whoever is spoken to is put on hold."""
        if len(self.live) >= MOST_LIVE:
            self.say(f"there are {MOST_LIVE} calls already")
        else:
            self._begin(self._dial(target), "dial")

    def answer(self, line: Line) -> None:
        """Take a call; whoever is spoken to is put on hold."""
        if line.rings_here and not line.answering:
            line.answering = True
            self._hold_others(line)
            self._begin(line.call.answer(), "answer")

    def reject(self, line: Line) -> None:
        """Refuse a call that rings (486): other devices of ours go on ringing."""
        if line.rings_here and not line.answering:
            line.call.reject(486)
            self.tell()

    def hang_up(self, line: Line) -> None:
        """End a call, whatever its state; one that rings here is refused."""
        if line.rings_here and not line.answering:
            self.reject(line)
        elif not line.is_over:
            self._begin(line.call.hang_up(), "hang up")

    def hold(self, line: Line) -> None:
        """Put the other side on hold, or take it from there."""
        if line.talks:
            self._begin(self._resume(line) if line.holding else self._hold(line), "hold")

    def mute(self, line: Line) -> None:
        """Let the other side not hear the microphone, or hear it again."""
        if not line.is_over:
            line.muted = not line.muted
            self.tell()

    def digits(self, line: Line, digits: str) -> None:
        """Send DTMF."""
        if line.talks:
            self._begin(line.call.send_digits(digits), "digits")

    def transfer(self, line: Line, target: str) -> None:
        """Send the other side to a URI, and leave (blind)."""
        if line.talks:
            self._begin(self._blind(line, target), "transfer")

    def connect(self, line: Line, other: Line) -> None:
        """Let the other sides of two calls talk to each other, and leave (attended)."""
        if line.talks and other.talks:
            self._begin(line.call.transfer(other.call), "transfer")

    # what comes of it ------------------------------------------------------------------------------------------------

    async def _dial(self, target: str) -> None:
        call = await self.agent.dial(target)
        line = self._add(call)
        self._hold_others(line)
        await self._follow(line)

    async def _come(self, call: Call) -> None:
        if len(self.live) >= MOST_LIVE:
            call.reject(486)
            return
        line = self._add(call)
        self.arrived(line)
        await self._follow(line)

    def _add(self, call: Call) -> Line:
        self._number += 1
        line = Line(self._number, call, self.agent.now(), self._no_sound)
        line.use(self._devices)
        self.lines.append(line)
        ended = [old for old in self.lines if old.is_over]
        for old in ended[: max(0, len(ended) - MOST_ENDED)]:
            self.lines.remove(old)
        self.tell()
        return line

    async def _follow(self, line: Line) -> None:
        """Keep up with a call until its end. A refusal is a normal end: it stands in the list."""
        call = line.call
        try:
            await call.answered()
            line.answered_at = self.agent.now()
            line.connect()
            self.tell()
            await call.ended()
        except CallFailed:
            pass  # said below
        finally:
            line.disconnect()
            line.ended_at = self.agent.now()
            if call.cause is not None and call.cause.status >= 300 and call.cause.by != LOCAL:
                self.say(f"{plain(call.remote_name)}: {call.cause.status} {plain(call.cause.reason)}")
            self.tell()

    async def _hold(self, line: Line) -> None:
        # At once, and not when the other side has agreed: what is said from now on is not for it.
        line.holding = True
        line.connect()
        try:
            await line.call.hold()
        except BaseException:
            line.holding = False
            line.connect()
            raise

    async def _resume(self, line: Line) -> None:
        await line.call.resume()
        line.holding = False
        line.connect()

    def _hold_others(self, line: Line) -> None:
        for other in self.live:
            if other is not line and other.talks and not other.holding:
                self._begin(self._hold(other), "hold")

    async def _blind(self, line: Line, target: str) -> None:
        await line.call.transfer(self.agent.account.target(target))

    def _no_sound(self, why: str) -> None:
        """The devices do not work: all go on silently."""
        if self._devices is None:
            return
        self._devices, self._silence = None, why
        for line in self.live:
            line.use(None)
        self.say(f"calls are silent: {plain(why)}")
        self.tell()

    def _begin(self, work: Awaitable[None], name: str) -> None:
        self.agent.spawn(self._guarded(work), name)

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except RingbackError as error:
            self.say(plain(str(error)))
        finally:
            self.tell()


def _nothing(what: object) -> None:
    """Nobody looks yet."""
