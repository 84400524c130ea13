"""What every test shares: the interpreted modules unless asked otherwise, one hypothesis profile, missing peers."""

import os
import shutil
from pathlib import Path

import hypothesis
import pytest

# Compiled modules can be older than the sources under test. `make test` asks for them in a pass of its own
# (RINGBACK_PURE=0), after it has compiled what changed.
os.environ.setdefault("RINGBACK_PURE", "1")

# No deadline: how long one example takes says more about the machine than about the code.
hypothesis.settings.register_profile("ringback", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ringback")

# Where scripts/install_peers.sh puts what a test runs in Node.js.
NODE_MODULES = Path(__file__).resolve().parent.parent / ".venv" / "node" / "node_modules"
# Debian keeps daemons where an ordinary user's PATH does not look.
DAEMONS = os.pathsep.join(["/usr/sbin", "/sbin"])


def missing_peers(names: tuple[str, ...]) -> list[str]:
    """Those of `names` that are not installed: commands ("sipp"), or modules of Node.js ("node:jssip")."""
    path = os.environ.get("PATH", os.defpath) + os.pathsep + DAEMONS
    missing = []
    for name in names:
        kind, _, module = name.partition(":")
        if shutil.which(kind, path=path) is None or (module and not (NODE_MODULES / module).is_dir()):
            missing.append(name)
    return missing


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.interop("sipp", "node:jssip")` runs only where all the peers that it names are installed."""
    for marker in item.iter_markers("interop"):
        if not marker.args:
            pytest.fail("interop names the peers it needs: @pytest.mark.interop('sipp')", pytrace=False)
        missing = missing_peers(marker.args)
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)}")
