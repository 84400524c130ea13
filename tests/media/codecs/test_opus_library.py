"""libopus: found or not, and handles that are freed exactly once."""

import ctypes
import ctypes.util
import gc
import os
import subprocess
import sys

import pytest

from ringback.errors import LocalError
from ringback.media.codecs.opus_library import PATH_VARIABLE, Handle, Library, OpusError, library, load

needs_opus = pytest.mark.skipif(library() is None, reason="not installed: libopus")


class Owner:
    pass


class Freed:
    """Stands for a function of the library that frees, and counts."""

    def __init__(self) -> None:
        self.addresses: list[int] = []

    def __call__(self, address: int) -> None:
        self.addresses.append(address)


def installed() -> Library:
    found = library()
    assert found is not None
    return found


@needs_opus
def test_the_library_says_what_it_is() -> None:
    assert installed().version.startswith("libopus ")
    assert installed().message(-4) == "corrupted stream"


def test_a_path_without_a_library_is_none() -> None:
    assert load("/nonexistent/libopus.so.0") is None


def test_another_library_is_none() -> None:
    other = ctypes.util.find_library("c")
    assert other is not None
    assert load(other) is None


def test_the_path_can_be_given_in_the_environment() -> None:
    code = "from ringback.media import codecs; from ringback.media.codecs import opus; print(opus.version(), end=' ');"
    code += "print([info.name for info in codecs.available()][0])"
    environment = {**os.environ, PATH_VARIABLE: "/nonexistent/libopus.so.0"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("None G722\n", "")


@needs_opus
def test_a_refused_call_says_why() -> None:
    with pytest.raises(OpusError, match="invalid argument"):
        installed().new_encoder(Owner(), 44100, 1, 2048)
    with pytest.raises(OpusError, match="invalid argument"):
        installed().new_decoder(Owner(), 8000, 3)


def test_a_handle_is_freed_when_it_is_closed_and_not_again() -> None:
    freed, owner = Freed(), Owner()
    handle = Handle(owner, 77, freed)
    assert handle.address == 77
    handle.close()
    handle.close()
    del owner
    gc.collect()
    assert freed.addresses == [77]


def test_a_handle_is_freed_with_its_owner() -> None:
    freed, owner = Freed(), Owner()
    handle = Handle(owner, 78, freed)
    del owner
    gc.collect()
    assert freed.addresses == [78]
    handle.close()
    assert freed.addresses == [78]


def test_a_closed_handle_gives_no_address() -> None:
    owner = Owner()
    handle = Handle(owner, 79, Freed())
    handle.close()
    with pytest.raises(LocalError, match="this Opus codec is closed"):
        _ = handle.address


@needs_opus
def test_handles_of_the_library_itself() -> None:
    owner = Owner()
    for handle in (installed().new_encoder(owner, 48000, 1, 2048), installed().new_decoder(owner, 48000, 1)):
        assert handle.address
        handle.close()
