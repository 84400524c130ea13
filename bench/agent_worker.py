"""A process with one user agent of ours, for the rows 13 to 15; `bench.agents` starts it and tells it what to do.

    python -m bench.agent_worker '{"port": 5070, "media": "fixed"}'

It answers every call. Commands come as lines of JSON on standard input, each is answered by one on standard output, and
the end of the input ends it. `media`: "fixed": descriptions that never change and no sound, so that a call costs what
signalling does, as with sipp; "process": the media of the process, and what is in `play` is said for ever.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

from bench.figures import quantile
from ringback import Call, UserAgent
from ringback.media.audio_port import Port
from ringback.media.backend import (
    CarriedStream,
    Change,
    Direction,
    MediaBackend,
    MediaError,
    MediaPreferences,
    Repairable,
)
from ringback.media.io.backend import InProcessMedia
from ringback.media.quality import Report
from ringback.media.samples import Samples
from ringback.media.wav import WavReader

DESCRIPTION = (
    b"v=0\r\no=user1 53655765 2353687637 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
"""What sipp's scenarios say, too."""
HOLD = 0.1
"""Seconds between answer and BYE, as in uac.xml."""


class FixedSession:
    """The media of a call that has none: a `MediaSession`."""

    def __init__(self, preferences: MediaPreferences) -> None:
        self.preferences = preferences
        self.audio = Port(8000, _raise, lambda digits, milliseconds: 0.0)
        self.changes: Sequence[Change] = ()
        self.direction: Direction = "sendrecv"
        self.held = False
        self.encrypted = ""
        self.on_change: Callable[[Change], None] | None = None
        self.on_repair: Repairable | None = None
        self.on_failure: Callable[[MediaError], None] | None = None

    async def offer(self, preferences: MediaPreferences | None = None, *, restart: bool = False) -> bytes:
        """The description."""
        return DESCRIPTION

    async def answer(self, offer: bytes, preferences: MediaPreferences | None = None) -> bytes:
        """The description."""
        return DESCRIPTION

    async def accept(self, answer: bytes) -> None:
        """Nothing is read: sipp reads nothing either."""

    @property
    def carried(self) -> Mapping[str, CarriedStream]:
        """None."""
        return {}

    def reports(self) -> Sequence[Report]:
        """None."""
        return ()

    async def close(self) -> None:
        """Nothing is open."""


class FixedMedia:
    """A `MediaBackend` of such sessions."""

    def open(self, preferences: MediaPreferences) -> FixedSession:
        """A session."""
        return FixedSession(preferences)

    async def close(self) -> None:
        """Nothing is open."""


def _raise(error: Exception) -> None:
    raise error


class Loop:
    """A recording that begins again at its end: a `Source`. It is read once for all calls."""

    def __init__(self, samples: Samples, rate: int) -> None:
        self._samples = samples
        self._rate = rate
        self._at = 0

    def read(self, count: int, rate: int) -> Samples:
        """The next samples. ValueError: it was not made for a codec of this rate."""
        if rate != self._rate:
            raise ValueError(f"a recording at {self._rate}/s for a codec at {rate}/s")
        if self._at + count > len(self._samples):
            self._at = 0
        self._at += count
        return self._samples[self._at - count : self._at]


class Last:
    """Takes part in the beat behind all calls: when the last frame of each beat has been sent.

    uvloop's clock has whole milliseconds; this is the one behind it.
    """

    def __init__(self) -> None:
        self.late: list[float] = []

    def receive(self, now: float) -> None:
        """Nothing is received."""

    def send(self, now: float) -> None:
        """All others have sent."""
        self.late.append(time.monotonic() - now)


class Worker:
    """The agent and its calls."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.play: str = settings.get("play", "")
        self.media: MediaBackend = InProcessMedia() if settings["media"] == "process" else FixedMedia()
        self.agent = UserAgent(
            "sip:bench@127.0.0.1",
            media=self.media,
            listen=[f"udp:127.0.0.1:{settings['port']}"],
            encryption="none",
            codecs=tuple(settings.get("codecs", ("PCMU",))),
            ice="none",
        )
        self.preferences = MediaPreferences(
            codecs=self.agent.account.codecs,
            encryption="none",
            ice="none",
            address="127.0.0.1",
            sample_rate=settings.get("sample_rate", 48000),
        )
        self._samples: Samples | None = None
        self._rate = 0
        self._last: Last | None = None
        self._talking: list[Call] = []
        self._listened: dict[Call, float] = {}
        if self.play:
            with WavReader(self.play) as reader:
                self._rate = reader.format.rate
                self._samples = reader.read(3600 * self._rate, self._rate)

    async def answered(self, call: Call) -> None:
        """Every call that comes in is answered at once, and talked to until the caller hangs up."""
        await call.answer()
        self._talk(call)
        await call.ended()

    def _talk(self, call: Call) -> None:
        if self._samples is not None:
            call.port.playout.play(Loop(self._samples, self._rate))

    # commands --------------------------------------------------------------------------------------------------------

    async def call(self, target: str, rate: float, count: int) -> dict[str, Any]:
        """Complete calls at a rate, each hung up by us."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        problems: list[str] = []

        async def one() -> None:
            try:
                async with asyncio.timeout(10), self.agent.call(target, preferences=self.preferences):
                    await asyncio.sleep(HOLD)
            except Exception as error:
                problems.append(f"{type(error).__name__}: {error}")

        async with asyncio.TaskGroup() as calls:
            for number in range(count):
                wait = began + number / rate - loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                calls.create_task(one())
        return {"failed": len(problems), "problem": problems[0] if problems else "", "seconds": loop.time() - began}

    async def talk(self, target: str, count: int) -> dict[str, Any]:
        """Begin calls that last."""

        async def one() -> Call:
            call = await self.agent.call(target, preferences=self.preferences)
            self._talk(call)
            return call

        # In groups: a phone that is called by a hundred at once is not what is measured.
        for first in range(0, count, 10):
            group = [one() for _ in range(first, min(count, first + 10))]
            self._talking += await asyncio.gather(*group)
        return {"talking": len(self._talking)}

    async def listen(self) -> dict[str, Any]:
        """From now on, hear how loud each call is at its loudest."""
        self._listened = {}
        for call in self._talking or self.agent.running:
            self._listened[call] = 0.0
            call.port.subscribe(self._ear(call))
        return {}

    def _ear(self, call: Call) -> Callable[[Samples, int], None]:
        def hear(samples: Samples, rate: int) -> None:
            self._listened[call] = max(self._listened[call], float(samples.max(initial=0)))

        return hear

    async def quality(self) -> dict[str, Any]:
        """How the calls are: the greatest loss of what we hear and of what the other side hears, the quietest call."""
        reports = [list(call.quality()) for call in self._listened]
        losses = [max(report.loss for report in both) for both in reports if both]
        return {
            "calls": len(self._listened),
            "told": sum(len(both) > 1 for both in reports),
            "loss": max(losses, default=1.0),
            "quietest": min(self._listened.values(), default=0.0),
            "codec": reports[0][0].codec if reports and reports[0] else "",
        }

    async def watch(self) -> dict[str, Any]:
        """Begin to note how late frames are, behind all calls that there are now."""
        assert isinstance(self.media, InProcessMedia)
        ticker = self.media.ticker
        if self._last is not None:
            ticker.leave(self._last)
        self._last = Last()
        ticker.join(self._last)
        ticker.lateness.clear()
        ticker.skipped = 0
        return {}

    async def lateness(self) -> dict[str, Any]:
        """Milliseconds after its time of the beginning and of the end of the beats since `watch`."""
        assert isinstance(self.media, InProcessMedia) and self._last is not None
        ticker = self.media.ticker
        shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
        return {
            "beats": len(self._last.late),
            "skipped": ticker.skipped,
            "begin": {name: quantile(ticker.lateness, share) * 1000 for name, share in shares.items()},
            "end": {name: quantile(self._last.late, share) * 1000 for name, share in shares.items()},
        }

    async def hang_up(self) -> dict[str, Any]:
        """End the calls that last."""
        calls, self._talking = self._talking, []
        await asyncio.gather(*(call.hang_up() for call in calls))
        return {"ended": len(calls)}

    async def running(self) -> dict[str, Any]:
        """How many calls there are."""
        return {"running": len(self.agent.running), "loop": type(asyncio.get_running_loop()).__module__}

    # ------------------------------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Do as told until the input ends."""
        commands: dict[str, Callable[..., Coroutine[Any, Any, dict[str, Any]]]] = {
            name: getattr(self, name)
            for name in ("call", "talk", "listen", "quality", "watch", "lateness", "hang_up", "running")
        }
        async with self.agent:
            serving = asyncio.ensure_future(self.agent.serve(self.answered))
            _tell({"ready": os.getpid()})
            async for line in _lines():
                order = json.loads(line)
                try:
                    _tell(await commands[order.pop("do")](**order))
                except Exception as error:
                    _tell({"error": f"{type(error).__name__}: {error}"})
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


def _tell(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


async def _lines() -> AsyncIterator[bytes]:
    """Standard input, a line at a time."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line


def main() -> None:
    """Run on uvloop where it is installed, as the server does."""
    settings = json.loads(sys.argv[1])

    async def run() -> None:
        await Worker(settings).serve()

    try:
        if settings.get("loop") == "asyncio":
            raise ImportError
        import uvloop
    except ImportError:
        asyncio.run(run())
    else:
        uvloop.run(run())


if __name__ == "__main__":
    main()
