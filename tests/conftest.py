"""What every test shares: the interpreted modules unless asked otherwise, and one hypothesis profile."""

import os

import hypothesis

# Compiled modules can be older than the sources under test. `make test` asks for them in a pass of its own
# (RINGBACK_PURE=0), after it has compiled what changed.
os.environ.setdefault("RINGBACK_PURE", "1")

# No deadline: how long one example takes says more about the machine than about the code.
hypothesis.settings.register_profile("ringback", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ringback")
