"""What is kept of a client, without a socket."""

import pytest

from infra.local.gateway import limits
from infra.local.gateway.packets import Message
from infra.local.gateway.policy import DEVICE, Client
from infra.local.gateway.session import Outgoing, Session, Subscription, Tally


class Taker:
    """A link that takes everything."""

    version, window, max_packet, congested, resumed_a_second = 4, 3, 1000, False, 0

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, packet: bytes) -> None:
        self.sent.append(packet)

    def overrun(self) -> None:
        raise AssertionError("nobody overruns this one")

    taken_over = overrun

    def ids(self) -> list[int]:
        return [int.from_bytes(packet[5:7], "big") for packet in self.sent]


def session() -> Session:
    return Session(Client(id="c", rights=DEVICE, address=""), Tally())


def one(number: int = 0) -> Outgoing:
    return Outgoing(Message("t", b"%d" % number, 1))


def test_a_packet_id_is_not_used_again_while_it_is_on_its_way() -> None:
    kept, link = session(), Taker()
    kept.attach(link)
    kept.deliver(one(), 1)
    kept._last_id = 0xFFFE
    kept.deliver(one(), 1)
    kept.deliver(one(), 1)
    assert link.ids() == [1, 0xFFFF, 2]


def test_whatever_is_lost_in_between_every_message_comes_in_order_until_it_is_acknowledged() -> None:
    kept, links = session(), [Taker() for _ in range(4)]
    for number in range(10):
        kept.deliver(one(number), 1)
    for link in links:
        kept.attach(link)
        assert len(link.sent) == link.window
        kept.acknowledged(link.ids()[0])
        kept.detach()
    assert [link.sent[0][-1:] for link in links] == [b"0", b"1", b"2", b"3"]
    again = [[bool(packet[0] & 8) for packet in link.sent] for link in links]
    assert again == [[False] * 4] + [[True, True, True, False]] * 3
    assert [link.ids() for link in links[1:]] == [[2, 3, 4, 5], [3, 4, 5, 6], [4, 5, 6, 7]]


def test_an_acknowledgement_of_nothing_changes_nothing() -> None:
    kept, link = session(), Taker()
    kept.attach(link)
    kept.acknowledged(7)
    kept.deliver(one(), 1)
    assert link.ids() == [1]


def test_bytes_are_bounded_as_well_as_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_STORED_BYTES", 2000)
    kept, link = session(), Taker()
    for number in range(5):
        kept.deliver(Outgoing(Message("t", b"%d" % number * 900, 1)), 1)
    kept.attach(link)
    assert [packet[-1:] for packet in link.sent] == [b"3", b"4"]


@pytest.mark.parametrize("no_local", [True, False])
def test_of_two_grants_the_more_generous_counts(no_local: bool) -> None:
    assert Subscription(0, True, True).also(Subscription(1, no_local, False)) == Subscription(
        1, no_local, True
    )
