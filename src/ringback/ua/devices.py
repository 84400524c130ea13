"""Microphone and loudspeaker of this machine, through sounddevice (PortAudio), as the sound of calls.

    devices = Devices()                         LocalError where there are none, or no sounddevice
    attached = devices.attach(call.port)        we speak and hear; `attached.muted = True`: we only hear
    attached.detach()                           the streams are open only while something is attached

PortAudio calls back on a thread of its own. What the microphone gives waits in a bounded queue and is handed to the
loop with `call_soon_threadsafe`; what the calls give waits in a bounded queue for each, from which the loudspeaker's
callback takes. Where a side is late, the oldest sound is dropped and counted: nothing here grows late.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from ringback.errors import LocalError
from ringback.media.backend import AudioPort
from ringback.media.resample import Resampler
from ringback.media.samples import Samples, silence

__all__ = ["Attachment", "Devices", "sounddevice"]

#: Blocks of 20 ms that wait for the loop; more means that it stands still.
MOST_BLOCKS: Final = 10
#: Seconds of a call's sound that wait for the loudspeaker, and how much there has to be before it begins.
LONGEST: Final = 0.2
PRIMED: Final = 0.04
_BLOCKS_A_SECOND: Final = 50

Device = int | str | None


def sounddevice() -> Any:
    """The module sounddevice. Raises LocalError, which says what to install, when it or PortAudio is missing."""
    try:
        return importlib.import_module("sounddevice")
    except ImportError as error:
        raise LocalError("sounddevice is not installed: pip install 'ringback[devices]'") from error
    except OSError as error:
        raise LocalError(f"PortAudio is not installed (libportaudio2, or brew install portaudio): {error}") from error


class Devices:
    """The microphone and the loudspeaker of all calls that are attached: they hear the one and mix in the other.

    microphone, loudspeaker    their names; "" for one that is not there
    on_lost                    told, on the loop, when a device goes away during a call: why; all are detached then
    dropped                    blocks of the microphone's that the loop was too late for
    overflows                  how often the system says that it has lost sound itself, either way
    """

    def __init__(self, microphone: Device = None, loudspeaker: Device = None, *, module: Any = None) -> None:
        """Devices by number or name, as sounddevice has them; None: those of the system.

        `module` stands in for sounddevice. Raises LocalError when there is neither microphone nor loudspeaker.
        """
        self._module = sounddevice() if module is None else module
        self._input, self._output = microphone, loudspeaker
        self.microphone, self._input_rate = self._look(microphone, "input")
        self.loudspeaker, self._output_rate = self._look(loudspeaker, "output")
        if not self.microphone and not self.loudspeaker:
            raise LocalError("there is no sound device")
        self.on_lost: Callable[[str], None] | None = None
        self.dropped = 0
        self.overflows = 0
        self._attached: tuple[Attachment, ...] = ()
        self._streams: list[Any] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._captured: deque[bytes] = deque(maxlen=MOST_BLOCKS)
        self._told = False
        # Streams are numbered by their opening: the end of one that was closed is no loss.
        self._opening = 0

    def _look(self, device: Device, kind: str) -> tuple[str, int]:
        """The name of a device and its rate; ("", 0) when the system has none. Raises LocalError for a wrong one."""
        try:
            found = self._module.query_devices(device, kind)
            return str(found["name"]), int(found["default_samplerate"])
        except (ValueError, self._module.PortAudioError) as error:
            if device is not None:
                raise LocalError(f"{device}: no such {kind} device: {error}") from error
            return "", 0

    # attaching -------------------------------------------------------------------------------------------------------

    def attach(self, port: AudioPort) -> Attachment:
        """Let a call hear the microphone and be heard. On the loop; raises LocalError, and nothing is attached then."""
        attachment = Attachment(self, port, self._output_rate)
        self._attached = (*self._attached, attachment)
        if not self._streams:
            try:
                self._open()
            except BaseException:
                attachment.detach()
                raise
        return attachment

    def left(self, attachment: Attachment) -> None:
        """An attachment has ended."""
        self._attached = tuple([other for other in self._attached if other is not attachment])
        if not self._attached:
            self._close_streams()

    def close(self) -> None:
        """Detach all; may be called twice, and attached to again afterwards."""
        for attachment in self._attached:
            attachment.detach()

    def _open(self) -> None:
        module = self._module
        self._loop = asyncio.get_running_loop()
        self._opening += 1
        opening = self._opening

        def finished() -> None:
            self._hand_over(lambda: self._finished(opening))

        kinds: list[tuple[str, Any, Device, int, Callable[..., None]]] = []
        if self.microphone:
            kinds.append((self.microphone, module.RawInputStream, self._input, self._input_rate, self._heard_here))
        if self.loudspeaker:
            kinds.append((self.loudspeaker, module.RawOutputStream, self._output, self._output_rate, self._wanted))
        for name, kind, device, rate, callback in kinds:
            try:
                stream = kind(
                    samplerate=rate,
                    blocksize=rate // _BLOCKS_A_SECOND,
                    device=device,
                    channels=1,
                    dtype="int16",
                    latency="low",
                    callback=callback,
                    finished_callback=finished,
                )
                self._streams.append(stream)
                stream.start()
            except (ValueError, module.PortAudioError) as error:
                self._close_streams()
                raise LocalError(f"{name}: can not be opened: {error}") from error

    def _close_streams(self) -> None:
        self._opening += 1
        streams, self._streams = self._streams, []
        for stream in streams:
            try:
                stream.close()
            except self._module.PortAudioError:
                pass  # it has gone already
        self._captured.clear()

    def _finished(self, opening: int) -> None:
        if opening != self._opening:
            return
        self.close()
        if self.on_lost is not None:
            self.on_lost("the sound device is gone")

    # on PortAudio's thread -------------------------------------------------------------------------------------------

    def _heard_here(self, data: Any, frames: int, time: Any, status: Any) -> None:
        """The microphone has a block."""
        if status:
            self.overflows += 1
        if len(self._captured) == MOST_BLOCKS:
            self.dropped += 1
        self._captured.append(bytes(data))
        # The loop clears the flag before it looks at the queue, so that no block is left lying.
        if not self._told:
            self._told = True
            self._hand_over(self._take_captured)

    def _wanted(self, out: Any, frames: int, time: Any, status: Any) -> None:
        """The loudspeaker wants a block."""
        if status:
            self.overflows += 1
        total: Any = None
        for attachment in self._attached:
            samples = attachment.take(frames)
            if samples is not None:
                total = samples.astype(np.int32) if total is None else total + samples
        if total is None:
            out[:] = bytes(2 * frames)
        else:
            out[:] = np.clip(total, -32768, 32767).astype(np.int16).tobytes()

    def _hand_over(self, what: Callable[[], None]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            pass  # the loop is closed: nobody listens any more

    # on the loop -----------------------------------------------------------------------------------------------------

    def _take_captured(self) -> None:
        self._told = False
        while self._captured:
            samples = np.frombuffer(self._captured.popleft(), dtype=np.int16)
            for attachment in self._attached:
                attachment.say(samples, self._input_rate)


class Attachment:
    """A call at the devices.

    muted    the call hears nothing of the microphone
    dropped  samples of the call that the loudspeaker was too late for
    """

    def __init__(self, devices: Devices, port: AudioPort, rate: int) -> None:
        self.port = port
        self.muted = False
        self.dropped = 0
        self._devices: Devices | None = devices
        self._rate = rate
        self._resampler: Resampler | None = None
        self._lock = threading.Lock()
        self._queue: deque[Samples] = deque()
        self._waiting = 0
        self._primed = False
        self._feed = port.feed()
        self._unsubscribe = port.subscribe(self.hear) if rate else None

    def detach(self) -> None:
        """Neither speak nor hear any more; may be called twice."""
        devices, self._devices = self._devices, None
        if devices is None:
            return
        self._feed.close()
        if self._unsubscribe is not None:
            self._unsubscribe()
        devices.left(self)

    def say(self, samples: Samples, rate: int) -> None:
        """The microphone has heard this; the feed converts it to the call's rate."""
        if not self.muted:
            self._feed.put(samples, rate)

    def hear(self, samples: Samples, rate: int) -> None:
        """The call has this for the loudspeaker."""
        if rate != self._rate:
            if self._resampler is None or self._resampler.from_rate != rate:
                self._resampler = Resampler(rate, self._rate)
            samples = self._resampler.process(samples)
        longest = int(LONGEST * self._rate)
        with self._lock:
            self._queue.append(samples)
            self._waiting += len(samples)
            while self._waiting > longest and len(self._queue) > 1:
                late = len(self._queue.popleft())
                self._waiting -= late
                self.dropped += late

    def take(self, count: int) -> Samples | None:
        """The next samples for the loudspeaker, filled up with silence; None when there are none (another thread)."""
        with self._lock:
            if not self._primed and self._waiting < PRIMED * self._rate:
                return None
            pieces: list[Samples] = []
            missing = count
            while missing and self._queue:
                piece = self._queue.popleft()
                if len(piece) > missing:
                    self._queue.appendleft(piece[missing:])
                    piece = piece[:missing]
                pieces.append(piece)
                missing -= len(piece)
            self._waiting -= count - missing
            # Run dry, it begins again with something in hand, so that one late frame makes one gap.
            self._primed = not missing
        if missing:
            pieces.append(silence(missing))
        return np.concatenate(pieces)
