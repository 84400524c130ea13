"""WAV files: read as mono at any rate, written as 16-bit PCM, both a piece at a time.

`WavReader` is a source for the playout queue. It reads PCM of 8, 16, 24 and 32 bits, floating point of 32 and 64 bits,
A-law and µ-law, of any sampling rate and up to 32 channels, which are mixed down. What it cannot read it refuses with a
LocalError that says what is in the file, and what may be.

`WavWriter` keeps the file valid: the samples of every half second are followed by a header that counts them, so that
whatever ends the process leaves a recording that can be played.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from ringback.errors import LocalError
from ringback.media.codecs import pcma, pcmu
from ringback.media.resample import HIGHEST_RATE, LOWEST_RATE, Resampler
from ringback.media.samples import Samples, silence, to_bytes

__all__ = ["WavFormat", "WavReader", "WavWriter"]

_CHUNK: Final = struct.Struct("<4sI")
_FORMAT: Final = struct.Struct("<HHIIHH")
_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")

_PCM: Final = 1
_FLOAT: Final = 3
_ALAW: Final = 6
_ULAW: Final = 7
#: The real format is in the first octets of a GUID.
_EXTENSIBLE: Final = 0xFFFE
_EXTENSIBLE_LENGTH: Final = 40
_GUID_AT: Final = 24

_MOST_CHANNELS: Final = 32
#: Chunks before the sound, and octets of a format chunk that are looked at.
_MOST_CHUNKS: Final = 1000
_MOST_FORMAT: Final = 4096
#: A file that is still being written has one of these for the length of its sound.
_UNKNOWN_LENGTHS: Final = (0, 0xFFFFFFFF, 0x7FFFFFFF)
_ALLOWED: Final = "PCM of 8, 16, 24 or 32 bits, float of 32 or 64 bits, A-law and µ-law"

_Decode = Callable[[bytes], NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class WavFormat:
    """What is in a file: "PCM", "float", "A-law" or "µ-law", bits a sample, samples a second, channels."""

    encoding: str
    bits: int
    rate: int
    channels: int

    @property
    def frame(self) -> int:
        """Octets of one sample of all channels."""
        return self.bits // 8 * self.channels


def _unsigned8(data: bytes) -> NDArray[np.generic]:
    return (np.frombuffer(data, dtype=np.uint8).astype(np.int16) - 128) << 8


def _signed16(data: bytes) -> NDArray[np.generic]:
    return np.frombuffer(data, dtype="<i2")


def _signed24(data: bytes) -> NDArray[np.generic]:
    # The upper 16 bits of each three octets.
    octets = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
    return np.ascontiguousarray(octets[:, 1:]).view("<i2").ravel()


def _signed32(data: bytes) -> NDArray[np.generic]:
    return np.frombuffer(data, dtype="<i4") >> 16


def _floating(kind: str) -> _Decode:
    def decode(data: bytes) -> NDArray[np.generic]:
        # What is no number is silence, what is too loud is held at full scale.
        values = np.nan_to_num(np.frombuffer(data, dtype=kind).astype(np.float64), posinf=1.0, neginf=-1.0)
        return np.clip(np.rint(np.clip(values, -1.0, 1.0) * 32768.0), -32768, 32767)

    return decode


def _companded(table: Samples) -> _Decode:
    def decode(data: bytes) -> NDArray[np.generic]:
        return table[np.frombuffer(data, dtype=np.uint8)]

    return decode


_DECODERS: Final[dict[tuple[int, int], tuple[str, _Decode]]] = {
    (_PCM, 8): ("PCM", _unsigned8),
    (_PCM, 16): ("PCM", _signed16),
    (_PCM, 24): ("PCM", _signed24),
    (_PCM, 32): ("PCM", _signed32),
    (_FLOAT, 32): ("float", _floating("<f4")),
    (_FLOAT, 64): ("float", _floating("<f8")),
    (_ALAW, 8): ("A-law", _companded(pcma.EXPAND)),
    (_ULAW, 8): ("µ-law", _companded(pcmu.EXPAND)),
}


class WavReader:
    """Reads a file from its beginning to its end: a source for the playout queue, or `frames`.

    Takes a path, or a file opened for reading octets (which the caller closes). Raises LocalError when it is no WAV
    file, or one of another kind, and OSError when it cannot be read.

    format  what is in the file
    length  samples (of one channel, at the file's rate) by the header, or None when it does not say
    """

    def __init__(self, file: str | PathLike[str] | BinaryIO) -> None:
        self._name, self._file, self._ours = _opened(file, "rb")
        try:
            self.format, self._decode, size = self._read_header()
        except BaseException:
            self.close()
            raise
        self.length = None if size is None else size // self.format.frame
        #: Octets of sound that may be read still.
        self._left = size
        self._resampler = Resampler(self.format.rate, self.format.rate)
        #: What is converted and was not asked for yet.
        self._ready = silence(0)
        self._ended = False

    @property
    def duration(self) -> float | None:
        """Seconds by the header, or None when it does not say."""
        return None if self.length is None else self.length / self.format.rate

    def read(self, count: int, rate: int) -> Samples:
        """The next samples at `rate` a second: `count`, fewer at the end and none after it. Raises OSError."""
        if rate != self._resampler.to_rate:
            self._change_rate(rate)
        pieces, missing = [self._ready], count - len(self._ready)
        while missing > 0 and not self._ended:
            # A tenth of a second at a time, or what is missing when that is more.
            wanted = max(missing * self.format.rate // rate + 1, self.format.rate // 10)
            samples = self._samples(wanted)
            pieces.append(self._resampler.process(samples) if len(samples) else self._resampler.finish())
            self._ended = not len(samples)
            missing -= len(pieces[-1])
        ready = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        self._ready = ready[count:]
        if self._ended and not len(self._ready):
            self.close()
        return ready[:count]

    def frames(self, rate: int, milliseconds: int = 20) -> Iterator[Samples]:
        """All that is left in frames of that length, the last one filled up with silence."""
        count = rate * milliseconds // 1000
        while len(frame := self.read(count, rate)):
            yield frame if len(frame) == count else np.concatenate((frame, silence(count - len(frame))))

    def close(self) -> None:
        """Close the file, if it was opened here; may be called twice. Done by itself at the end."""
        self._ended = True
        if self._ours:
            self._file.close()

    def __enter__(self) -> WavReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _change_rate(self, rate: int) -> None:
        """Another codec in the middle of the file: what was converted already is converted once more."""
        old, self._resampler = self._resampler, Resampler(self.format.rate, rate)
        if self._ended and not len(self._ready):
            return
        converted = self._ready if self._ended else np.concatenate((self._ready, old.finish()))
        again = Resampler(old.to_rate, rate)
        self._ready = np.concatenate((again.process(converted), again.finish()))

    def _samples(self, count: int) -> Samples:
        """Up to so many samples as they are in the file, mixed down to one channel."""
        octets = count * self.format.frame
        if self._left is not None:
            octets = min(octets, self._left)
        data = self._file.read(octets) if octets else b""
        # A file that ends in the middle of a sample has ended before it.
        whole = len(data) // self.format.frame * self.format.frame
        if self._left is not None:
            self._left = self._left - whole if whole == octets else 0
        values = self._decode(data[:whole])
        channels = self.format.channels
        if channels > 1:
            values = np.rint(values.reshape(-1, channels).mean(axis=1, dtype=np.float64))
        samples: Samples = values.astype(np.int16)
        return samples

    def _read_header(self) -> tuple[WavFormat, _Decode, int | None]:
        head = self._file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            raise LocalError(f"{self._name} is no WAV file: it does not begin with RIFF … WAVE")
        found: tuple[WavFormat, _Decode] | None = None
        for _ in range(_MOST_CHUNKS):
            chunk = self._file.read(_CHUNK.size)
            if len(chunk) < _CHUNK.size:
                break
            kind, size = _CHUNK.unpack(chunk)
            if kind == b"data":
                if found is None:
                    raise LocalError(f"{self._name} is no sound WAV file: its sound comes before its format")
                return *found, None if size in _UNKNOWN_LENGTHS else size
            if kind == b"fmt ":
                data = self._file.read(min(size, _MOST_FORMAT))
                found = self._read_format(data)
                size -= len(data)
            # Chunks begin at even places.
            self._skip(size + (size & 1))
        raise LocalError(f"{self._name} holds no sound: there is no data chunk in it")

    def _read_format(self, data: bytes) -> tuple[WavFormat, _Decode]:
        if len(data) < _FORMAT.size:
            raise LocalError(f"{self._name}: the format of the WAV file has {len(data)} octets, too few")
        kind, channels, rate, _, _, bits = _FORMAT.unpack_from(data)
        if kind == _EXTENSIBLE and len(data) >= _EXTENSIBLE_LENGTH:
            kind = int.from_bytes(data[_GUID_AT : _GUID_AT + 2], "little")
        if (kind, bits) not in _DECODERS:
            raise LocalError(f"{self._name}: WAV format {kind} with {bits} bits cannot be read; {_ALLOWED} can")
        if not 1 <= channels <= _MOST_CHANNELS:
            raise LocalError(f"{self._name}: {channels} channels; there may be 1 to {_MOST_CHANNELS}")
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise LocalError(f"{self._name}: {rate} samples a second; there may be {LOWEST_RATE} to {HIGHEST_RATE}")
        encoding, decode = _DECODERS[kind, bits]
        return WavFormat(encoding, bits, rate, channels), decode

    def _skip(self, count: int) -> None:
        if self._file.seekable():
            self._file.seek(count, 1)
            return
        while count > 0 and (data := self._file.read(min(count, 65536))):
            count -= len(data)


class WavWriter:
    """Writes mono samples to a file, 16 bits each.

    Takes a path (an old file is overwritten), or a file opened for writing octets that can seek (which the caller
    closes). Raises OSError when it cannot be written.

    rate     samples a second, in the file
    written  samples that were taken
    """

    #: Seconds of sound that may be lost when the process is killed.
    HELD_BACK: Final = 0.5
    #: The header counts octets in 32 bits.
    MOST: Final = (0xFFFFFFFF - _HEADER.size) // 2

    def __init__(self, file: str | PathLike[str] | BinaryIO, rate: int) -> None:
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise LocalError(f"a WAV file has {LOWEST_RATE} to {HIGHEST_RATE} samples a second, not {rate}")
        self.rate = rate
        self.written = 0
        self._held: list[Samples] = []
        self._holding = 0
        self._resampler = Resampler(rate, rate)
        self._closed = False
        self._name, self._file, self._ours = _opened(file, "wb")
        #: Where the header is, and samples behind it.
        self._start = self._file.tell()
        self._behind = 0
        self._file.write(self._header())
        self._file.flush()

    def write(self, samples: Samples, rate: int = 0) -> None:
        """Add samples; those of another `rate` than the file's are converted. LocalError: closed, or 4 GiB are full."""
        if self._closed:
            raise LocalError(f"{self._name} is closed")
        if (rate or self.rate) != self._resampler.from_rate:
            self._take(self._resampler.finish())
            self._resampler = Resampler(rate or self.rate, self.rate)
        self._take(self._resampler.process(samples))

    def flush(self) -> None:
        """Write what is held back, and a header that counts it."""
        if not self._held:
            return
        data = to_bytes(np.concatenate(self._held))
        self._held, self._holding = [], 0
        # First the sound, then the header: it never counts what is not there.
        self._file.write(data)
        self._file.flush()
        self._behind += len(data) // 2
        self._file.seek(self._start)
        self._file.write(self._header())
        self._file.seek(0, 2)
        self._file.flush()

    def close(self) -> None:
        """Write all that is left, and close the file if it was opened here; may be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self._take(self._resampler.finish())
            self.flush()
        finally:
            if self._ours:
                self._file.close()

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, samples: Samples) -> None:
        if self.written + len(samples) > self.MOST:
            raise LocalError(f"{self._name} is full: a WAV file holds up to 4 GiB")
        if not len(samples):
            return
        self.written += len(samples)
        self._held.append(samples.copy())
        self._holding += len(samples)
        if self._holding >= self.HELD_BACK * self.rate:
            self.flush()

    def _header(self) -> bytes:
        octets = self._behind * 2
        riff = (b"RIFF", octets + _HEADER.size - _CHUNK.size, b"WAVE")
        form = (b"fmt ", _FORMAT.size, _PCM, 1, self.rate, self.rate * 2, 2, 16)
        return _HEADER.pack(*riff, *form, b"data", octets)


def _opened(file: str | PathLike[str] | BinaryIO, mode: str) -> tuple[str, BinaryIO, bool]:
    """The name of a file, the file, and whether it was opened here."""
    if isinstance(file, (str, PathLike)):
        path = Path(file)
        opened: BinaryIO = path.open(mode)  # type: ignore[assignment]
        return str(path), opened, True
    return str(getattr(file, "name", "the file")), file, False
