"""What calls know of media: preferences are values that can be changed, and the defaults are careful."""

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from ringback.errors import LocalError, RemoteError, RingbackError
from ringback.media.backend import Change, Levels, MediaError, MediaPreferences


def test_preferences_are_values() -> None:
    preferences = MediaPreferences()
    held = replace(preferences, direction="sendonly")
    assert (preferences.direction, held.direction) == ("sendrecv", "sendonly")
    assert replace(held, direction="sendrecv") == preferences and len({preferences, held}) == 2
    with pytest.raises(FrozenInstanceError):
        preferences.frame = 30  # type: ignore[misc]


def test_keys_are_not_shown_to_signalling_unless_that_is_wanted() -> None:
    """RELIABILITY: "SDES only over TLS": whoever knows that the signalling is protected adds it."""
    assert "sdes" not in MediaPreferences().keying
    assert MediaPreferences().encryption == "offer"


def test_every_preference_is_explained() -> None:
    text = MediaPreferences.__doc__ or ""
    for field in fields(MediaPreferences):
        assert f"    {field.name}" in text or f", {field.name}" in text, field.name


def test_media_that_cannot_be_is_nobodys_mistake() -> None:
    assert issubclass(MediaError, RingbackError)
    assert not issubclass(MediaError, (LocalError, RemoteError))


def test_changes_and_levels_are_compared_by_value() -> None:
    assert Change(1.0, "codec", "agreed", "PCMU/8000") == Change(1.0, "codec", "agreed", "PCMU/8000")
    assert Levels(-20.0, -127.0) == Levels(-20.0, -127.0)
