"""Sound over RTP: packets, jitter, quality, codecs and tones, pure; `io` is its only part that touches sockets."""
