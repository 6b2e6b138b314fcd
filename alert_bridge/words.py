"""What an alert and the page of its link say, in two languages. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """All of one language.

    Attributes:
        title: of a message that has one, such as an e-mail.
        called, link: the message, and what follows where there is a link.
        waiting, button: of the page while a call is to be answered.
        going, passed, over, expired, unknown: of the page otherwise; ``passed`` where somebody else has the call.
    """

    title: str
    called: str
    link: str
    waiting: str
    button: str
    going: str
    passed: str
    over: str
    expired: str
    unknown: str


WORDS: Final[Mapping[str, Words]] = {
    "ja": Words(
        title="呼び出し: {booth}",
        called="{name}さん、「{booth}」でお客様がお待ちです。",
        link="向かうときはこちら: {url}",
        waiting="{name}さん、「{booth}」でお客様がお待ちです。",
        button="向かいます",
        going="{name}さんが「{booth}」に向かっています。お客様の画面にも表示されています。",
        passed="この呼び出しは{to}さんが引き継ぎました。",
        over="この呼び出しは終了しました。",
        expired="このリンクは期限切れです。",
        unknown="このリンクは無効です。",
    ),
    "en": Words(
        title="Call: {booth}",
        called="{name}, somebody is waiting for you at {booth}.",
        link="On my way: {url}",
        waiting="{name}, somebody is waiting for you at {booth}.",
        button="On my way",
        going="{name} is on the way to {booth}. The visitor's screen says so.",
        passed="{to} has this call now.",
        over="This call is over.",
        expired="This link has expired.",
        unknown="This link is not valid.",
    ),
}


def preferred(accepted: str, otherwise: str) -> str:
    """Of the languages that we speak the one that ``Accept-Language`` likes best; ``otherwise`` if it likes none."""

    def liking(part: str) -> float:
        _, _, weight = part.partition(";q=")
        try:
            return float(weight or 1)
        except ValueError:
            return 0.0

    for part in sorted(accepted.lower().split(","), key=liking, reverse=True):
        tongue = part.partition(";")[0].strip().partition("-")[0]
        if tongue in WORDS and liking(part) > 0:
            return tongue
    return otherwise
