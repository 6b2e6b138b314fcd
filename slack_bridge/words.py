"""What a text says: the one function that hears the words of :mod:`slack_bridge.vocabulary`. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from shadows.staff import CallEvent
from slack_bridge.vocabulary import VOCABULARIES

NOTE_LENGTH: Final = 140

MOST_MINUTES: Final = 60  # who says more does not say when they are there

_TOKEN: Final = re.compile(r"<[^<>]*>")  # a mention, a channel, a link: what a person typed has &lt; there
_CALLS: Final = re.compile(r"<[@!]")
_EMOJI: Final = re.compile(r":(?:[+-]1|[a-z_][a-z0-9_'+-]*)(?:::skin-tone-[2-6])?:")
_HIDDEN: Final = "\0"  # stands where a token stood: neither a letter nor a space
_KATAKANA: Final = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}
_SCRAPS: Final = "`|^~～"  # Unicode calls these symbols; at the start of a note they are only punctuation
_JOINER: Final = "\u200d"
_SKIN: Final = range(0x1F3FB, 0x1F400)
_ACCENTS: Final = str.maketrans("àáâãäçèéêëìíîïñòóôõöùúûüý’", "aaaaaceeeeiiiinooooouuuuy'")


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
    plain = _started(text)
    folded = _folded(plain)
    for event, pattern in _STARTS.items():
        if found := pattern.match(folded):
            word, rest = found["word"], folded[found.end() :]
            if not _is_sure(event, word, rest):
                return Heard()
            note = _note(plain[_length_of(plain, found.end("word")) :]) if event is CallEvent.OK else ""
            return Heard(event=event, note=note)
    if (found := _PROMISE.match(folded)) and _is_sure(CallEvent.OK, "", folded[found.end() :]):
        return Heard(event=CallEvent.OK, note=_note(plain))
    return Heard() if _UNSURE.match(folded) or _ANYWHERE.search(folded) else None


def may_answer(text: str) -> bool:
    """Whether a text that is no answer may be one of somebody who was asked: a bare "yes", or minutes."""
    folded = _folded(_started(text))
    return _NOD.fullmatch(folded) is not None or _ARRIVES.match(folded) is not None


def starts_like_an_answer(text: str) -> bool:
    """Whether a text starts with one of our words, whatever comes then."""
    folded = _folded(_started(text))
    return any(pattern.match(folded) for pattern in (_UNSURE, _OPENING))


def for_the_visitor(text: str) -> str:
    """A text as it may stand on the screen at the booth; "" if it calls somebody, asks something or says nothing."""
    if _CALLS.search(text):
        return ""
    note = _note(_plain(text).replace(_HIDDEN, " "))
    return "" if _ASKS.search(_folded(note)) else note


def minutes(note: str) -> int:
    """In how many minutes somebody says that they are there, from 1 to 60; 0 if they do not say, or not clearly."""
    folded = _folded(note)
    if _OTHER_TIMES.search(folded) or "?" in folded:
        return 0
    said = {int(found["number"]) for found in _MINUTES.finditer(folded)}
    if found := _SOON.match(folded):
        said.add(_NUMBERS.get(found["number"]) or int(found["number"]))
    return said.pop() if len(said) == 1 and max(said) <= MOST_MINUTES else 0


def starts_with_word(text: str) -> bool:
    """Whether a text starts with one of our words, or with a longer word that starts so: a trigger word fires on it."""
    return _folded(text).lstrip().startswith(_ALL)


def escaped(text: str) -> str:
    """Somebody's text, as Slack wants it inside a message: one line, and no mention or link of its own making."""
    line = " ".join(text.split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _is_sure(event: CallEvent, word: str, rest: str) -> bool:
    """Whether what follows a word leaves it what it is alone."""
    gap = re.match(r"\W*", rest)
    punctuation = gap.group().strip(" *_") if gap else ""
    if "?" in punctuation or _ASKED.fullmatch(rest):
        return False
    if not any(char.isalnum() for char in rest):
        return True
    then = hear(rest[:NOTE_LENGTH])  # not all of it: each word of an endless text would call us again
    if then and then.event:
        return then.event is event
    if _DOUBTS.search(_HARMLESS.sub(" ", rest)):
        return False
    if event in (CallEvent.NO, CallEvent.BACK):
        return False
    asks, free = _ASKS.search(rest) is not None, event is CallEvent.OK and _FREE.fullmatch(word) is not None
    if free:  # "ok, is it urgent?" is one; "ok for you?" is none
        return bool(punctuation) or not asks
    if event is CallEvent.OK and _SOON.match(rest):
        return not asks
    return bool(punctuation) and not asks  # "done, thanks"; not "done with lunch"


def _started(text: str) -> str:
    """As it was typed, from where an answer may start."""
    plain = _plain(text)
    start = next((at for at, char in enumerate(plain) if not _skipped(char)), len(plain))
    return plain[start:]


def _plain(text: str) -> str:
    """As it was typed: the tokens are out first, for ``&lt;@U…&gt;`` is only text."""
    typed = _EMOJI.sub(" ", _TOKEN.sub(_HIDDEN, text.replace(_HIDDEN, " ")))
    return typed.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().translate(_KATAKANA).translate(_ACCENTS)


def _length_of(text: str, folded: int) -> int:
    """How much of a text makes that many folded characters: ㌔ is one and becomes two, ｶﾞ is two and becomes one."""
    return next((n for n in range(len(text)) if len(_folded(text[:n])) >= folded), len(text))


def _skipped(char: str) -> bool:
    """Whether a word still starts a text after this: spaces, bold, emoji, "¡"; not a quote's ``>``, not ``~``."""
    return char.isspace() or char in "*_¡" or unicodedata.category(char) in ("So", "Cf", "Mn")


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


# --- the words, as patterns. Of a folded text: lower case, half width, hiragana, no accents.


def _either(words: Iterable[str]) -> str:
    return "|".join(_spaced(word) for word in sorted(set(words), key=len, reverse=True)) or r"(?!)"


def _spaced(word: str) -> str:
    between = r"[\s,]+" if word.isascii() else r"[\s,、]*"
    return between.join(map(re.escape, word.split(" ")))


def _latin(words: Iterable[str]) -> list[str]:
    return [word for word in words if word.isascii()]


def _other(words: Iterable[str]) -> list[str]:
    return [word for word in words if not word.isascii()]


def _all(name: str) -> list[str]:
    """Of all languages, folded."""
    return [_folded(word) for vocabulary in VOCABULARIES.values() for word in getattr(vocabulary, name)]


_END: Final = r"(?!_*[^\W\d_])(?!['-][^\W\d_])"  # no letter comes now


def _one(event: CallEvent) -> str:
    """A word with an ending: those of its own language, or after Latin letters of any."""
    parts = [rf"(?:{_either(_latin(WORDS[event]))})ー*+(?:{_either(_all('endings'))})?"]
    for vocabulary in VOCABULARIES.values():
        if words := _other(map(_folded, vocabulary.answers[event])):
            endings = _either(map(_folded, vocabulary.endings))
            parts.append(rf"(?:{_either(words)})ー*+(?:{endings})?")
    return rf"(?:{'|'.join(parts)})[よねー]*+"


def _start(event: CallEvent) -> re.Pattern[str]:
    """A word, or several of a kind ("ok了解です"), and then no letter, so that "okinawa" is none."""
    one = _one(event)
    before = _MAYBE_YES if event is CallEvent.OK else ""
    return re.compile(rf"(?P<word>{before}{one})(?:{one})*+{_END}")


def _anywhere(words: Iterable[str]) -> re.Pattern[str]:
    words = list(words)
    single = [word for word in _other(words) if len(word) == 1]  # the start of a hundred other words
    longer = [word for word in _other(words) if len(word) > 1]
    return re.compile(
        rf"(?<![a-z0-9_'-])(?:{_either(_latin(words))})(?![a-z0-9_])"
        rf"|(?<!\w)(?:{_either(longer)})|(?<!\w)(?:{_either(single)})(?!\w)"
    )


def _inside(words: Iterable[str]) -> re.Pattern[str]:
    words = list(words)
    return re.compile(rf"(?<![a-z])(?:{_either(_latin(words))})(?![a-z])|(?:{_either(_other(words))})")


def _numbered(number: str, units: Iterable[str]) -> str:
    units = list(units)
    latin, other = _either(_latin(units)), _either(_other(units))
    return rf"(?P<number>{number})[\s-]*(?:(?:{latin})(?![a-z])|(?:{other})(?!前|\s*전|之|の\d|野|割))"


def _in_words() -> str:
    """A number in words, before a minute of its own language: 十分钟 are ten minutes, and 十分 is enough."""
    return "|".join(
        rf"(?:{_either(map(_folded, each.numbers))})(?=[\s-]*(?:{_either(map(_folded, each.minutes))}))"
        for each in VOCABULARIES.values()
        if each.numbers
    )


WORDS: Final[Mapping[CallEvent, tuple[str, ...]]] = {
    event: tuple(
        dict.fromkeys(_folded(word) for each in VOCABULARIES.values() for word in each.answers[event])
    )
    for event in (CallEvent.OK, CallEvent.NO, CallEvent.DONE, CallEvent.AWAY, CallEvent.BACK)
}
YES: Final = _all("yes")
_MAYBE_YES: Final = (
    rf"(?:(?:{_either(_latin(YES))})[\s,.!]+|(?:{_either(_other(YES))})[\s,.!、。]*)?"  # "oui, j'arrive"
)
_ALL: Final = tuple(word for words in WORDS.values() for word in words)
_NUMBERS: Final = {_folded(word): n for each in VOCABULARIES.values() for word, n in each.numbers.items()}
_ENDINGS: Final = _either(_all("endings"))

_STARTS: Final = {event: _start(event) for event in WORDS}
_ANYWHERE: Final = _anywhere(_ALL)
_UNSURE: Final = re.compile(
    rf"(?:{_either(_latin(_all('unsure')))})(?![a-z])|(?:{_either(_other(_all('unsure')))})"
)
_OPENING: Final = re.compile(rf"(?:{_either(_latin((*_ALL, *YES)))})(?![a-z])|(?:{_either(_other(_ALL))})")
_NOD: Final = re.compile(rf"(?:{_either(YES)})(?:{_ENDINGS})?[\W_]*")
_FREE: Final = re.compile(rf"(?:{_either(_all('free'))})ー*+(?:{_ENDINGS})?[よねー]*+")
_DOUBTS: Final = _inside([*_all("doubts"), *WORDS[CallEvent.NO]])
_HARMLESS: Final = _inside(_all("harmless"))
_ASKS: Final = re.compile(rf"\?|(?:{_either(_all('asks'))})\W*$")
_ASKED: Final = re.compile(rf"\W*(?:{_either(_all('asks'))})\W*")
_MINUTES: Final = re.compile(r"(?<![\d.:/])(?<!\d,)" + _numbered(r"\d{1,3}", _all("minutes")))
_SOON: Final = re.compile(
    rf"\W*(?:(?:{_either(_latin(_all('around')))})\s+|(?:{_either(_other(_all('around')))})\s*)*"
    + _numbered(rf"\d{{1,3}}|{_in_words()}", _all("minutes"))
)
_ARRIVES: Final = re.compile(_MAYBE_YES + _SOON.pattern)
# "5分で行きます": the minutes come first.
_PROMISE: Final = re.compile(
    rf"{_ARRIVES.pattern}(?:\s*(?:{_either(_all('within'))}))?[\s,.!、。]*"
    rf"(?:{_one(CallEvent.OK)}|{_either(_all('there'))}){_END}"
)
# An hour, a time of the day, something that was: no promise in minutes.
_OTHER_TIMES: Final = re.compile(
    r"\d\s*(?:h|hr|hrs|hours?|std|stunden?|uhr|heures?|horas?)(?![a-z])|\d\s*[時时點点시]"
    r"|(?<![a-z])(?:ago|il y a|vor|hace)(?![a-z])"
)
