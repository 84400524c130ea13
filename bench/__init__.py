"""Side-by-side benchmarks: this server and a real peer, on the same work, in one run.

Run as ``python -m bench``. The method (interleaved rounds, CPU time from /proc, void rounds run again) is described in
``bench/README.md``. A benchmark is never a test: nothing here fails on a slow machine.
"""
