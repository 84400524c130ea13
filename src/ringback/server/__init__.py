"""The server of a SIP domain: the onion (`app`), its configuration, the rooms, and what runs it (`runtime`)."""
