"""nftables rules through the library that nft is a front of (libnftables(3)), in the caller's network namespace."""

from __future__ import annotations

import ctypes
import functools

from nbcontainer.errors import Unavailable

#: What is missing without the library, in one line.
REMEDY = "libnftables is not installed (as root: apt-get install nftables)"


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        found = ctypes.CDLL("libnftables.so.1", use_errno=True)
    except OSError:
        raise Unavailable(f"packet filters need it: {REMEDY}") from None
    found.nft_ctx_new.restype = ctypes.c_void_p
    found.nft_ctx_new.argtypes = (ctypes.c_uint32,)
    found.nft_ctx_free.argtypes = (ctypes.c_void_p,)
    found.nft_ctx_buffer_error.argtypes = (ctypes.c_void_p,)
    found.nft_ctx_get_error_buffer.argtypes = (ctypes.c_void_p,)
    found.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    found.nft_run_cmd_from_buffer.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    return found


def available() -> bool:
    """Whether libnftables can be loaded."""
    try:
        _library()
    except Unavailable:
        return False
    return True


def run(rules: str) -> None:
    """What `nft -f` does with `rules`: all of it or nothing. Raises `Unavailable` with the library's own words."""
    library = _library()
    context = library.nft_ctx_new(0)
    if not context:
        raise Unavailable("this kernel has no nftables for a lab")
    try:
        library.nft_ctx_buffer_error(context)
        if library.nft_run_cmd_from_buffer(context, rules.encode()) != 0:
            said = (library.nft_ctx_get_error_buffer(context) or b"").decode(errors="replace").strip()
            raise Unavailable(f"the packet filter was refused: {said.splitlines()[0] if said else 'no reason given'}")
    finally:
        library.nft_ctx_free(context)
