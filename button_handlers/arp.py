"""Amazon's Dash: it speaks to nobody here, but at each press it joins the Wi-Fi, and asks whether its address is free."""

import struct
from typing import Final

from button_handlers.click import Click
from shadows.staff import ClickType

ETHERTYPE: Final = 0x0806
_FRAME: Final = struct.Struct("!6s6sHHHBBH6s4s6s4s")  # Ethernet, and ARP over it; what follows is padding
_OF_IPV4: Final = (ETHERTYPE, 1, 0x0800, 6, 4, 1)  # a request, for IPv4 over Ethernet
_NOBODY: Final = (bytes(6), b"\xff" * 6)


def from_frame(frame: bytes) -> Click | None:
    """Read an Ethernet frame: a press is an ARP probe, whose sender has no address of its own yet.

    What follows it, the announcement and every later question, has one: each press is one probe, or a few of the same.
    The button is the hardware address, 12 hexadecimal digits.

    Source: RFC 5227, 1.1 and 2.1.1, and RFC 826.
    """
    if len(frame) < _FRAME.size:
        return None
    _, _, *kind, sender, sender_ip, _, target_ip = _FRAME.unpack_from(frame)
    if tuple(kind) != _OF_IPV4 or sender_ip != bytes(4) or target_ip == bytes(4) or sender in _NOBODY:
        return None
    return Click(button=sender.hex(), type=ClickType.SINGLE)
