"""One hint to the C library that makes training on a CPU up to 1.7 times faster (docs/explanation/supernet.md)."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_LARGEST_HEAP_BLOCK = 32 * 1024 * 1024
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Have glibc keep freed blocks up to 32 MB for reuse, in this process, from now on.

    By default each large activation is fetched from the system and given back, and every step pays
    for fresh pages. Does nothing where the C library is not glibc. Results do not change.
    """
    if not sys.platform.startswith("linux"):
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_MMAP_THRESHOLD, _LARGEST_HEAP_BLOCK)
        set_option(_TRIM_THRESHOLD, _NEVER)
        set_option(_TOP_PAD, 2 * _LARGEST_HEAP_BLOCK)
