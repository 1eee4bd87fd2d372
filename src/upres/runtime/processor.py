"""What this machine's processor computes natively."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["adds_byte_products"]

CPUINFO = Path("/proc/cpuinfo")
FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}
"""Of instructions that add up products of bytes in 32 bits: VNNI and AMX of x86, the dot product of ARM."""


@cache
def adds_byte_products() -> bool | None:
    """Whether it adds up products of 8-bit integers without overflow, in one instruction; None where that is unknown.

    Without, engines add pairs of products in 16 bits, which saturate.
    """
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").lower().splitlines()
    except OSError:
        return None
    flags = next((line for line in lines if line.startswith(("flags", "features"))), "")
    return bool(FLAGS & set(flags.split())) if flags else None
