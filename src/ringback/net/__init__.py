"""The asyncio shell around the protocol: sockets, connections, names and the one timer."""
