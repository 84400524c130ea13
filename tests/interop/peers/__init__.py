"""Real SIP systems that the interop tests start, talk to, listen to and stop."""
