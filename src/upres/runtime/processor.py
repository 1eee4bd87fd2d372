"""What this machine's processor computes natively."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

__all__ = ["adds_byte_products", "gains_by_bytes"]

CPUINFO = Path("/proc/cpuinfo")
FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}
"""Of instructions that add up products of bytes in 32 bits: VNNI and AMX of x86, the dot product of ARM."""


@cache
def adds_byte_products() -> bool:
    """Whether it is known to add up products of 8-bit integers without overflow, in one instruction.

    Without, engines add pairs of products in 16 bits, which saturate: see `upres.runtime.saturation`.
    """
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").lower().splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith(("flags", "features"))), "")
    return bool(FLAGS & set(flags.split()))


def gains_by_bytes() -> bool:
    """Whether convolutions of bytes are known to be faster on it than those of floating point.

    They are on x86, which adds pairs of their products in one instruction where it has no better one.
    """
    return adds_byte_products() or platform.machine().lower() in ("x86_64", "amd64")
