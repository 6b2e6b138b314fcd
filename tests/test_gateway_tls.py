"""Devices over real TLS: who is let in, what each may do, and what nobody may."""

import json
import os
import queue
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import mqtt_wire as wire
import pytest
from awscrt import mqtt, mqtt5
from awsiot import mqtt5_client_builder, mqtt_connection_builder
from certificates import DAY, Authority, lock, policy, statement, write_policies
from fake_slack import FakeSlack
from mqtt_wire import HOST, Got, Running, Wire, eventually, greeted
from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from infra.local.gateway import Tls, TlsError, certificates, limits
from infra.local.http import bind
from infra.settings import Settings, SettingsError
from tests.shop import Shop
from tests.test_alone import served

THING = "${iot:Connection.Thing.ThingName}"
SHADOW = f"$aws/things/{THING}/shadow"
# What AWS's guide gives a device: its own name, its own shadow, its own topics.
OWN = policy(
    statement("Allow", "iot:Connect", f"client/{THING}"),
    statement("Allow", ["iot:Publish", "iot:RetainPublish"], f"topic/{THING}/*", f"topic/{SHADOW}/*"),
    statement("Allow", "iot:Subscribe", f"topicfilter/{THING}/*", f"topicfilter/{SHADOW}/*", "topicfilter/#"),
    statement("Allow", "iot:Receive", f"topic/{THING}/*", f"topic/{SHADOW}/*"),
    statement("Deny", "iot:*", f"topic/{THING}/secret"),
    statement("Deny", "iot:RetainPublish", f"topic/{THING}/fleeting"),
)
EVERYTHING = policy(statement("Allow", "iot:*", "*"))


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA, the gateway's folder, and certificates of a lamp, of an all-mighty one, and of one that no policy names."""
    authority = Authority(tmp_path_factory.mktemp("tls"))
    authority.server()
    authority.issue("lamp", "lamp")
    root = authority.issue("root", "root")
    authority.issue("stranger", "stranger")
    write_policies(
        authority.folder,
        {"lamp": {"things": ["lamp"], "policy": OWN}, root.fingerprint: {"policy": EVERYTHING}},
    )
    return authority


@pytest.fixture
def running(ca: Authority) -> Iterator["Encrypted"]:
    """A gateway with TLS."""
    with Encrypted(ca) as running:
        yield running


class Encrypted(Running):
    """A gateway whose devices come by TLS; :meth:`device` is still one of this machine."""

    def __init__(self, ca: Authority, **how: Any) -> None:
        super().__init__(**how)
        self.ca = ca

    def __enter__(self) -> "Encrypted":
        super().__enter__()
        self.tls = self.call(self.gateway.listen_tls(bind(HOST, 0), Tls.read(self.ca.folder)))
        return self

    def hello(self, context: ssl.SSLContext, version: int = 4) -> Wire:
        """A connection that is through its handshake, as far as the client knows, and has said nothing yet."""
        sock = socket.create_connection((HOST, self.tls))
        try:
            return Wire(context.wrap_socket(sock, server_hostname=HOST), version)
        except BaseException:
            sock.close()
            raise

    def holder(self, name: str, client_id: str, *filters: str, version: int = 4, **how: Any) -> Wire:
        """Who holds this certificate, connected and subscribed at QoS 1."""
        return greeted(self.hello(self.ca.context(self.ca.held(name)), version), client_id, filters, **how)

    def takes(self, name: str) -> bool:
        """Whether a socket is let in, and its client."""
        try:
            return self.answered(name, name) == 0
        except (OSError, EOFError):
            return False

    def answered(self, name: str, client_id: str, version: int = 4, **how: Any) -> int:
        """CONNACK's code."""
        with self.hello(self.ca.context(self.ca.held(name)), version) as client:
            client.send(wire.connect(client_id, version=version, **how))
            return client.read().body[1]


# The handshake


def converse(running: Encrypted, context: ssl.SSLContext) -> None:
    with running.hello(context) as client:
        client.send(wire.connect("lamp"))
        client.read()  # in TLS 1.3 a client hears only now what the gateway thinks of its certificate


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def newest(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    return ssl.TLSVersion(request.param)


@pytest.mark.parametrize(
    ("who", "alert"),
    [
        ("nobody", {"TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE"}),
        ("another CA", {"TLSV1_ALERT_UNKNOWN_CA"}),
        ("another CA of this name", {"TLSV1_ALERT_DECRYPT_ERROR"}),
        ("an old one", {"SSLV3_ALERT_CERTIFICATE_EXPIRED"}),
        ("itself", {"TLSV1_ALERT_UNKNOWN_CA"}),
    ],
)
def test_who_has_no_certificate_of_the_ca_is_refused_in_the_handshake(
    running: Encrypted, tmp_path: Path, who: str, alert: set[str], newest: ssl.TLSVersion
) -> None:
    ca = running.ca
    other = Authority(tmp_path / "other", "other")
    shown = {
        "nobody": None,
        "another CA": other.issue("lamp", "lamp"),
        "another CA of this name": Authority(tmp_path / "same").issue("lamp", "lamp"),
        "an old one": ca.issue("old", "lamp", until=-DAY),
        "itself": other.own,
    }
    context = ca.context(shown[who])
    context.maximum_version = newest
    with running.device("watch", "$aws/events/presence/+/lamp") as watch:
        with pytest.raises(ssl.SSLError) as refused:
            converse(running, context)
        assert refused.value.reason in alert
        assert eventually(lambda: running.gateway.counts().refused == 1)
        assert watch.quiet(), "nobody has come"
    with running.holder("lamp", "lamp", "lamp/x") as lamp:
        lamp.send(wire.publish("lamp/x", b"1"))
        assert lamp.message().payload == b"1"


def test_who_does_not_trust_the_gateway_sends_it_nothing(running: Encrypted, tmp_path: Path) -> None:
    context = Authority(tmp_path / "other").context(running.ca.held("lamp"))
    with pytest.raises(ssl.SSLCertVerificationError):
        running.hello(context)


@pytest.mark.parametrize("words", [wire.connect("lamp"), b"\x16\x03\x01\x00\x05hello", b"\0" * 4096])
def test_what_is_no_tls_is_not_read_as_mqtt(running: Encrypted, words: bytes) -> None:
    with Wire(socket.create_connection((HOST, running.tls))) as client:
        client.send(words)
        assert client.last_words()[:1] in (b"", b"\x15"), "an alert, or nothing"
    assert running.gateway.counts().clients == 0


def test_a_session_that_is_taken_up_again_does_not_outlive_its_certificate(
    running: Encrypted, newest: ssl.TLSVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = running.ca.context(running.ca.held("lamp"))
    context.maximum_version = newest

    def came(session: ssl.SSLSession | None) -> tuple[bytes, ssl.SSLSession | None]:
        sock = socket.create_connection((HOST, running.tls))
        with context.wrap_socket(sock, server_hostname=HOST, session=session) as secure:
            client = Wire(secure)
            client.send(wire.connect("lamp"))
            return client.last_words() if session else client.read().body, secure.session

    body, session = came(None)
    assert body == b"\0\0"
    end = running.ca.held("lamp").parsed.not_valid_after_utc.timestamp()
    monkeypatch.setattr(certificates.time, "time", lambda: end + 1)
    assert came(session)[0] == b"", "openssl looks at no date here"


def test_handshakes_that_never_end_hold_up_nobody(running: Encrypted) -> None:
    with ExitStack() as stack:
        for half in (b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
            for _ in range(20):
                sock = stack.enter_context(socket.create_connection((HOST, running.tls)))
                sock.sendall(half)
        with running.holder("lamp", "lamp", "lamp/x") as lamp:
            lamp.send(wire.publish("lamp/x", b"1"))
            assert lamp.message().payload == b"1"


def test_a_handshake_that_does_not_end_in_time_is_cut_off(
    ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CONNECT_S", 0.1)
    with Encrypted(ca) as running, ExitStack() as stack:
        for half in (b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
            client = stack.enter_context(Wire(socket.create_connection((HOST, running.tls))))
            client.send(half)
            assert client.closed()


def test_unfinished_handshakes_are_bounded(ca: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_UNGREETED", 2)
    with Encrypted(ca, most=1) as running, ExitStack() as stack:
        waiting = [stack.enter_context(Wire(socket.create_connection((HOST, running.tls)))) for _ in range(3)]
        with Wire(socket.create_connection((HOST, running.tls))) as one_more:
            assert one_more.closed()
        for one in waiting:
            one.drop()
        assert eventually(lambda: running.takes("lamp")), "there is room again"


def test_what_is_no_record_after_the_handshake_ends_the_connection(running: Encrypted) -> None:
    with running.device("watch", "$aws/events/presence/disconnected/lamp") as watch:
        lamp = running.holder("lamp", "lamp")
        with socket.socket(fileno=os.dup(lamp._sock.fileno())) as below:
            below.settimeout(5)
            below.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
            while below.recv(4096):
                pass
        assert json.loads(watch.message().payload)["disconnectReason"] == "CONNECTION_LOST"
        lamp.drop()
    assert running.answered("lamp", "lamp") == 0


def test_who_asks_by_tls_and_never_reads_is_cut_off(
    running: Encrypted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_STALLED", 10_000)
    with running.device("watch", "$aws/events/presence/disconnected/r") as watch:
        deaf = running.holder("root", "r", "t")
        with running.device("pub") as pub:
            for n in range(1, 65):
                pub.send(wire.publish("t", os.urandom(120 * 1024), n))
                assert pub.read().first == 0x40
                if running.gateway.counts().clients == 2:
                    break
        assert json.loads(watch.message().payload)["disconnectReason"] == "CONNECTION_LOST"
        deaf.drop()


def test_large_messages_go_both_ways(running: Encrypted) -> None:
    large = os.urandom(128 * 1024)
    with running.holder("root", "r", "big") as client:
        for packet_id in (1, 2, 3):
            client.send(wire.publish("big", large, packet_id))
        came = [client.read() for _ in range(6)]
        assert sorted(heard.first >> 4 for heard in came) == [3, 3, 3, 4, 4, 4]
        assert all(wire.got(heard).payload == large for heard in came if heard.first >> 4 == 3)


def test_closing_says_goodbye_in_mqtt_and_in_tls(ca: Authority) -> None:
    with Encrypted(ca) as running:
        sock = socket.create_connection((HOST, running.tls))
        context = ca.context(ca.held("lamp"))
        lamp = Wire(context.wrap_socket(sock, server_hostname=HOST, suppress_ragged_eofs=False), 5)
        lamp.send(wire.connect("lamp", version=5))
        assert lamp.read().body[1] == 0
    with lamp:
        assert lamp.last_words() == b"\xe0\2\x8b\0", "and no end that may be somebody's cut"


# Who it is


def test_the_event_names_the_certificate(running: Encrypted) -> None:
    with running.device("watch", "$aws/events/presence/#") as watch:
        with running.holder("lamp", "lamp"):
            came = json.loads(watch.message().payload)
        left = json.loads(watch.message().payload)
    assert came["principalIdentifier"] == running.ca.held("lamp").fingerprint
    assert left["principalIdentifier"] == came["principalIdentifier"]


@pytest.mark.parametrize(("version", "code"), [(4, 7), (5, 0x87)])
def test_who_may_not_connect_is_refused(running: Encrypted, version: int, code: int) -> None:
    assert running.answered("stranger", "stranger", version) == code, "no policy names it"
    assert running.answered("lamp", "door", version) == code, "its thing is the lamp"
    assert running.answered("lamp", "*", version) == code
    assert running.answered("lamp", "lamp", version) == 0
    assert running.answered("root", "door", version) == 0
    assert eventually(lambda: running.gateway.counts().refused == 3)


def test_with_a_login_both_are_asked_for(ca: Authority) -> None:
    with Encrypted(ca, users={"hana": "secret"}) as running:
        assert running.answered("lamp", "lamp") == 7
        assert running.answered("lamp", "lamp", login=("hana", "wrong")) == 7
        assert running.answered("stranger", "stranger", login=("hana", "secret")) == 7
        assert running.answered("lamp", "lamp", login=("hana", "secret")) == 0


def test_a_name_that_looks_like_a_fingerprint_is_nobodys(ca: Authority, tmp_path: Path) -> None:
    folder = shutil.copytree(ca.folder, tmp_path / "copy")
    ca.issue("false", ca.held("root").fingerprint)
    ca.issue("twice", "lamp", "lamp")
    for file in ("false.pem", "false.key", "twice.pem", "twice.key"):
        shutil.copy(ca.folder / file, folder)
    with Encrypted(ca) as running:
        assert running.answered("false", "door") == 7
        assert running.answered("twice", "lamp") == 7, "of two names neither counts"


def test_what_was_kept_for_another_certificate_is_not_given_to_this_one(running: Encrypted) -> None:
    with running.holder("root", "lamp", "hidden", clean=False):
        pass
    assert eventually(lambda: running.gateway.counts().clients == 0)
    with running.device("pub") as pub:
        pub.send(wire.publish("hidden", b"1", 1))
        assert pub.read().first == 0x40
        with running.holder("lamp", "lamp", "lamp/x", clean=False) as lamp:
            assert lamp.quiet()
            pub.send(wire.publish("hidden", b"2", 2))
            assert pub.read().first == 0x40
            assert lamp.quiet()
        assert eventually(lambda: running.gateway.counts().clients == 1)
        pub.send(wire.publish("lamp/x", b"3", 3))
        assert pub.read().first == 0x40
        with running.hello(running.ca.context(running.ca.held("lamp"))) as again:
            again.send(wire.connect("lamp", clean=False))
            assert again.read().body == b"\1\0", "its own session goes on"
            assert again.message().payload == b"3"


# What it may do


@pytest.mark.parametrize(
    ("topic", "retain", "allowed"),
    [
        ("lamp/x", False, True),
        ("lamp/x", True, True),
        ("lamp/fleeting", False, True),
        ("lamp/fleeting", True, False),
        ("lamp/secret", False, False),
        ("door/x", False, False),
        ("lamp", False, False),
        ("$aws/things/lamp/shadow/update", False, True),
        ("$aws/things/lamp/shadow/name/n/get", False, True),
        ("$aws/things/lamp/shadow/update", True, False),
        ("$aws/things/door/shadow/update", False, False),
        ("$aws/things/lamp/shadow/update/accepted", False, False),
        ("$aws/things/lamp/shadow/update/documents", False, False),
    ],
)
def test_what_the_policy_forbids_nobody_hears(
    running: Encrypted, topic: str, retain: bool, allowed: bool
) -> None:
    heard: queue.Queue[str] = queue.Queue()
    running.gateway.hook("#", lambda message, _: heard.put(message.topic))
    running.gateway.hook("$aws/#", lambda message, _: heard.put(message.topic))
    with running.holder("lamp", "lamp", version=5) as five:
        five.send(wire.publish(topic, b"", 1, version=5, retain=retain))
        assert five.read().body == (b"\0\1" if allowed else b"\0\1\x87")
        assert five.quiet(), "it is still there"
    with running.device("watch", "$aws/events/presence/disconnected/lamp") as watch:
        with running.holder("lamp", "lamp") as three:
            three.send(wire.publish(topic, b"", 1, retain=retain))
            if allowed:
                assert three.read().body == b"\0\1"
            else:
                assert three.closed(), "as on AWS"
        reason = json.loads(watch.message().payload)["disconnectReason"]
    assert reason == ("CONNECTION_LOST" if allowed else "FORBIDDEN_ACCESS")
    assert heard.qsize() == 2 * allowed


def test_an_alias_leads_to_no_topic_that_the_policy_forbids(running: Encrypted) -> None:
    with running.device("sub", "door/x") as sub, running.holder("lamp", "lamp", version=5) as lamp:
        lamp.send(wire.publish("door/x", b"1", 1, version=5, said=b"\x23\0\1"))
        lamp.send(wire.publish("", b"2", 2, version=5, said=b"\x23\0\1"))
        assert [lamp.read().body for _ in range(2)] == [b"\0\1\x87", b"\0\2\x87"]
        assert sub.quiet()


def test_no_policy_grants_what_only_the_service_may(running: Encrypted) -> None:
    with running.holder("root", "r", version=5) as root:
        for answer in (
            "get/accepted",
            "update/rejected",
            "update/delta",
            "update/documents",
            "delete/accepted",
        ):
            root.send(wire.publish(f"$aws/things/x/shadow/{answer}", b"{}", 1, version=5))
            assert root.read().body == b"\0\1\x87"
        root.send(wire.publish("$aws/events/presence/connected/x", b"{}", 1, version=5))
        assert root.read().body == b"\0\1\x87"


@pytest.mark.parametrize(("version", "no"), [(4, 0x80), (5, 0x87)])
def test_filters_are_granted_one_by_one(running: Encrypted, version: int, no: int) -> None:
    with running.holder("lamp", "lamp", version=version) as lamp:
        asked = ["lamp/x", "door/x", "#", "+/x", "lamp/secret", "$aws/things/+/shadow/get/accepted"]
        lamp.send(wire.subscribe(*asked, version=version))
        codes = lamp.read().body[2 + (version == 5) :]
        # A Deny of a topic denies no filter: what it would bring is judged by itself.
        assert list(codes) == [1, no, 1, no, 1, no]


def test_what_may_not_be_received_does_not_come(running: Encrypted) -> None:
    with running.device("pub") as pub:
        pub.send(
            wire.publish("door/kept", b"0", 1, retain=True), wire.publish("lamp/kept", b"1", 2, retain=True)
        )
        assert [pub.read().first for _ in range(2)] == [0x40, 0x40]
        with running.holder("lamp", "lamp", "#", "lamp/kept") as lamp:
            assert lamp.message()[:2] == ("lamp/kept", b"1")
            for topic in ("door/x", "lamp/secret", "lamp/x"):
                pub.send(wire.publish(topic, b"2", 3))
                assert pub.read().first == 0x40
            assert lamp.message()[:2] == ("lamp/x", b"2")
            assert lamp.quiet()


def test_a_will_needs_the_right_to_publish_it(running: Encrypted) -> None:
    assert running.answered("lamp", "lamp", 5, will=("door/x", b"")) == 0x87
    assert running.answered("lamp", "lamp", 5, will=("lamp/secret", b"")) == 0x87
    with running.device("watch", "lamp/x") as watch:
        assert running.answered("lamp", "lamp", 5, will=("lamp/x", b"gone")) == 0
        assert watch.message() == Got("lamp/x", b"gone")


# Clients as people have them


def void(_result: object) -> None:
    """For callbacks that must have no result."""


@pytest.mark.parametrize("protocol", [MQTTv311, MQTTv5])
def test_paho_may_do_what_its_policy_says_and_no_more(running: Encrypted, protocol: Any) -> None:
    heard: queue.Queue[MQTTMessage] = queue.Queue()
    granted: queue.Queue[list[int]] = queue.Queue()
    acknowledged: queue.Queue[Any] = queue.Queue()
    gone = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, "lamp", protocol=protocol, reconnect_on_failure=False)
    client.tls_set_context(running.ca.context(running.ca.held("lamp")))
    client.on_connect = lambda *_: void(client.subscribe([("lamp/x", 1), ("door/x", 1)]))
    client.on_subscribe = lambda _c, _u, _mid, codes, _p: granted.put([code.value for code in codes])
    client.on_message = lambda _c, _u, message: heard.put(message)
    client.on_publish = lambda _c, _u, _mid, code, _p: acknowledged.put(code.value)
    client.on_disconnect = lambda *_: gone.set()
    client.connect(HOST, running.tls)
    client.loop_start()
    try:
        assert granted.get(timeout=10) == [1, 0x87 if protocol == MQTTv5 else 0x80]
        client.publish("lamp/x", b"1", qos=1)
        assert heard.get(timeout=10).payload == b"1"
        assert acknowledged.get(timeout=10) == 0
        client.publish("door/x", b"1", qos=1)
        if protocol == MQTTv5:
            assert acknowledged.get(timeout=10) == 0x87
        else:
            assert gone.wait(10)
    finally:
        client.disconnect()
        client.loop_stop()


def test_awss_mqtt_5_client_may_do_what_its_policy_says_and_no_more(running: Encrypted) -> None:
    heard: queue.Queue[Any] = queue.Queue()
    connected, stopped = threading.Event(), threading.Event()
    mine = running.ca.held("lamp")
    client = mqtt5_client_builder.mtls_from_path(
        str(mine.certificate),
        str(mine.key),
        endpoint="localhost",
        port=running.tls,
        ca_filepath=str(running.ca.own.certificate),
        client_id="lamp",
        on_publish_received=lambda came: heard.put(came.publish_packet),
        on_lifecycle_connection_success=lambda _: connected.set(),
        on_lifecycle_stopped=lambda _: stopped.set(),
    )
    client.start()
    try:
        assert connected.wait(10)
        qos = mqtt5.QoS.AT_LEAST_ONCE
        asked = mqtt5.SubscribePacket([mqtt5.Subscription("lamp/x", qos), mqtt5.Subscription("door/x", qos)])
        assert client.subscribe(asked).result(10).reason_codes == [
            mqtt5.SubackReasonCode.GRANTED_QOS_1,
            mqtt5.SubackReasonCode.NOT_AUTHORIZED,
        ]
        for topic, code in (
            ("lamp/x", mqtt5.PubackReasonCode.SUCCESS),
            ("door/x", mqtt5.PubackReasonCode.NOT_AUTHORIZED),
        ):
            sent = client.publish(mqtt5.PublishPacket(topic=topic, qos=qos, payload=b"1"))
            assert sent.result(10).puback.reason_code is code
        assert heard.get(timeout=10).payload == b"1"
    finally:
        client.stop()
        assert stopped.wait(10)


def test_awss_3_1_1_client_may_do_what_its_policy_says_and_no_more(running: Encrypted) -> None:
    heard: queue.Queue[bytes] = queue.Queue()
    interrupted = threading.Event()
    mine = running.ca.held("lamp")
    connection = mqtt_connection_builder.mtls_from_path(
        str(mine.certificate),
        str(mine.key),
        endpoint="localhost",
        port=running.tls,
        ca_filepath=str(running.ca.own.certificate),
        client_id="lamp",
        clean_session=True,
        reconnect_min_timeout_secs=1,
        on_connection_interrupted=lambda **_: interrupted.set(),
    )
    connection.connect().result(10)
    try:
        qos = mqtt.QoS.AT_LEAST_ONCE
        connection.subscribe("lamp/x", qos, lambda payload, **_: heard.put(payload))[0].result(10)
        connection.publish("lamp/x", b"1", qos)[0].result(10)
        assert heard.get(timeout=10) == b"1"
        connection.publish("door/x", b"1", mqtt.QoS.AT_MOST_ONCE)
        assert interrupted.wait(10)
    finally:
        connection.disconnect().result(10)


# The folder


def complaint(folder: Path) -> str:
    with pytest.raises(TlsError) as wrong:
        Tls.read(folder)
    return str(wrong.value)


@pytest.mark.parametrize("name", ["server.pem", "server.key", "ca.pem", "policies.json"])
def test_a_file_that_is_missing_or_unreadable_is_named(ca: Authority, tmp_path: Path, name: str) -> None:
    file = shutil.copytree(ca.folder, tmp_path / "copy") / name
    file.write_bytes(b"\xff\xfe")
    assert complaint(file.parent) == f"{file}: expected text, got bytes that are not UTF-8"
    file.write_text("nonsense")
    assert complaint(file.parent).startswith(f"{file.with_name('server.pem' if 'server' in name else name)}")
    file.unlink()
    assert complaint(file.parent) == f"{file}: expected a file to read, got No such file or directory"


def test_a_key_of_another_certificate_and_a_ca_that_is_none_are_refused(
    ca: Authority, tmp_path: Path
) -> None:
    folder = shutil.copytree(ca.folder, tmp_path / "copy")
    shutil.copy(folder / "lamp.key", folder / "server.key")
    assert "server.key: expected a certificate and its own key" in complaint(folder)
    shutil.copy(ca.folder / "server.key", folder)
    shutil.copy(folder / "lamp.pem", folder / "ca.pem")
    assert complaint(folder) == f"{folder / 'ca.pem'}: expected the certificate of a CA, got another one"


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(ca: Authority, tmp_path: Path) -> None:
    folder = shutil.copytree(ca.folder, tmp_path / "copy")
    lock(folder / "server.key", b"x")
    read = "import pathlib, sys; from infra.local.gateway import Tls; Tls.read(pathlib.Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", read, folder],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        input="x\n",
    )
    assert "the key without a password" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Expecting property name enclosed in double quotes"),
        ("[]", "expected an object of common names and fingerprints, got []"),
        ('{"a": {}}', 'a: expected {"policy": {…}, "things"?: […]}, got {}'),
        ('{"a": {"policy": {}, "thing": []}}', 'a: expected {"policy": {…}, "things"?: […]}, got {'),
        ('{"": {"policy": {}}}', "expected a common name or a fingerprint, got ''"),
        ('{"a": {"policy": {}, "things": "x"}}', "a.things: expected a list of thing names, got 'x'"),
        ('{"a": {"policy": {}, "things": ["x/y"]}}', "a.things: expected a list of thing names, got ['x/y']"),
        ('{"a": {"policy": {}}}', "a.policy.Version: expected '2012-10-17', got None"),
        ('{"a": 1, "a": 2}', "a: expected once in an object, got it twice"),
        ("[" * 100_000, "maximum recursion depth exceeded"),
    ],
)
def test_what_is_wrong_in_the_policies_is_named(ca: Authority, tmp_path: Path, text: str, said: str) -> None:
    folder = shutil.copytree(ca.folder, tmp_path / "copy")
    (folder / "policies.json").write_text(text)
    assert complaint(folder).startswith(f"{folder / 'policies.json'}: {said}")


def test_a_fingerprint_may_be_written_as_openssl_shows_it(ca: Authority, tmp_path: Path) -> None:
    folder = shutil.copytree(ca.folder, tmp_path / "copy")
    mine = ca.held("root").fingerprint
    shown = ":".join(mine[i : i + 2] for i in range(0, 64, 2)).upper()
    write_policies(folder, {shown: {"policy": EVERYTHING}})
    assert set(Tls.read(folder).principals) == {mine}


# The whole


def test_by_tls_devices_may_come_from_the_network(tmp_path: Path) -> None:
    assert Settings(host="0.0.0.0", mqtt_tls=tmp_path).devices_host == "0.0.0.0"
    assert Settings(host="0.0.0.0", mqtt_user="hana").devices_host == "0.0.0.0"
    assert Settings(host="0.0.0.0").devices_host == "127.0.0.1"


def test_a_setting_that_names_no_such_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    from infra.local.run import start

    with ExitStack() as stack, pytest.raises(SettingsError) as refused:
        start(Settings(data=tmp_path / "data", mqtt_tls=tmp_path / "none"), stack)
    file = tmp_path / "none" / "server.pem"
    assert (
        str(refused.value)
        == f"STAFFCALL_MQTT_TLS: {file}: expected a file to read, got No such file or directory"
    )
    assert not (tmp_path / "data").exists()


def test_alone_a_device_asks_for_its_shadow_by_tls_and_for_no_other(ca: Authority, tmp_path: Path) -> None:
    with served(tmp_path, STAFFCALL_MQTT_TLS=str(ca.folder)) as (at, _, _):
        host, _, port = at["mqtt"].partition(":")
        sock = ca.context(ca.held("lamp")).wrap_socket(
            socket.create_connection((host, int(port))), server_hostname=host
        )
        with Wire(sock, 5) as lamp:
            lamp.send(wire.connect("lamp", version=5))
            assert lamp.read().body[1] == 0
            lamp.send(wire.subscribe("$aws/things/lamp/shadow/get/rejected", version=5))
            assert lamp.read().body[3:] == b"\1"
            lamp.send(wire.publish("$aws/things/lamp/shadow/get", b"", 1, version=5))
            assert {lamp.read().first >> 4, lamp.read().first >> 4} == {3, 4}
            lamp.send(wire.publish("$aws/things/door/shadow/get", b"", 2, version=5))
            assert lamp.read().body == b"\0\2\x87"
        with Wire(socket.create_connection((host, int(port)))) as plain:
            plain.send(wire.connect("lamp"))
            assert plain.last_words()[:1] in (b"", b"\x15")


def test_with_staff_call_a_button_presses_by_tls_and_the_subcommands_need_no_certificate(
    tmp_path: Path,
) -> None:
    ca = Authority(tmp_path / "tls")
    ca.server()
    ca.issue("button", "booth button")
    press = policy(
        statement("Allow", "iot:Connect", "client/*"),
        statement("Allow", "iot:Publish", "topic/staffcall/buttons/demo/press"),
    )
    write_policies(ca.folder, {"booth button": {"policy": press}})
    with FakeSlack() as slack, Shop(tmp_path / "data", slack, mqtt_tls=ca.folder) as shop:
        shop.furnish()
        host, _, port = shop.at.mqtt.partition(":")
        sock = ca.context(ca.held("button")).wrap_socket(
            socket.create_connection((host, int(port))), server_hostname=host
        )
        with Wire(sock, 5) as button:
            button.send(wire.connect("b", version=5))
            assert button.read().body[1] == 0
            button.send(wire.publish("staffcall/buttons/demo/press", b'{"click": "SINGLE"}', 1, version=5))
            assert button.read().body == b"\0\1"
            assert shop.state("hana") == "calling"
            button.send(wire.publish("staffcall/buttons/other/press", b'{"click": "SINGLE"}', 2, version=5))
            assert button.read().body == b"\0\2\x87"
        env = {"PATH": os.environ["PATH"], **shop.environment}
        command = [Path(sys.executable).with_name("staffcall"), "watch"]
        with subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as watch:
            assert watch.stdout
            seen = iter(watch.stdout)
            assert any("hana" in line and "calling" in line for line in seen)
            watch.terminate()
            list(seen)
