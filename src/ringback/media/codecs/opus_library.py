"""libopus, found on the system and called through ctypes: the handles, and the few functions that are needed.

The library is looked for when it is first asked for: at the path in RINGBACK_OPUS if that is set, else under its usual
names. Where there is none, `library()` is None and Opus is not offered. A handle is freed exactly once: when it is
closed or when nobody refers to it any more, whichever comes first.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import weakref
from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_int, c_int32, c_void_p
from typing import Final

from ringback.errors import LocalError, RingbackError

__all__ = ["PATH_VARIABLE", "Handle", "Library", "OpusError", "library", "load"]

PATH_VARIABLE: Final = "RINGBACK_OPUS"

_USUAL_NAMES: Final = ("libopus.so.0", "libopus.0.dylib", "opus.dll", "libopus-0.dll")


class OpusError(RingbackError):
    """The library refused a call."""


class Library:
    """The functions of one loaded libopus. Pointers go as numbers: buffers are those of NumPy and of ctypes."""

    __slots__ = (
        "decode",
        "decoder_create",
        "decoder_destroy",
        "encode",
        "encoder_create",
        "encoder_ctl",
        "encoder_destroy",
        "packet_samples",
        "path",
        "strerror",
        "version",
    )

    def __init__(self, path: str) -> None:
        # Raises OSError when there is no such library, AttributeError when it is another one.
        loaded = ctypes.CDLL(path)
        self.path = path
        version = loaded.opus_get_version_string
        version.restype = c_char_p
        self.version: str = version().decode("ascii", "replace")
        self.strerror = loaded.opus_strerror
        self.strerror.argtypes, self.strerror.restype = [c_int], c_char_p
        self.encoder_create = loaded.opus_encoder_create
        self.encoder_create.argtypes = [c_int32, c_int, c_int, POINTER(c_int)]
        self.encoder_create.restype = c_void_p
        self.encoder_destroy = loaded.opus_encoder_destroy
        self.encoder_destroy.argtypes, self.encoder_destroy.restype = [c_void_p], None
        self.encode = loaded.opus_encode
        self.encode.argtypes, self.encode.restype = [c_void_p, c_void_p, c_int, c_void_p, c_int32], c_int32
        # Variadic: what is declared here are the fixed arguments, which some platforms pass otherwise than the rest.
        self.encoder_ctl = loaded.opus_encoder_ctl
        self.encoder_ctl.argtypes, self.encoder_ctl.restype = [c_void_p, c_int], c_int
        self.decoder_create = loaded.opus_decoder_create
        self.decoder_create.argtypes, self.decoder_create.restype = [c_int32, c_int, POINTER(c_int)], c_void_p
        self.decoder_destroy = loaded.opus_decoder_destroy
        self.decoder_destroy.argtypes, self.decoder_destroy.restype = [c_void_p], None
        self.decode = loaded.opus_decode
        self.decode.argtypes = [c_void_p, c_char_p, c_int32, c_void_p, c_int, c_int]
        self.decode.restype = c_int
        self.packet_samples = loaded.opus_packet_get_nb_samples
        self.packet_samples.argtypes, self.packet_samples.restype = [c_char_p, c_int32, c_int32], c_int

    def new_encoder(self, owner: object, sample_rate: int, channels: int, application: int) -> Handle:
        """An encoder that lives as long as `owner`, or until it is closed."""
        error = c_int()
        address = self.encoder_create(sample_rate, channels, application, byref(error))
        return Handle(owner, self._checked(address, error.value), self.encoder_destroy)

    def new_decoder(self, owner: object, sample_rate: int, channels: int) -> Handle:
        """A decoder that lives as long as `owner`, or until it is closed."""
        error = c_int()
        address = self.decoder_create(sample_rate, channels, byref(error))
        return Handle(owner, self._checked(address, error.value), self.decoder_destroy)

    def message(self, error: int) -> str:
        """What a negative result means."""
        text: bytes = self.strerror(error)
        return text.decode("ascii", "replace")

    def _checked(self, address: int | None, error: int) -> int:
        if error or not address:
            raise OpusError(f"{self.version}: {self.message(error)}")
        return address


class Handle:
    """The address of an encoder or a decoder, freed exactly once."""

    __slots__ = ("_address", "_free")

    def __init__(self, owner: object, address: int, destroy: Callable[[int], object]) -> None:
        self._address = address
        self._free = weakref.finalize(owner, destroy, address)

    @property
    def address(self) -> int:
        """The address. Raises LocalError once it is freed: the library would read what is no longer its own."""
        if not self._free.alive:
            raise LocalError("this Opus codec is closed")
        return self._address

    def close(self) -> None:
        """Free it; does nothing the second time."""
        self._free()


def load(path: str = "") -> Library | None:
    """The library at `path`, or that of the system when it is ""; None when there is none, or when it is another."""
    for name in (path,) if path else (*_USUAL_NAMES, ctypes.util.find_library("opus")):
        if not name:
            continue
        try:
            return Library(name)
        except (OSError, AttributeError):
            continue
    return None


@functools.cache
def library() -> Library | None:
    """The library of this process, looked for once."""
    return load(os.environ.get(PATH_VARIABLE, ""))
