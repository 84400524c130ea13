"""The running server: starts what the configuration asks for, supervises it, and ends it in order.

server = Server.from_toml("ringback.toml")
await server.serve()
"""

from ringback.server.runtime.server import Server, run

__all__ = ["Server", "run"]
