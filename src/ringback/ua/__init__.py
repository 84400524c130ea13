"""User agents: phones, bots and gateways on the core of `ringback.sip`."""
