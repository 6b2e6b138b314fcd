"""The words in every language: what is an answer, what is doubtful, and how many minutes somebody promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadows.staff import CallEvent
from slack_bridge.vocabulary import VOCABULARIES
from slack_bridge.words import (
    NOTE_LENGTH,
    WORDS,
    Heard,
    hear,
    may_answer,
    minutes,
    starts_like_an_answer,
)

OK, NO, DONE, AWAY, BACK = CallEvent.OK, CallEvent.NO, CallEvent.DONE, CallEvent.AWAY, CallEvent.BACK


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("好的", ""),
        ("好的，马上到", "马上到"),
        ("好的5分钟到", "5分钟到"),
        ("ok马上来", "马上来"),
        ("沒問題，馬上到", "馬上到"),
        ("没问题!", ""),
        ("收到 五分钟", "五分钟"),
        ("知道了👌", "👌"),
        ("넵", ""),
        ("네, 갈게요", ""),
        ("지금갈게요", ""),
        ("알겠습니다 5분", "5분"),
        ("ㅇㅋ", ""),
        ("Alles klar, komme gleich", "komme gleich"),
        ("Ja, ich komme in 5 Minuten", "in 5 Minuten"),
        ("ok, kein Problem", "kein Problem"),
        ("D’accord, j’arrive", "j’arrive"),
        ("oui j'arrive !", ""),
        ("Ca marche, 10 mn", "10 mn"),
        ("ok pas de souci, 5 min", "pas de souci, 5 min"),
        ("¡Voy!", ""),
        ("vale en diez minutos", "en diez minutos"),
        ("Sí, ya voy", ""),
        ("yes, on my way", ""),
        ("on my way, 5 min", "5 min"),
        ("ok, no problem", "no problem"),
        ("ok すみません、5分で", "すみません、5分で"),
        ("はい、行きます", ""),
        ("5分で行きます", "5分で行きます"),
        ("あと3分で着きます", "あと3分で着きます"),
        ("5分钟后到", "5分钟后到"),
        ("5분 뒤에 갈게요", "5분 뒤에 갈게요"),
        ("5 min, on my way", "5 min, on my way"),
        ("はい、5分で行きます", "はい、5分で行きます"),
        ("네, 5분 후에 갈게요", "네, 5분 후에 갈게요"),
        ("是，5分钟后到", "是，5分钟后到"),
        ("oui, dans 5 min j'arrive", "oui, dans 5 min j'arrive"),
        ("yes, 5 min, on my way", "yes, 5 min, on my way"),
        ("5 Minuten, komme gleich", "5 Minuten, komme gleich"),
    ],
)
def test_this_is_an_ok(text: str, note: str) -> None:
    assert hear(text) == Heard(event=OK, note=note)


@pytest.mark.parametrize(
    ("text", "event"),
    [
        *((text, NO) for text in ("不行", "没空", "我來不了", "안 돼요", "못가요", "nein, leider nicht")),
        *(
            (text, NO)
            for text in ("non désolée", "je peux pas", "no puedo", "no, sorry", "no no", "I can't.")
        ),
        *(
            (text, DONE)
            for text in ("搞定了", "結束了", "완료했습니다", "fertig, danke", "C'est fini", "hecho")
        ),
        *((text, AWAY) for text in ("午休", "暫時離開", "자리비움", "bin weg", "en pause", "estoy ausente")),
        *((text, BACK) for text in ("我回来了", "回來了", "복귀했습니다", "zurück", "de retour", "ya volví")),
    ],
)
def test_this_is_another_answer(text: str, event: CallEvent) -> None:
    assert hear(text) == Heard(event=event)


# What may look like an answer and must never become one.
DOUBTFUL = [
    *(
        "ok nicht",
        "pas ok",
        "nicht ok",
        "no ok",
        "not ok",
        "ok no",
        "ok pas",
        "ok 不行",
        "ok 안 돼요",
        "不ok",
    ),
    *(
        "ok, I can't come",
        "ok don't wait",
        "ok not now",
        "ok 行けません",
        "ok 今は無理です",
        "ok、間に合わない",
    ),
    *("ok, aber ich kann nicht", "ok mais je n'arrive pas", "vale, pero no puedo", "好的，但是我不能来"),
    *("ok tomorrow", "ok later", "ok maybe", "ok if nobody else goes", "ok demain", "ok, morgen", "ok 明日"),
    *("ok, can you go?", "ok, somebody else please", "ok jemand anderes", "ok誰か"),
    *(
        "ok?",
        "¿ok?",
        "ok ?",
        "ok for you?",
        "ok吗",
        "ok嗎？",
        "ok ですか",
        "好吗",
        "可以嗎",
        "fertig?",
        "vale?",
    ),
    *("no problem", "no hay problema", "no pasa nada", "non merci", "nein danke", "no?"),
    *("不好", "好了", "行了", "算了", "好久不见", "没问题吗", "不好意思，5分钟"),
    *("on my way home", "5 min, on my way home", "Roger is out today", "vale la pena", "voy a comer"),
    *("komme nicht", "komme später", "komme morgen", "j'arrive pas", "j'arrive demain", "unterwegs"),
    *("listo", "ça va", "괜찮아요", "ok away", "ok done", "done, not yet", "done, ok?", "fertig, oder?"),
]


@pytest.mark.parametrize("text", DOUBTFUL)
def test_this_is_doubtful(text: str) -> None:
    assert hear(text) == Heard(event=None)


@pytest.mark.parametrize(
    "text",
    [
        *("voyage", "valencia", "komet", "klarinette", "nonstop", "novel", "fertigung", "wegen", "vales"),
        *("行こう", "好きです", "行列です", "이따가 봐요", "행복", "5分休憩", "5 min break", "行不行"),
        *("yes", "はい", "네", "oui", "ja", "sí", "5分", "in 5 min", "yes, 5 min", "はい、5分で行けません"),
    ],
)
def test_this_is_no_answer(text: str) -> None:
    assert hear(text) is None


@pytest.mark.parametrize(
    ("text", "may"),
    [
        *(
            (text, True)
            for text in ("yes", "はい。", "네!", "oui", "ＯＵＩ", "5分", "あと3分", "in 5 min", "5분")
        ),
        *((text, True) for text in ("yes, 5 min", "はい、5分", "네, 5분", "はい、5分で行けません")),
        *((text, False) for text in ("yes we can", "はいはい元気", "jan", "5", "5 cars", "", "lunch?")),
    ],
)
def test_a_bare_yes_or_minutes_may_be_an_answer_of_who_was_asked(text: str, may: bool) -> None:
    assert may_answer(text) is may


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        *(
            (text, True)
            for text in ("no problem", "ok", "done with lunch", "*ok*-ish", "unterwegs", "了解できません")
        ),
        *((text, False) for text in ("nobody", "now", "it is ok", "at the lift", "", "voyage")),
    ],
)
def test_a_text_starts_like_an_answer_if_its_first_word_is_ours(text: str, starts: bool) -> None:
    assert starts_like_an_answer(text) is starts


@pytest.mark.parametrize(
    ("note", "promised"),
    [
        *(
            (note, 5)
            for note in (
                "5 min",
                "5分",
                "５分で行きます",
                "5分钟",
                "5 分鐘後",
                "5분",
                "in 5 Minuten",
                "5ふん",
            )
        ),
        *(
            (note, 5)
            for note in ("dans 5 minutes", "en 5 minutos", "five minutes", "fünf Minuten", "大概五分钟")
        ),
        *(
            (note, 5)
            for note in ("cinq minutes", "en unos cinco minutos", "5 min max", "5-min", "à 5 mn", "あと5分")
        ),
        *(
            (note, 10)
            for note in ("5-10 min", "5〜10分", "5 bis 10 Minuten", "diez minutos", "entre 5 et 10 mn")
        ),
        ("60 min", 60),
        ("是，5分钟后到", 5),
        *(
            (note, 0)
            for note in ("", "soon", "5", "in 5", "61 min", "0 min", "300分", "5m", "5 km", "5 mine")
        ),
        *(
            (note, 0)
            for note in ("1.5 min", "1,5 Minuten", "1/2 min", "3時5分に", "1h 5min", "1時間30分", "15:05 min")
        ),
        *(
            (note, 0)
            for note in ("5 min ago", "vor 5 Minuten", "5分前", "5분 전", "il y a 5 minutes", "hace 5 min")
        ),
        *(
            (note, 0)
            for note in ("twenty five minutes", "二十五分钟", "treinta y cinco minutos", "十分", "두 분")
        ),
        *((note, 0) for note in ("5 min, or 20 min", "is 5 min fine?", "in a minute", "2分野")),
    ],
)
def test_minutes_count_only_where_they_are_clear(note: str, promised: int) -> None:
    assert minutes(note) == promised


def test_no_word_means_two_things() -> None:
    everything = [word for words in WORDS.values() for word in words]
    assert sorted(everything) == sorted(set(everything))


@pytest.mark.parametrize("language", sorted(VOCABULARIES))
def test_every_language_has_a_word_for_each_answer_and_for_a_minute(language: str) -> None:
    vocabulary = VOCABULARIES[language]
    assert all([*vocabulary.answers.values(), vocabulary.minutes, vocabulary.doubts])


@pytest.mark.parametrize(
    "negation", ["nicht", "not", "pas", "no", "ません", "不行", "안 돼요", "?", "吗", "嗎?", "？"]
)
def test_no_ok_outlives_a_negation_or_a_question_mark(negation: str) -> None:
    texts = [f"{word}{gap}{negation}" for word in WORDS[OK] for gap in (" ", "", "... ", ", ")]
    heard = {text: hear(text) for text in texts}
    assert {text: said for text, said in heard.items() if said and said.event} == {}


@pytest.mark.parametrize("negation", ["nicht", "not", "pas", "ne", "it is not", "不", "안"])
def test_no_ok_comes_after_a_negation(negation: str) -> None:
    heard = {word: hear(f"{negation} {word}") for word in WORDS[OK]}
    assert {word: said for word, said in heard.items() if said and said.event} == {}


@pytest.mark.parametrize(
    "text",
    [
        *("ok" * 9_000 + "x", "ok, " * 9_000, "終わりました" * 6_000 + "x", "okー" + "ー" * 30_000 + "x"),
        *("no " * 9_000, "ok " + "5" * 30_000, "ok " + "in " * 9_000, "5分で" + "了解" * 9_000 + "x"),
        "ok" + " " * 30_000 + "x",
    ],
    ids=range(9),
)
def test_no_text_keeps_the_ear_busy(text: str) -> None:
    hear(text)  # what grows faster than the text would outlast this test's patience
    minutes(text)
    may_answer(text)


@given(st.text(), st.sampled_from(sorted(WORDS[OK])))
def test_minutes_are_always_from_0_to_60(text: str, word: str) -> None:
    heard = hear(f"{word} {text}")
    assert heard is None or 0 <= minutes(heard.note) <= 60
    assert heard is None or len(heard.note) <= NOTE_LENGTH
