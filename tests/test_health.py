"""What is wrong is said where somebody looks: once in the log, in /healthz, /admin and /metrics; and it says what to do."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local import deliverer
from infra.local.health import Health, public
from shadows.trouble import Trouble
from tests.fake_slack import FakeSlack
from tests.shop import ADMIN_TOKEN, Shop, get, until

ARCHIVED = Trouble(
    what="slack", since=5, detail="Slack answered 410 channel_is_archived", fix="Unarchive it."
)


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture
def shop(tmp_path: Path, slack: FakeSlack) -> Iterator[Shop]:
    with Shop(tmp_path / "data", slack) as shop:
        yield shop.furnish()


@pytest.fixture
def troubles() -> list[Trouble]:
    return []


@pytest.fixture
def health(troubles: list[Trouble]) -> Iterator[Health]:
    made = Health(lambda: 7)
    made.listen_to("slack", lambda: troubles)
    made.listen_to("audit", list)
    made.start()
    yield made
    made.stop()


def healthz(shop: Shop) -> Any:
    return get(shop.url("/healthz"))[1]


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "infra.local.health" and record.levelno == level
    ]


def test_a_trouble_is_in_the_log_once_when_it_begins_and_once_when_it_ends(
    health: Health, troubles: list[Trouble], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    troubles.append(ARCHIVED)
    until(lambda: lines(caplog, logging.ERROR), "the beginning")
    troubles[:] = [Trouble(what="slack", since=6, detail="the same, in other words", fix="Unarchive it.")]
    other = Trouble(what="slack", thing="staff-hana", since=5, detail="of one", fix="Mend it.")
    troubles.append(other)
    until(lambda: len(lines(caplog, logging.ERROR)) > 1, "another one")
    troubles.clear()
    until(lambda: len(lines(caplog, logging.INFO)) == 2, "the ends")
    assert lines(caplog, logging.ERROR) == [
        "Trouble with slack: Slack answered 410 channel_is_archived. Unarchive it.",
        "Trouble with slack, staff-hana: of one. Mend it.",
    ]


def test_troubles_are_counted_by_what_knows_of_them(health: Health, troubles: list[Trouble]) -> None:
    assert health.counts() == {"slack": 0, "audit": 0}
    troubles += [ARCHIVED, ARCHIVED]
    assert health.counts() == {"slack": 2, "audit": 0}


def test_the_oldest_trouble_comes_first(health: Health, troubles: list[Trouble]) -> None:
    older = Trouble(what="slack", since=4, detail="older", fix="f")
    troubles += [ARCHIVED, older]
    assert health.troubles() == [older, ARCHIVED]


def test_a_part_that_cannot_say_what_is_wrong_is_a_trouble_itself(
    health: Health, troubles: list[Trouble], caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> list[Trouble]:
        raise ZeroDivisionError

    health.listen_to("audit", broken)
    troubles.append(ARCHIVED)
    for _ in range(2):
        assert [trouble.what for trouble in health.troubles()] == ["slack", "audit"]
    assert caplog.text.count("Traceback") == 1


def test_who_may_read_it_all_reads_whom_it_is_about_and_others_do_not() -> None:
    two = [
        Trouble(what="slack", thing=f"staff-{name}", since=1, detail="d", fix="f")
        for name in ("hana", "sora")
    ]
    assert public(two) == [{"what": "slack", "detail": "d", "fix": "f"}]


def test_without_any_trouble_all_is_ok(shop: Shop) -> None:
    assert healthz(shop) == {"status": "ok"}
    assert shop.admin()["troubles"] == []
    assert 'staffcall_trouble{what="slack"} 0.0' in shop.admin("/metrics").splitlines()


def test_what_somebody_has_to_mend_is_a_trouble_at_once_until_a_message_is_told(
    shop: Shop, slack: FakeSlack
) -> None:
    slack.next(status=410, body="channel_is_archived")
    shop.press()
    seen = until(lambda: "troubles" in healthz(shop) and healthz(shop), "the trouble")
    (trouble,) = seen["troubles"]
    assert (seen["status"], trouble["what"], trouble["detail"]) == (
        "trouble",
        "slack",
        "Slack answered 410 channel_is_archived",
    )
    assert "SLACK_CHANNEL" in trouble["fix"]
    assert get(shop.url("/healthz"))[0] == 200
    (known,) = shop.admin()["troubles"]
    assert known == {**trouble, "thing": "", "since": known["since"]}
    assert 'staffcall_trouble{what="slack"} 1.0' in shop.admin("/metrics").splitlines()
    shop.press(click="DOUBLE")  # what is newer is tried at once
    until(lambda: healthz(shop) == {"status": "ok"}, "the end of it")
    assert slack.refused == 1


def test_a_message_that_slack_refuses_alone_is_a_trouble_for_as_long_as_it_is_to_be_told(
    shop: Shop, slack: FakeSlack
) -> None:
    slack.next(status=400, body="user_not_found")
    shop.press()
    (trouble,) = until(lambda: shop.admin()["troubles"], "the trouble")
    assert (trouble["thing"], "id" in trouble["fix"]) == ("staff-hana", True)
    assert "staff-hana" not in str(healthz(shop))
    shop.says("U0HANA", "ok")
    until(lambda: healthz(shop) == {"status": "ok"}, "the end of it")


def test_what_may_pass_is_a_trouble_once_it_lasts(shop: Shop, slack: FakeSlack) -> None:
    slack.always(status=200, body="<html>Welcome to our Wi-Fi</html>")
    shop.press()
    until(lambda: slack.refused, "a refusal")
    (trouble,) = until(lambda: healthz(shop).get("troubles"), "the trouble", 20)
    assert (trouble["detail"], "by itself" in trouble["fix"]) == ("Slack answered 200", True)
    slack.always()
    until(lambda: healthz(shop) == {"status": "ok"}, "the end of it", 20)


def test_what_may_pass_is_no_trouble_at_once(
    shop: Shop, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliverer, "LASTING_MS", 600_000)
    slack.always(status=500)
    shop.press()
    until(lambda: slack.refused == 2, "two refusals", 20)
    assert healthz(shop) == {"status": "ok"}


def test_what_may_have_passed_is_no_trouble_once_nothing_is_left_to_be_told(
    shop: Shop, slack: FakeSlack
) -> None:
    slack.always(status=500)
    shop.press()
    until(lambda: healthz(shop).get("troubles"), "the trouble", 20)
    shop.says("U0HANA", "ok")
    until(lambda: healthz(shop) == {"status": "ok"}, "the end of it")


def test_that_no_slack_is_set_is_a_trouble_when_somebody_waits(tmp_path: Path, slack: FakeSlack) -> None:
    with Shop(tmp_path / "data", slack, slack_webhook_url="") as shop:
        shop.furnish()
        assert healthz(shop) == {"status": "ok"}
        shop.press()
        (trouble,) = until(lambda: healthz(shop).get("troubles"), "the trouble", 20)
        assert "SLACK_WEBHOOK_URL" in trouble["fix"]
        assert ADMIN_TOKEN not in str(trouble)
