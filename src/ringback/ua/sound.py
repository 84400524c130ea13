"""The sound of a call for people who write bots: play, record, listen, speak, digits.

It stays with the call while what is below changes: another codec, another device, another session after a transfer.
Whoever listens goes on listening.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from os import PathLike
from types import TracebackType
from typing import Final

from ringback.errors import LocalError
from ringback.media.backend import AudioPort
from ringback.media.playout import Source
from ringback.media.resample import Resampler
from ringback.media.samples import Samples, from_bytes
from ringback.media.wav import WavReader, WavWriter

__all__ = ["MOST_FRAMES", "MOST_WAITING", "CallSound", "Frames", "Recording"]

#: Frames that wait for somebody who listens; then the oldest is dropped.
MOST_FRAMES: Final = 250
#: Digits that wait for somebody who asks.
MOST_DIGITS: Final = 64
#: Seconds of sound that `send` lets wait before it waits itself.
MOST_WAITING: Final = 1.0


class Frames:
    """What is heard, one frame (20 ms as a rule) at a time: an asynchronous iterator that ends with the call.

    dropped  frames that nobody took in time
    """

    def __init__(self, rate: int, ended: Callable[[Frames], None]) -> None:
        self.rate = rate
        self.dropped = 0
        self._frames: deque[Samples] = deque()
        self._resampler: Resampler | None = None
        self._come = asyncio.Event()
        self._over = False
        self._ended = ended

    def __aiter__(self) -> Frames:
        return self

    async def __anext__(self) -> Samples:
        """The next frame: mono int16 at the rate asked for."""
        while not self._frames:
            if self._over:
                raise StopAsyncIteration
            self._come.clear()
            await self._come.wait()
        return self._frames.popleft()

    async def aclose(self) -> None:
        """Listen no more."""
        self.end()
        self._ended(self)

    def put(self, samples: Samples, rate: int) -> None:
        """A frame has been heard."""
        if rate != self.rate:
            if self._resampler is None or self._resampler.from_rate != rate:
                self._resampler = Resampler(rate, self.rate)
            samples = self._resampler.process(samples)
        if not len(samples):
            return
        if len(self._frames) >= MOST_FRAMES:
            self._frames.popleft()
            self.dropped += 1
        self._frames.append(samples)
        self._come.set()

    def end(self) -> None:
        """Nothing will come any more; what waits can still be taken."""
        self._over = True
        self._come.set()


class Recording:
    """A WAV file that grows with the call. `stop`, leaving the `async with`, or the end of the call complete it."""

    def __init__(self, writer: WavWriter, ended: Callable[[Recording], None]) -> None:
        self._writer: WavWriter | None = writer
        self._ended = ended

    async def __aenter__(self) -> Recording:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def put(self, samples: Samples, rate: int) -> None:
        """A frame has been heard. A disk that takes no more ends the recording, not the call."""
        writer = self._writer
        if writer is None:
            return
        try:
            writer.write(samples, rate)
        except (OSError, LocalError):
            self.stop()
            raise

    def stop(self) -> None:
        """Complete the file; nothing happens the second time."""
        writer, self._writer = self._writer, None
        if writer is not None:
            self._ended(self)
            writer.close()


class _Playing:
    """A source on its way through the queue, which can be taken back."""

    __slots__ = ("_source", "stopped")

    def __init__(self, source: Source) -> None:
        self._source = source
        self.stopped = False

    def read(self, count: int, rate: int) -> Samples:
        if self.stopped:
            return from_bytes(b"")
        return self._source.read(count, rate)


class CallSound:
    """Ears and mouth of one call, which it is mixed into."""

    def __init__(self) -> None:
        self._port: AudioPort | None = None
        self._unsubscribe: list[Callable[[], None]] = []
        self._frames: dict[Frames, None] = {}
        self._recordings: dict[Recording, None] = {}
        self._digits: deque[str] = deque(maxlen=MOST_DIGITS)
        self._digit_come = asyncio.Event()
        self._speaking: Resampler | None = None
        self._over = False

    # what is below ---------------------------------------------------------------------------------------------------

    def attach(self, port: AudioPort) -> None:
        """Hear and speak through this port from now on."""
        self.detach()
        self._port = port
        self._unsubscribe = [port.subscribe(self._heard), port.on_digit(self.digit_came)]

    def detach(self) -> None:
        """Hear and speak through nothing; what waited to be played is forgotten."""
        for end in self._unsubscribe:
            end()
        self._unsubscribe = []
        port, self._port = self._port, None
        if port is not None:
            port.playout.flush()

    def end_sound(self) -> None:
        """The call is over: iterators end, recordings are complete."""
        self._over = True
        self.detach()
        for frames in list(self._frames):
            frames.end()
        for recording in list(self._recordings):
            recording.stop()
        self._digit_come.set()

    def digit_came(self, digit: str) -> None:
        """A digit has been heard, or came by INFO."""
        self._digits.append(digit)
        self._digit_come.set()

    def _heard(self, samples: Samples, rate: int) -> None:
        for frames in list(self._frames):
            frames.put(samples, rate)
        for recording in list(self._recordings):
            recording.put(samples, rate)

    @property
    def port(self) -> AudioPort:
        """The port in use. Raises LocalError when there is no sound, yet or any more."""
        if self._port is None:
            raise LocalError("the call is over" if self._over else "there is no sound yet: the call is not answered")
        return self._port

    # hearing ---------------------------------------------------------------------------------------------------------

    def audio(self, rate: int = 16000) -> Frames:
        """What is heard from now on, as an asynchronous iterator of mono int16 arrays at `rate`; it ends with the call.

        Some seconds wait for a slow reader; then the oldest frames are dropped and counted.
        """
        frames = Frames(rate, self._forget_frames)
        if self._over:
            frames.end()
        else:
            self._frames[frames] = None
        return frames

    def record(self, path: str | PathLike[str], rate: int = 8000) -> Recording:
        """Write what is heard to a WAV file from now on. Raises LocalError when it cannot be written."""
        recording = Recording(WavWriter(path, rate), self._forget_recording)
        if self._over:
            recording.stop()
        else:
            self._recordings[recording] = None
        return recording

    def _forget_frames(self, frames: Frames) -> None:
        self._frames.pop(frames, None)

    def _forget_recording(self, recording: Recording) -> None:
        self._recordings.pop(recording, None)

    # speaking --------------------------------------------------------------------------------------------------------

    async def play(self, what: str | PathLike[str] | Source) -> bool:
        """Play a WAV file, or any source, to its end; False when it was flushed or the call ended before.

        Cancelled, it falls silent at once. Raises LocalError for a file that cannot be played.
        """
        port = self.port
        file = None
        if isinstance(what, (str, PathLike)):
            what = file = WavReader(what)
        source = _Playing(what)
        try:
            port.playout.play(source)
            return await self.mark()
        finally:
            source.stopped = True
            if file is not None:
                file.close()

    async def send_audio(self, samples: Samples | bytes, rate: int = 16000) -> None:
        """Speak: mono int16, as an array or as little-endian octets. Waits while more than a second waits to be played.

        Raises LocalError when the call has no sound.
        """
        if isinstance(samples, bytes):
            samples = from_bytes(samples)
        port = self.port
        if rate != port.rate:
            samples = self._converted(samples, rate, port.rate)
        early = len(port.playout) / port.playout.rate - MOST_WAITING
        if early > 0:
            await asyncio.sleep(early)
        self.port.playout.put(samples)

    def _converted(self, samples: Samples, rate: int, wanted: int) -> Samples:
        resampler = self._speaking
        if resampler is None or (resampler.from_rate, resampler.to_rate) != (rate, wanted):
            resampler = self._speaking = Resampler(rate, wanted)
        return resampler.process(samples)

    def flush(self) -> None:
        """Forget all that is still to be played: the caller has interrupted."""
        if self._port is not None:
            self._port.playout.flush()

    async def mark(self) -> bool:
        """Wait until all that was given to be played so far has been played; False when it was flushed."""
        told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def tell(reached: bool) -> None:
            if not told.done():
                told.set_result(reached)

        self.port.playout.mark(tell)
        return await told

    # digits ----------------------------------------------------------------------------------------------------------

    async def send_digits(self, digits: str, milliseconds: int = 100) -> None:
        """Send DTMF in the way that the call has agreed, and wait until it is sent. Raises LocalError: not a digit."""
        await asyncio.sleep(self.port.send_digits(digits, milliseconds))

    async def digits(self) -> AsyncIterator[str]:
        """The digits that the other side presses, one at a time, until the call ends."""
        while True:
            digit = await self._next_digit(None)
            if not digit:
                return
            yield digit

    async def gather(self, count: int = 0, terminators: str = "#", first: float = 10.0, between: float = 4.0) -> str:
        """The digits until there are `count` (0: any number), one of `terminators` comes, or time is up.

        first, between  seconds to wait for the first digit and for each further one
        The terminator is not part of the result. What was pressed before is taken, too.
        """
        if count < 0:
            raise LocalError(f"count is 0 or more, not {count}")
        got = ""
        while not count or len(got) < count:
            digit = await self._next_digit(between if got else first)
            if not digit or digit in terminators:
                break
            got += digit
        return got

    async def _next_digit(self, seconds: float | None) -> str:
        """The next digit; "" when none comes in time, or the call is over."""
        try:
            async with asyncio.timeout(seconds):
                while not self._digits and not self._over:
                    self._digit_come.clear()
                    await self._digit_come.wait()
        except TimeoutError:
            return ""
        return self._digits.popleft() if self._digits else ""
