"""How media travels: sockets, SRTP, DTLS, ICE and TURN under one `Transport`, and the beat of a process's calls."""
