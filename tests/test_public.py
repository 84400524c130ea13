"""What `import ringback` offers, and what it leaves alone until it is asked for."""

import subprocess
import sys

import pytest

import ringback


@pytest.mark.parametrize("name", ringback.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(ringback, name) is not None


def test_no_other_name_is() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Phone'"):
        ringback.Phone  # noqa: B018


def test_sound_is_loaded_for_those_who_want_it() -> None:
    code = "import sys, ringback; before = 'numpy' in sys.modules; ringback.Call; print(before, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False True\n"
