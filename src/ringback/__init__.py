"""Ringback: a SIP server, a library of user agents and a SIP test kit on one pure protocol core."""

from ringback._pure import compiled, install

# Before any other module of the package is imported: RINGBACK_PURE=1 decides which form of it that will be.
install()

__version__ = "0.1.0"

__all__ = ["__version__", "compiled"]
