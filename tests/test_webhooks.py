"""Other programs hear of each transition: signed, in order, at least once, whatever they and our deaths do in between."""

import json
import logging
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import DNSName, SubjectAlternativeName

from infra.cli import main
from infra.local import history, webhooks
from infra.local.history import erase, last, prepare, prune, remember
from infra.local.signs import PERIOD_S
from infra.local.store import Store
from infra.local.webhooks import Webhook, Webhooks
from infra.settings import Settings, SettingsError
from infra.webhook import PUBLIC, NotSent, post, signature, trial
from tests.certificates import Authority
from tests.fake_slack import FakeSlack
from tests.receiver import SECRET, Receiver, answers, drips, drops, hangs
from tests.shop import ROOT, Process, Shop, get, until

NOW = 1_793_235_600_000


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setitem(PERIOD_S, "webhook", 0.05)  # nobody says here that something is new
    store = Store(tmp_path / "file.sqlite3")
    store.run(lambda db: prepare(db, NOW))
    yield store
    store.close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "FIRST_PAUSE_S", 0.05)


def happens(store: Store, *whys: str, at: int = NOW) -> None:
    """Transitions of Hana's, one after the other."""
    for why in whys:
        count = store.run(last) + 1
        call = {"id": "01JD", "booth": "main", "count": count}
        asked = {"state": "calling", "since": at, "why": why, "call": call}
        state = {
            "desired": asked,
            "reported": {"name": "花 Hana", "seen": [f"button-440107777000003:{count}"]},
        }
        store.run(lambda db, state=state: remember(db, at, "staff-hana", None, state))  # type: ignore[misc]


class Sending:
    """What sends the transitions of a store to some addresses."""

    def __init__(self, store: Store, *urls: str) -> None:
        self.alive: list[str] = []
        self.all = Webhooks(urls, SECRET, store, self.alive.append)

    def __enter__(self) -> Webhooks:
        self.all.start()
        return self.all

    def __exit__(self, *_: object) -> None:
        self.all.stop()


# --- What is sent


def test_the_signature_is_that_of_the_specifications_own_example() -> None:
    # From the tests of its reference libraries, github.com/standard-webhooks/standard-webhooks.
    secret, id = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert signature(secret, id, 1614265330, b'{"test": 2432232314}') == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_each_transition_of_a_call_is_sent_signed_and_in_order(
    tmp_path: Path, slack: FakeSlack, receiver: Receiver
) -> None:
    addresses = (receiver.url(),)
    with Shop(tmp_path / "data", slack, webhook_urls=addresses, webhook_secret=SECRET) as shop:
        shop.furnish().press()
        until(lambda: shop.is_told("hana"), "the report")
        shop.says("U0HANA", "ok, two minutes")
        shop.says("U0HANA", "done")
        shop.says("U0HANA", "away")
        shop.says("U0HANA", "back")
        rows = [row for row in shop.history() if row["thing"] == "staff-hana"]
        until(lambda: len(receiver.got) == len(shop.history()), "all of them")
        counts = shop.admin("/metrics").splitlines()
        signs = {sign["of"] for sign in shop.admin("/admin/api/signs")["signs"]}
    hanas = [each for each in receiver.got if each.body["data"]["thing"] == "staff-hana"]
    assert [each.body["type"] for each in hanas] == [
        f"call.{why}" for why in ("back", "press", "ok", "done", "away", "back")
    ]
    assert [each.body["data"] for each in hanas] == [{name: row[name] for name in PUBLIC} for row in rows]
    running = hanas[2].body
    assert (running["data"]["name"], running["data"]["state"], running["data"]["note"]) == (
        "花 Hana",
        "running",
        "two minutes",
    )
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", running["timestamp"])
    assert all(each.is_right for each in receiver.got)
    assert [each.id for each in hanas] == [f"msg_{row['at']}_{row['n']}" for row in rows]
    assert f'staffcall_webhook_sent_total{{of="webhook-1"}} {len(receiver.got)}.0' in counts
    assert 'staffcall_webhook_pending{of="webhook-1"} 0.0' in counts
    assert "webhook-1" in signs


def test_nothing_private_is_sent(store: Store, receiver: Receiver) -> None:
    with Sending(store, receiver.url()):
        happens(store, "press")
        until(lambda: receiver.got, "the message")
    (got,) = receiver.got
    assert "440107777000003" in json.dumps(store.run(lambda db: history.rows(db, history.Wanted())))
    assert b"440107777000003" not in got.raw
    assert "440107777000003" not in str(got.headers)
    assert set(got.body) == {"type", "timestamp", "data"}
    assert not {"key", "n"} & set(got.body["data"])


def test_who_logs_in_by_the_url_does_so_in_a_header_and_the_query_stays(
    store: Store, receiver: Receiver
) -> None:
    url = receiver.url("/in?token=t").replace("://", "://us%40er:pass@")
    with Sending(store, url):
        happens(store, "press")
        until(lambda: receiver.got, "the message")
    (got,) = receiver.got
    assert (got.path, got.headers["Authorization"]) == ("/in?token=t", "Basic dXNAZXI6cGFzcw==")
    assert got.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert got.headers["Content-Type"] == "application/json"


# --- What receivers do


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (answers(500), "answered 500"),
        (answers(404), "answered 404"),
        (answers(302, Location="/elsewhere"), "answered 302, and redirects are not followed"),
        (drops, "not reached: RemoteDisconnected"),
        (hangs, "no answer within 3 s"),
        (drips, "no answer within 3 s"),
    ],
    ids=["500", "404", "302", "drops", "hangs", "drips"],
)
def test_what_is_not_taken_is_sent_again_and_nothing_before_it(
    store: Store, receiver: Receiver, caplog: pytest.LogCaptureFixture, does: Any, reason: str
) -> None:
    caplog.set_level(logging.WARNING)
    receiver.next(does, does)
    with Sending(store, receiver.url()):
        happens(store, "press", "ok")
        until(lambda: len(set(receiver.ids)) == 2, "both", 20)
        if does in (hangs, drips):
            until(lambda: len(receiver.hung_up) == 2, "the end of both connections", 20)
    first, second = dict.fromkeys(receiver.ids)
    assert receiver.ids == [first, first, first, second]
    assert receiver.whys == ["press", "ok"]
    assert all(each.is_right for each in receiver.got)
    assert {each.path for each in receiver.got} == {"/in"}
    assert f"webhook-1: 127.0.0.1 did not take a message: {reason}; next try in 0 s" in caplog.messages
    assert str(receiver.port) not in caplog.text


def test_by_https_it_speaks_only_to_whom_it_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path / "ca")
    elsewhere = SubjectAlternativeName([DNSName("elsewhere.example")])
    with Receiver(authority.server()) as right, Receiver(authority.issue("wrong", also=elsewhere)) as wrong:
        with pytest.raises(NotSent, match="not reached: SSLCertVerificationError"):
            post(right.url(), SECRET, trial())
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.own.certificate))
        post(right.url(), SECRET, trial())
        with pytest.raises(NotSent, match="not reached: SSLCertVerificationError"):
            post(wrong.url(), SECRET, trial())
        right.next(hangs)
        with pytest.raises(NotSent, match="no answer within 3 s"):
            post(right.url(), SECRET, trial())
        until(lambda: right.hung_up, "the end of the connection", 20)
    assert [len(each.got) for each in (right, wrong)] == [2, 0]


def test_one_that_hangs_holds_up_no_other_and_no_call(
    tmp_path: Path, slack: FakeSlack, receiver: Receiver
) -> None:
    receiver.always = answers(204)
    with Receiver() as hung:
        hung.always = hangs
        urls = (hung.url(), receiver.url())
        with Shop(tmp_path / "data", slack, webhook_urls=urls, webhook_secret=SECRET) as shop:
            shop.furnish().press()
            until(lambda: shop.is_told("hana"), "the report")
            until(lambda: "press" in receiver.whys, "the other one")
            assert set(hung.whys) <= {"back"}


def test_how_long_to_wait_is_respected_in_seconds_and_as_a_date(receiver: Receiver) -> None:
    for value, least, most in (
        ("7", 7, 7),
        (formatdate(time.time() + 30, usegmt=True), 20, 30),
        ("9999999", 3600, 3600),
    ):
        receiver.next(answers(503, Retry_After=value))
        with pytest.raises(NotSent) as no:
            post(receiver.url(), SECRET, trial())
        assert least <= (no.value.retry_after_s or 0) <= most
    for nonsense in ("soon", "-1", "nan"):
        receiver.next(answers(429, Retry_After=nonsense))
        with pytest.raises(NotSent) as no:
            post(receiver.url(), SECRET, trial())
        assert no.value.retry_after_s is None


def test_nothing_is_sent_before_the_time_that_was_asked_for(store: Store, receiver: Receiver) -> None:
    receiver.next(answers(429, Retry_After="2"))
    with Sending(store, receiver.url()):
        happens(store, "press")
        until(lambda: receiver.got, "the first try")
        happens(store, "ok")
        until(lambda: len(receiver.got) == 3, "both", 20)
    assert receiver.got[1].at - receiver.got[0].at >= 2


def test_the_pauses_grow_to_ten_minutes_and_are_never_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "FIRST_PAUSE_S", 1.0)

    def refused(*_: object) -> None:
        raise NotSent("answered 500")

    monkeypatch.setattr(webhooks, "post", refused)
    one = Webhook("webhook-1", "http://127.0.0.1:1/", SECRET, store, lambda _: None)
    happens(store, "press")
    pauses = []
    for _ in range(14):
        one._not_before = 0.0
        pauses.append(one._step())
    for n, pause in enumerate(pauses):
        longest = min(600.0, 2.0**n)
        assert longest / 2 <= pause <= longest
    assert len(set(pauses)) == len(pauses)


def test_an_address_that_is_gone_is_left_alone_until_the_next_start(store: Store, receiver: Receiver) -> None:
    receiver.next(answers(410))
    with Sending(store, receiver.url()) as sending:
        happens(store, "press", "ok")
        trouble = until(sending.troubles, "the trouble")[0]
        for _ in range(20):
            sending.wake()
        assert len(receiver.got) == 1
    assert (trouble.what, trouble.detail) == (
        "webhook",
        "The webhook at 127.0.0.1 wants no more messages (410)",
    )
    assert "start `staffcall run` again" in trouble.fix
    with Sending(store, receiver.url()) as sending:
        until(lambda: len(receiver.got) == 3, "what it missed")
        assert sending.troubles() == []
    assert receiver.whys == ["press", "ok"]


def test_what_lasts_is_a_trouble_that_names_the_host_alone(
    tmp_path: Path,
    slack: FakeSlack,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(webhooks, "LASTING_S", 0.5)
    monkeypatch.setattr(webhooks, "LONGEST_PAUSE_S", 0.2)
    receiver.always = answers(500)
    url = receiver.url("/path-secret?query-secret").replace("://", "://user-secret:word-secret@")
    with Shop(tmp_path / "data", slack, webhook_urls=(url,), webhook_secret=SECRET) as shop:
        shop.furnish()
        (said,) = until(lambda: get(shop.url("/healthz"))[1].get("troubles"), "the trouble", 20)
        assert said == {
            "what": "webhook",
            "detail": "Messages do not reach the webhook at 127.0.0.1 (answered 500)",
            "fix": "See that 127.0.0.1 is reached from here, and answers 2xx; it goes on by itself then.",
        }
        assert 'staffcall_trouble{what="webhook"} 1.0' in shop.admin("/metrics").splitlines()
        pages = json.dumps([shop.admin("/admin"), shop.admin("/admin/api/signs"), shop.admin("/metrics")])
        receiver.always = answers(200)
        until(lambda: get(shop.url("/healthz"))[1] == {"status": "ok"}, "its end", 20)
    stored = b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir())
    for secret in (
        "path-secret",
        "query-secret",
        "user-secret",
        "word-secret",
        SECRET.removeprefix("whsec_"),
    ):
        assert secret not in pages + caplog.text
        assert secret.encode() not in stored


def test_what_passes_within_a_minute_is_no_trouble(store: Store, receiver: Receiver) -> None:
    receiver.next(answers(500), answers(500))
    seen = []
    with Sending(store, receiver.url()) as sending:
        happens(store, "press")
        until(lambda: seen.append(sending.troubles()) or len(receiver.got) == 3, "the message")  # type: ignore[func-returns-value]
    assert not any(seen)


# --- What is remembered


def test_a_new_address_begins_with_what_comes_now_and_an_old_one_goes_on(
    store: Store, receiver: Receiver
) -> None:
    happens(store, "press")
    with Receiver() as other:
        with Sending(store, receiver.url()):
            happens(store, "ok")
            until(lambda: receiver.got, "the message")
        happens(store, "done")
        with Sending(store, receiver.url(), other.url()):
            until(lambda: len(receiver.got) == 2, "what came meanwhile")
            happens(store, "away")
            until(lambda: other.got and len(receiver.got) == 3, "the next")
        assert (receiver.whys, other.whys) == (["ok", "done", "away"], ["away"])


def test_that_all_rows_were_too_old_loses_none_that_comes_after(store: Store, receiver: Receiver) -> None:
    with Sending(store, receiver.url()):
        happens(store, "press", "ok")
        until(lambda: len(receiver.got) == 2, "both")
    assert store.run(lambda db: prune(db, "history", NOW + 1)) == 2
    with Sending(store, receiver.url()):
        happens(store, "done", at=NOW + 1)
        until(lambda: len(receiver.got) == 3, "the next")
    assert receiver.whys == ["press", "ok", "done"]
    assert len(set(receiver.ids)) == 3


def test_what_is_too_old_before_it_was_taken_is_not_waited_for(store: Store, receiver: Receiver) -> None:
    receiver.always = answers(500)
    with Sending(store, receiver.url()) as sending:
        happens(store, "press", "ok")
        until(lambda: receiver.got, "a try")
        assert store.run(lambda db: prune(db, "history", NOW + 1)) == 2
        happens(store, "done", at=NOW + 1)
        receiver.always = answers(204)
        tried = len(receiver.got)
        until(lambda: receiver.whys[-1] == "done", "the next", 20)
        until(lambda: sending.counts()['webhook_pending{of="webhook-1"}'] == 0, "the end")
    assert len(receiver.got) - tried <= 2


def test_who_is_erased_is_not_named_to_anybody_any_more(store: Store, receiver: Receiver) -> None:
    receiver.next(answers(500, Retry_After="1"))
    with Sending(store, receiver.url()):
        happens(store, "press")
        until(lambda: receiver.got, "a try")
        store.run(lambda db: erase(db, "staff-hana"))
        until(lambda: len(receiver.got) == 2, "the next", 20)
    first, second = receiver.got
    assert first.id == second.id
    assert b"ana" not in second.raw
    assert second.body["data"]["thing"] == "erased-1"


def test_a_place_that_is_not_on_disk_is_one_repeat_and_no_end(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = history.reached

    def full(*_: object) -> None:
        raise webhooks.Rejected(500, "Internal service failure: database or disk is full")

    monkeypatch.setattr(history, "reached", full)
    with Sending(store, receiver.url()):
        happens(store, "press", "ok")
        until(lambda: len(receiver.got) == 2, "both")
        until(lambda: caplog.text.count("is not on record") == 2, "both lines")
    monkeypatch.setattr(history, "reached", real)
    with Sending(store, receiver.url()):
        until(lambda: len(receiver.got) == 4, "both again")
    assert receiver.ids[:2] == receiver.ids[2:]


def test_a_history_that_cannot_be_read_now_is_read_later(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = history.after
    fails = threading.Event()

    def after(db: Any, n: int) -> Any:
        if fails.is_set():
            raise OSError("disk I/O error")
        return real(db, n)

    monkeypatch.setattr(history, "after", after)
    fails.set()
    sent = Sending(store, receiver.url())
    with sent:
        until(lambda: "cannot be followed now" in caplog.text, "the line")
        assert sent.alive == []
        fails.clear()
        happens(store, "press")
        until(lambda: receiver.got, "the message")
    assert set(sent.alive) == {"webhook-1"}


def test_kill_9_loses_nothing_and_repeats_have_the_same_id(
    tmp_path: Path, slack: FakeSlack, receiver: Receiver
) -> None:
    shop = Shop(tmp_path / "data", slack, quiet_s=0.0)
    env = {"STAFFCALL_WEBHOOK_URL": receiver.url(), "STAFFCALL_WEBHOOK_SECRET": SECRET}
    with Process(shop, **env) as process:
        shop.furnish()
        until(lambda: len(receiver.got) == 2, "the two who are new")
        receiver.next(hangs)  # it dies while this one is under way
        shop.press()
        until(lambda: len(receiver.got) == 3, "the press")
        process.restart()
        until(lambda: receiver.ids.count(receiver.ids[2]) == 2, "the same once more", 20)
        receiver.next(*[answers(500)] * 50)  # it dies while it waits
        shop.says("U0HANA", "ok")
        shop.says("U0HANA", "done")
        until(lambda: len(set(receiver.ids)) == 4, "the ok", 20)
        process.end(signal.SIGKILL)
        receiver._next.clear()
        process.start()
        rows = shop.history()
        until(lambda: len(set(receiver.ids)) >= len(rows), "all of them", 20)
        assert process.end(signal.SIGTERM) == 0
    assert [row["why"] for row in rows] == ["back", "back", "press", "ok", "done"]
    assert list(dict.fromkeys(receiver.ids)) == [f"msg_{row['at']}_{row['n']}" for row in rows]
    assert all(each.is_right for each in receiver.got)
    assert process.output.count(b"Traceback") == 0


def test_it_ends_in_time_though_an_address_hangs(
    tmp_path: Path, slack: FakeSlack, receiver: Receiver
) -> None:
    receiver.always = hangs
    shop = Shop(tmp_path / "data", slack)
    env = {"STAFFCALL_WEBHOOK_URL": receiver.url(), "STAFFCALL_WEBHOOK_SECRET": SECRET}
    with Process(shop, **env) as process:
        shop.furnish()
        until(lambda: receiver.got, "the first")
        assert process.end(signal.SIGTERM) == 0  # within 20 s, or it raises


# --- How it is set


def test_addresses_are_separated_by_spaces_or_commas() -> None:
    env = {
        "STAFFCALL_WEBHOOK_URL": " https://a.example/x?y=1, http://10.0.0.7:8081/in\thttps://a.example/x?y=1\t,",
        "STAFFCALL_WEBHOOK_SECRET": SECRET,
    }
    settings = Settings.from_env(env)
    assert settings.webhook_urls == ("https://a.example/x?y=1", "http://10.0.0.7:8081/in")
    assert settings.webhook_secret == SECRET
    assert "a.example" not in repr(settings)
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("url", "got"),
    [
        ("ftp://hooks.example/canary?canary", "ftp://hooks.example/…"),
        ("https://a.example/x, ws://b.example:81/canary", "ws://b.example:81/… as number 2"),
        ("https://canary:canary@:80/x", "something else"),
        ("https://user:can/ary@hooks.example/", "something else"),
        ("ftp://canary:canary@hooks.example/", "something else"),
        ("hooks.example/canary", "something else"),
        ("https://hooks.example:99999/canary", "https://hooks.example:99999/…"),
        ("https://hooks.example/canaryé", "https://hooks.example/…"),
        ("canary://", "something else"),
        (",", "something else"),
    ],
)
def test_an_address_that_is_none_is_named_without_what_is_secret_in_it(url: str, got: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        Settings.from_env({"STAFFCALL_WEBHOOK_URL": url, "STAFFCALL_WEBHOOK_SECRET": SECRET})
    assert str(wrong.value) == (
        "STAFFCALL_WEBHOOK_URL: expected URLs that begin with https:// or http://, with spaces or commas between them, "
        f"got {got}"
    )
    assert "canary" not in str(wrong.value)


@pytest.mark.parametrize(
    ("secret", "got"),
    [
        ("canary", "something without whsec_"),
        ("whsec_canary!", "whsec_ and no base64"),
        ("whsec_Y2FuYXJ5", "whsec_ and 6 bytes"),
        ("whsec_" + "Y2Fu" * 22, "whsec_ and 66 bytes"),
    ],
)
def test_a_secret_that_is_none_is_complained_about_and_not_shown(secret: str, got: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        Settings.from_env({"STAFFCALL_WEBHOOK_URL": "https://a.example", "STAFFCALL_WEBHOOK_SECRET": secret})
    assert str(wrong.value) == (
        "STAFFCALL_WEBHOOK_SECRET: expected whsec_ and 24 to 64 random bytes in base64 (`openssl rand -base64 32` makes "
        f"some), got {got}"
    )


def test_an_address_needs_a_secret() -> None:
    with pytest.raises(SettingsError, match="STAFFCALL_WEBHOOK_SECRET: expected both or neither, got one"):
        Settings.from_env({"STAFFCALL_WEBHOOK_URL": "https://a.example"})


def test_the_doctor_sends_a_message_about_nothing_if_it_may(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://localhost:{free.getsockname()[1]}/canary"
    monkeypatch.setenv("STAFFCALL_DATA", str(tmp_path))
    monkeypatch.setenv("STAFFCALL_WEBHOOK_URL", f"{receiver.url()} {closed}")
    monkeypatch.setenv("STAFFCALL_WEBHOOK_SECRET", SECRET)

    def said(*options: str) -> list[str]:
        main(["doctor", *options])
        lines = capsys.readouterr().out.splitlines()
        return [line for line in lines if line.split()[1:2] == ["webhook"]]

    unseen = said()
    assert [line.split()[0] for line in unseen] == ["right", "unknown", "unknown"]
    assert receiver.got == []
    right, wrong = said("--post")
    assert right.split() == ["right", "webhook", "3"]
    assert (
        "The webhook at localhost did not take a message (not reached: ConnectionRefusedError). See that"
        in wrong
    )
    (got,) = receiver.got
    assert (got.body["type"], got.body["data"], got.is_right) == ("staffcall.test", {}, True)
    assert "canary" not in "".join([*unseen, right, wrong])


def test_the_pages_snippet_takes_what_is_right_and_nothing_else(store: Store, receiver: Receiver) -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs/webhooks.md").read_text("utf-8"), re.DOTALL)
    assert code
    named: dict[str, Any] = {}
    exec(code[1], named)
    with Sending(store, receiver.url()):
        happens(store, "press")
        until(lambda: receiver.got, "the message")
    (got,) = receiver.got
    assert named["is_ours"](SECRET, got.headers, got.raw)
    assert not named["is_ours"](SECRET, got.headers, got.raw + b" ")
    assert not named["is_ours"]("whsec_" + "AAAA" * 8, got.headers, got.raw)
    got.headers.replace_header("webhook-timestamp", str(int(time.time()) - 301))
    assert not named["is_ours"](SECRET, got.headers, got.raw)
