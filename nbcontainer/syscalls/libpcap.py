"""Capture filters in pcap-filter(7)'s words, compiled by libpcap to the kernel's BPF (pcap_compile(3PCAP))."""

from __future__ import annotations

import ctypes
import functools
import socket
import struct

from nbcontainer.errors import InvalidArgument, Unavailable

SO_ATTACH_FILTER = 26
#: As much of a packet as is kept.
SNAPLEN = 262144
_NETMASK_UNKNOWN = 0xFFFFFFFF


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


@functools.cache
def _library() -> ctypes.CDLL:
    for name in ("libpcap.so.0.8", "libpcap.so.1"):
        try:
            found = ctypes.CDLL(name)
        except OSError:
            continue
        found.pcap_open_dead.restype = ctypes.c_void_p
        found.pcap_geterr.restype = ctypes.c_char_p
        for function in (found.pcap_geterr, found.pcap_close):
            function.argtypes = (ctypes.c_void_p,)
        found.pcap_compile.argtypes = (
            ctypes.c_void_p,
            ctypes.POINTER(_Program),
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_uint32,
        )
        return found
    raise Unavailable("a capture filter is compiled by libpcap, which is not installed: apt-get install libpcap0.8")


def compile_filter(text: str, linktype: int) -> bytes:
    """The instructions (struct sock_filter, 8 bytes each) of a filter for links of a type (1 is Ethernet).

    Raises `InvalidArgument` with libpcap's words.
    """
    library = _library()
    handle = library.pcap_open_dead(ctypes.c_int(linktype), ctypes.c_int(SNAPLEN))
    program = _Program()
    try:
        if b"\0" in text.encode(errors="replace"):
            raise InvalidArgument(f"capture filter {text!a}: syntax error")
        if library.pcap_compile(handle, ctypes.byref(program), text.encode(errors="replace"), 1, _NETMASK_UNKNOWN):
            said = library.pcap_geterr(handle).decode(errors="replace")
            raise InvalidArgument(f"capture filter {text!a}: {said.strip()}; pcap-filter(7) has the words")
        return ctypes.string_at(program.instructions, program.length * 8)
    finally:
        library.pcap_freecode(ctypes.byref(program))
        library.pcap_close(handle)


def attach_filter(sock: socket.socket, program: bytes) -> None:
    """Let the kernel pass only what the program takes (socket(7), SO_ATTACH_FILTER). Raises `OSError`."""
    buffer = ctypes.create_string_buffer(program, len(program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program) // 8, ctypes.addressof(buffer)))
