"""Row 4: real bytes a binding, the longest stall while they are loaded, and the time of a restart."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence

from bench.figures import Figure, quantile
from bench.flood import Flood, Loading
from bench.options import Options
from bench.process import BenchError
from bench.systems import Kamailio, Ringback, System

RESTART_BINDINGS = 100_000
SLOWEST_LOADING = 300
"""Bindings a second below which a loading is given up."""


def run(sides: Sequence[str], options: Options, log: Callable[[str], None]) -> list[Figure]:
    """Load the bindings into each system in turn, over SIP, and look at its memory before and after."""
    size = Figure(4, f"memory of a binding, {options.bindings:,} bindings", "bytes", "Kamailio", goal=2.0)
    stall = Figure(4, "longest look-up while they are loaded", "ms", "Kamailio", limit=50.0)
    directory = options.work / "row4"
    ports = options.ports(4)
    if "peer" in sides:
        shared = max(512, options.bindings * 2000 // 2**20)
        kamailio = Kamailio(directory / "kamailio", ports[0], shared_mib=shared, hash_size=17)
        _kamailio(kamailio, options, size, stall, log)
    if "ours" not in sides:
        return [size, stall]
    for index, variant in enumerate(("durable", "memory")):
        system = Ringback(directory / f"ringback-{variant}", ports[1 + index], variant, pure=options.pure)
        _ringback(system, variant, options, size, stall, log)
    count = min(RESTART_BINDINGS, options.bindings)
    restart = Figure(4, f"start with {count:,} bindings on disk after a kill", "s", "none", limit=5.0)
    restart.our_samples.append(_restart(Ringback(directory / "restart", ports[3], pure=options.pure), count, log))
    return [size, stall, restart]


def _kamailio(system: Kamailio, options: Options, size: Figure, stall: Figure, log: Callable[[str], None]) -> None:
    try:
        system.start()
        used_before, real_before = system.shared_memory()
        pages_before = system.memory().pss
        loading = _load(system, options.bindings, log)
        used, real = system.shared_memory()
        pages = system.memory().pss
    finally:
        system.stop()
    size.peer_samples.append((real - real_before) / options.bindings)
    size.notes.append(
        f"Kamailio: {(used - used_before) / options.bindings:.0f} bytes used and {size.peer_samples[-1]:.0f} real by "
        f"its own count; its pages grew by {(pages - pages_before) / options.bindings:.0f}"
    )
    stall.peer_samples.append(max(loading.lookups_ms))
    stall.notes.append(_description("Kamailio", loading, options.bindings))


def _ringback(
    system: Ringback, variant: str, options: Options, size: Figure, stall: Figure, log: Callable[[str], None]
) -> None:
    try:
        system.start()
        before = system.memory().pss
        loading = _load(system, options.bindings, log)
        after = system.memory().pss
    finally:
        system.stop()
    each = (after - before) / options.bindings
    if variant == "durable":  # as it comes
        size.our_samples.append(each)
        stall.our_samples.append(max(loading.lookups_ms))
    size.notes.append(f"Ringback, {variant}: its pages grew by {each:.0f} bytes a binding")
    stall.notes.append(_description(f"Ringback, {variant}", loading, options.bindings))


def _load(system: System, count: int, log: Callable[[str], None]) -> Loading:
    log(f"    {system.name} ({system.variant}): loading {count:,} bindings")
    flood = Flood(system.port)
    try:
        loading = flood.run(count, 60 + count / SLOWEST_LOADING, log)
    finally:
        flood.close()
    if not loading.lookups_ms:
        raise BenchError(f"{system.name}: no look-up was answered while the bindings were loaded")
    log(f"    {_description(system.name, loading, count)}")
    return loading


def _description(name: str, loading: Loading, count: int) -> str:
    times = loading.lookups_ms
    return (
        f"{name}: {count / loading.seconds:,.0f} bindings/s, {len(times):,} look-ups, p50 {quantile(times, 0.5):.1f}, "
        f"p99 {quantile(times, 0.99):.1f}, longest {max(times):.1f} ms, {loading.retries} requests sent again"
    )


def _restart(system: Ringback, count: int, log: Callable[[str], None]) -> float:
    """Load, kill -9, start again: seconds until it is ready and finds the first look-up's user."""
    try:
        system.start()
        _load(system, count, log)
        flood = Flood(system.port)
        flood.register_phone()
        system.stop_with(signal.SIGKILL)
        began = time.perf_counter()
        system.resume()
        found = flood.look_up("phone", 10.0)
        seconds = time.perf_counter() - began
        flood.close()
    finally:
        system.stop()
    if found is None:
        raise BenchError("after the restart the user that was registered last is not found")
    log(f"    Ringback: back in {seconds:.2f} s with {count:,} bindings")
    return seconds
