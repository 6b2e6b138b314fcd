"""What a text says: the words that we know, as data, and the one function that hears them. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from shadows.staff import CallEvent

NOTE_LENGTH: Final = 140

# Lower case, half width, hiragana: so :func:`_folded` makes every text. A word counts only where a text starts.
WORDS: Final[Mapping[CallEvent, tuple[str, ...]]] = {
    CallEvent.OK: (
        *("ok", "okay", "o.k.", "okey", "roger", "on my way", "omw"),
        *(
            "おk",
            "おけ",
            "おっけ",
            "おーけ",
            "おっけい",
            "おーけい",
            "りょ",
            "りょうかい",
            "了解",
            "承知",
            "かしこまりました",
        ),
        *(
            "わかりました",
            "分かりました",
            "行きます",
            "いきます",
            "今行きます",
            "いま行きます",
            "すぐ行きます",
        ),
        *("向かいます", "今向かいます", "すぐ向かいます", "向かっています"),
    ),
    CallEvent.NO: (
        *("no", "nope", "ng"),
        *("無理", "むり", "だめ", "駄目", "いいえ", "できません", "出来ません", "行けません", "いけません"),
    ),
    CallEvent.DONE: (
        *("done", "finished", "completed"),
        *(
            "完了",
            "対応完了",
            "終了",
            "終わり",
            "おわり",
            "終わりました",
            "おわりました",
            "終わった",
            "済み",
            "対応済み",
        ),
    ),
    CallEvent.AWAY: (
        *("away", "afk"),
        *("離席", "退席", "休憩", "不在", "席を外します", "席外します"),
    ),
    CallEvent.BACK: (
        *("back", "i'm back", "i am back"),
        *("戻りました", "もどりました", "ただいま戻りました", "復帰"),
    ),
}
# Japanese has no spaces, and says "not" at the end of a word: only these endings leave its meaning alone.
ENDINGS: Final = (
    *(
        "です",
        "でーす",
        "っす",
        "だ",
        "しました",
        "いたしました",
        "致しました",
        "します",
        "いたします",
        "致します",
    ),
    *("しています", "してます", "中です", "中", "に入ります", "入ります", "ました"),
)

_TOKEN: Final = re.compile(r"<[^<>]*>")  # a mention, a channel, a link: what a person typed has &lt; there
_EMOJI: Final = re.compile(r":(?:[+-]1|[a-z_][a-z0-9_'+-]*)(?:::skin-tone-[2-6])?:")
_HIDDEN: Final = "\0"  # stands where a token stood: neither a letter nor a space
_KATAKANA: Final = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}
_SCRAPS: Final = "`|^~～"  # Unicode calls these symbols; at the start of a note they are only punctuation
_JOINER: Final = "\u200d"
_SKIN: Final = range(0x1F3FB, 0x1F400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A text that is meant for us.

    Attributes:
        event: what it says; None if that is doubtful.
        note: after an "ok", the rest of it: for the visitor.
    """

    event: CallEvent | None = None
    note: str = ""


def hear(text: str) -> Heard | None:
    """Hear what a text says; None if it is no answer at all.

    Args:
        text: in Slack's own encoding: ``&amp; &lt; &gt;``, ``<@U…>``, ``:emoji:``.
    """
    plain = _plain(text)
    start = next((at for at, char in enumerate(plain) if not _skipped(char)), len(plain))
    plain = plain[start:]
    folded = _folded(plain)
    for event, pattern in _STARTS.items():
        if found := pattern.match(folded):
            return _heard(event, folded[found.end() :], plain[_length_of(plain, found.end("word")) :])
    return Heard() if _ANYWHERE.search(folded) else None


def starts_with_word(text: str) -> bool:
    """Whether a text starts with one of our words, or with a longer word that starts so: a trigger word fires on it."""
    return _folded(text).lstrip().startswith(tuple(word for words in WORDS.values() for word in words))


def escaped(text: str) -> str:
    """Somebody's text, as Slack wants it inside a message: one line, and no mention or link of its own making."""
    line = " ".join(text.split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _heard(event: CallEvent, rest: str, original: str) -> Heard:
    gap = re.match(r"\W*", rest)
    punctuation = gap.group() if gap else ""
    nothing_follows = not any(char.isalnum() for char in rest)
    if "?" in punctuation:
        return Heard()
    if event is CallEvent.OK:
        return Heard(event=event, note=_note(original))
    if event in (CallEvent.DONE, CallEvent.AWAY) and punctuation.strip(
        " *"
    ):  # "done, thanks"; not "done with lunch"
        return Heard(event=event)
    return Heard(event=event) if nothing_follows else Heard()


def _plain(text: str) -> str:
    """As it was typed: the tokens are out first, for ``&lt;@U…&gt;`` is only text."""
    typed = _EMOJI.sub(" ", _TOKEN.sub(_HIDDEN, text.replace(_HIDDEN, " ")))
    return typed.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().translate(_KATAKANA).replace("’", "'")


def _length_of(text: str, folded: int) -> int:
    """How much of a text makes that many folded characters: ㌔ is one and becomes two, ｶﾞ is two and becomes one."""
    return next((n for n in range(len(text)) if len(_folded(text[:n])) >= folded), len(text))


def _skipped(char: str) -> bool:
    """Whether a word still starts a text after this: spaces, bold, emoji; not a quote's ``>``, not ``~``."""
    return char.isspace() or char in "*_" or unicodedata.category(char) in ("So", "Cf", "Mn")


def _note(rest: str) -> str:
    """What stands on the screen at the booth."""
    visible = "".join(char if _shown(char) else " " for char in rest)
    line = " ".join(visible.split())
    start = next((at for at, char in enumerate(line) if not _dropped(char)), len(line))
    if _bracket(line[start - 1 : start], "Ps") and _bracket(line[-1:], "Pe"):  # "ok (5 min)": both go
        line = line[:-1]
    return _cut(line[start:], NOTE_LENGTH)


def _bracket(char: str, category: str) -> bool:
    return char != "" and unicodedata.category(char) == category


def _shown(char: str) -> bool:
    return char == _JOINER or unicodedata.category(char) not in ("Cc", "Cf", "Cs")


def _dropped(char: str) -> bool:
    return char.isspace() or char in _SCRAPS or unicodedata.category(char).startswith("P")


def _cut(text: str, length: int) -> str:
    """The start of a text, without a letter or an emoji cut in two."""
    if len(text) <= length:
        return text
    end = length
    while end > length - 16 and _joined(text[end - 1], text[end]):
        end -= 1
    return text[:end].rstrip()


def _joined(before: str, after: str) -> bool:
    return (
        _JOINER in (before, after) or unicodedata.category(after) in ("Mn", "Me", "Mc") or ord(after) in _SKIN
    )


def _either(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def _start(words: Iterable[str]) -> re.Pattern[str]:
    """A word with its ending, or several of a kind ("ok了解です"), and then no letter, so that "okinawa" is none."""
    one = rf"(?:{_either(words)})ー*(?:{_either(ENDINGS)})?[よねー]*"
    return re.compile(rf"(?P<word>{one})(?:{one})*(?!_*[^\W\d_])(?!['-][^\W\d_])")


def _anywhere(words: Iterable[str]) -> re.Pattern[str]:
    latin = [word for word in words if word.isascii()]
    other = [word for word in words if not word.isascii()]
    return re.compile(rf"(?<![a-z0-9_'-])(?:{_either(latin)})(?![a-z0-9_])|(?<!\w)(?:{_either(other)})")


_STARTS: Final = {event: _start(words) for event, words in WORDS.items()}
_ANYWHERE: Final = _anywhere([word for words in WORDS.values() for word in words])
