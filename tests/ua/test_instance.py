"""Instance IDs: found again, and never used twice at a time."""

import uuid
from pathlib import Path

import pytest

from ringback.errors import ConfigurationError
from ringback.ua.instance import _MOST_COPIES, Instance, state_folder

ALICE = "sip:alice@example.org"


def test_given_and_random() -> None:
    assert Instance("urn:uuid:0").urn == "urn:uuid:0"
    first, second = Instance(), Instance()
    assert first.urn != second.urn
    assert uuid.UUID(first.urn).version == 4
    first.close()


def test_it_is_found_again(tmp_path: Path) -> None:
    first = Instance.kept(tmp_path / "state", ALICE)
    first.close()
    first.close()
    again = Instance.kept(tmp_path / "state", ALICE)
    assert again.urn == first.urn and uuid.UUID(first.urn).version == 4
    other = Instance.kept(tmp_path / "state", "sip:bob@example.org")
    assert other.urn != first.urn
    again.close()
    other.close()


def test_those_that_run_at_the_same_time_differ(tmp_path: Path) -> None:
    running = [Instance.kept(tmp_path, ALICE) for _ in range(_MOST_COPIES + 2)]
    urns = [instance.urn for instance in running]
    assert len(set(urns)) == len(urns)
    for instance in running:
        instance.close()
    again = [Instance.kept(tmp_path, ALICE) for _ in range(_MOST_COPIES + 1)]
    assert [instance.urn for instance in again[:-1]] == urns[:_MOST_COPIES]
    assert again[-1].urn not in urns
    for instance in again:
        instance.close()


@pytest.mark.parametrize("content", ["", "nonsense", "f81d4fae", "\n\n"])
def test_a_broken_file_is_made_anew(tmp_path: Path, content: str) -> None:
    Instance.kept(tmp_path, ALICE).close()
    [file] = tmp_path.iterdir()
    file.write_text(content)
    fresh = Instance.kept(tmp_path, ALICE)
    assert file.read_text() == f"{fresh.urn}\n"
    fresh.close()


def test_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="file/state: can not be written to"):
        Instance.kept(tmp_path / "file" / "state", ALICE)


def test_where_state_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert state_folder() == Path("/somewhere/ringback")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/alice")
    assert state_folder() == Path("/home/alice/.local/state/ringback")
