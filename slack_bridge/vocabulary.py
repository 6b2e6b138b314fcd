"""The words of each language, as data; :mod:`slack_bridge.words` hears them.

They are written as people write them: how a text is folded (case, width, kana, accents) is the ear's business. All
languages are heard at once, for nobody says in which one they write. So a word that means something else in another
language, or alone means two things, is no answer: it is left out, or stands in ``unsure``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from shadows.staff import CallEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """One language. A space in a word may be any space, a comma, or (where letters are no Latin ones) nothing.

    Attributes:
        reviewed: whether somebody who speaks it has looked over these words.
        ok: "I go"; after those in ``free`` anything may follow as a note, after the others only what cannot turn them
            into another sentence.
        no, done, away, back: the other answers.
        yes: may stand before an "ok" word, and is no answer alone.
        endings: what may follow a word without a space and leaves its meaning alone.
        unsure: starts like an answer, and may mean something else.
        doubts: anywhere after an answer's word, these make it doubtful: "not", "later", "somebody else".
        harmless: what holds one of the ``doubts`` or a word for "no", and means no harm.
        asks: the end of a question without a question mark.
        minutes: what a minute is called.
        numbers: those in words that may stand before it.
        around: what may stand before the number of minutes.
        within: what may stand after the minutes, and say nothing else.
        there: "I shall be there"; only after minutes it says that somebody goes.
    """

    reviewed: bool
    ok: tuple[str, ...]
    no: tuple[str, ...]
    done: tuple[str, ...]
    away: tuple[str, ...]
    back: tuple[str, ...]
    free: tuple[str, ...] = ()
    yes: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    minutes: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)
    around: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    there: tuple[str, ...] = ()

    @property
    def answers(self) -> Mapping[CallEvent, tuple[str, ...]]:
        """The words of each answer."""
        return {
            CallEvent.OK: (*self.free, *self.ok),
            CallEvent.NO: self.no,
            CallEvent.DONE: self.done,
            CallEvent.AWAY: self.away,
            CallEvent.BACK: self.back,
        }


EN: Final = Vocabulary(
    reviewed=True,
    free=("ok", "okay", "o.k.", "okey"),
    ok=(
        *("roger", "roger that", "on my way", "i'm on my way", "i am on my way", "on my way now", "omw"),
        *(
            "got it",
            "will do",
            "coming",
            "i'm coming",
            "i am coming",
            "be right there",
            "i'll be right there",
        ),
    ),
    no=(
        *("no", "nope", "ng", "no sorry", "sorry no", "not now", "can't", "cannot", "i can't", "i cannot"),
        *("can't come", "cannot come", "i can't come", "i cannot come", "sorry i can't"),
    ),
    done=("done", "finished", "completed", "all done", "i'm done", "i am done"),
    away=("away", "afk", "i'm away", "i am away", "on a break"),
    back=("back", "i'm back", "i am back"),
    yes=("yes", "yep", "yeah", "sure"),
    unsure=("brb",),
    doubts=(
        *("not", "never", "cannot", "cant", "wont", "dont", "unable", "nobody", "none", "unless", "maybe"),
        *("perhaps", "later", "tomorrow", "if", "someone", "somebody", "anyone", "anybody", "instead"),
        *("can you", "could you", "can't", "won't", "don't", "isn't", "couldn't"),
    ),
    harmless=("no problem", "no prob", "no worries", "not a problem", "not far"),
    minutes=("min", "mins", "minute", "minutes"),
    numbers={"two": 2, "three": 3, "four": 4, "five": 5, "ten": 10, "fifteen": 15, "twenty": 20},
    around=("in", "about", "within", "be there in", "there in"),
)

JA: Final = Vocabulary(
    reviewed=True,
    free=(
        *("おk", "おけ", "おっけ", "おーけ", "おっけい", "おーけい", "りょ", "りょうかい", "了解", "承知"),
        *("かしこまりました", "わかりました", "分かりました", "行きます", "いきます", "今行きます"),
        *("いま行きます", "すぐ行きます", "向かいます", "今向かいます", "すぐ向かいます", "向かっています"),
    ),
    ok=(),
    no=(
        *("無理", "むり", "だめ", "駄目", "いいえ", "できません", "出来ません", "行けません", "いけません"),
        *("今は無理", "今は行けません", "対応できません"),
    ),
    done=(
        *("完了", "対応完了", "終了", "終わり", "おわり", "終わりました", "おわりました", "終わった"),
        *("済み", "対応済み"),
    ),
    away=("離席", "退席", "休憩", "不在", "席を外します", "席外します"),
    back=("戻りました", "もどりました", "ただいま戻りました", "復帰"),
    yes=("はい",),
    # Japanese has no spaces, and says "not" at the end of a word.
    endings=(
        *("です", "でーす", "っす", "だ", "しました", "いたしました", "致しました", "します", "いたします"),
        *("致します", "しています", "してます", "中です", "中", "に入ります", "入ります", "ました"),
    ),
    doubts=("ない", "ません", "あとで", "のちほど", "明日", "誰か", "だれか", "代わり"),
    harmless=(
        *("すみません", "すいません", "申し訳ありません", "申し訳ございません", "問題ありません", "問題ない"),
        *("構いません", "かまいません", "ナイス"),
    ),
    asks=("ですか", "ますか", "ましたか", "ませんか", "でしょうか"),
    minutes=("分", "ふん"),
    around=("あと", "残り", "約"),
    within=("で", "後に", "くらいで", "ぐらいで", "ほどで", "以内に", "後くらいに"),
    there=("着きます", "到着します", "伺います", "参ります"),
)

ZH_HANS: Final = Vocabulary(
    reviewed=False,
    ok=(
        *("ok的", "ok啦", "好", "好的", "好啊", "行", "可以", "没问题", "收到", "明白", "明白了", "知道了"),
        *("来了", "我来了", "马上来", "马上到", "马上去", "马上过来", "我马上来", "我马上到", "我马上去"),
        *("我马上过来", "这就来", "这就去", "我这就来", "我这就去", "在路上", "在路上了", "我在路上"),
    ),
    no=(
        *("不行", "不可以", "来不了", "去不了", "我来不了", "我去不了", "没空", "我没空", "没时间"),
        *("不能来", "不能去", "我不能来", "我不能去", "没办法"),
    ),
    done=("完成", "完成了", "已完成", "搞定", "搞定了", "处理完了", "结束了", "已结束"),
    away=("离开一下", "暂时离开", "我不在", "休息", "休息一下", "休息中", "午休"),
    back=("回来了", "我回来了", "已回来"),
    yes=("是", "是的", "嗯"),
    unsure=(
        *("好了", "行了", "好吗", "行吗", "可以吗", "ok吗", "不好", "不", "算了", "我走了", "我去"),
        *("好像", "好久"),
    ),
    doubts=("不", "没", "无法", "晚点", "改天", "明天", "别人", "其他人"),
    harmless=("没问题", "没关系", "不好意思", "不客气", "不到", "差不多"),
    asks=("吗", "么", "呢"),
    minutes=("分钟",),
    numbers={"一": 1, "两": 2, "三": 3, "四": 4, "五": 5, "十": 10, "十五": 15, "二十": 20},
    around=("大概", "大约", "再", "我"),
    within=("后", "内", "以内", "之后"),
    there=("到", "就到", "过来", "过去"),
)

ZH_HANT: Final = Vocabulary(
    reviewed=False,
    ok=(
        *("沒問題", "來了", "我來了", "馬上來", "馬上到", "馬上去", "馬上過來", "我馬上來", "我馬上到"),
        *("我馬上去", "我馬上過來", "這就來", "這就去", "我這就來", "我這就去"),
    ),
    no=("來不了", "我來不了", "沒空", "我沒空", "沒時間", "不能來", "我不能來", "沒辦法"),
    done=("處理完了", "結束了", "已結束"),
    away=("離開一下", "暫時離開"),
    back=("回來了", "我回來了", "已回來"),
    unsure=("好嗎", "行嗎", "可以嗎", "ok嗎"),
    doubts=("沒", "無法", "晚點", "別人"),
    harmless=("沒問題", "沒關係", "不客氣"),
    asks=("嗎",),
    minutes=("分鐘",),
    numbers={"一": 1, "兩": 2, "三": 3, "四": 4, "五": 5, "十": 10, "十五": 15, "二十": 20},
    around=("大約",),
    within=("後", "內", "以內", "之後"),
    there=("過來", "過去"),
)

KO: Final = Vocabulary(
    reviewed=False,
    ok=(
        *("오케이", "오케", "ㅇㅋ", "넵", "알겠습니다", "알겠어요", "알았어요", "알았습니다", "확인했습니다"),
        *("갈게요", "갑니다", "가겠습니다", "지금 갈게요", "지금 갑니다", "지금 가겠습니다", "바로 갈게요"),
        *("바로 갑니다", "바로 가겠습니다", "가고 있어요", "가고 있습니다", "가는 중"),
    ),
    no=(
        *("아니요", "아니오", "아뇨", "안 돼요", "안 됩니다", "못 가요", "못 갑니다", "갈 수 없어요"),
        *("갈 수 없습니다", "불가", "불가능", "어렵습니다"),
    ),
    done=("완료", "끝", "끝났어요", "끝났습니다", "다 했어요", "다 했습니다"),
    away=("자리 비움", "자리를 비웁니다", "부재중", "휴식", "휴식중", "외출", "외출중"),
    back=("돌아왔어요", "돌아왔습니다", "복귀", "다녀왔습니다"),
    yes=("네", "예"),
    endings=("입니다", "이에요", "예요", "요", "했습니다", "했어요", "합니다", "할게요", "하겠습니다"),
    unsure=("괜찮아요", "괜찮습니다"),
    doubts=("안 ", "안돼", "안가", "안됩", "못", "않", "없", "아니", "나중에", "이따", "내일", "다른 사람"),
    harmless=("문제 없", "안내", "동안"),
    asks=("까요", "나요", "습니까"),
    minutes=("분",),
    around=("약", "한"),
    within=("안에", "후에", "뒤에", "내로"),
    there=("도착합니다", "도착해요"),
)

DE: Final = Vocabulary(
    reviewed=False,
    ok=(
        *("alles klar", "klar", "geht klar", "verstanden", "in ordnung", "mach ich", "jawohl"),
        *("komme", "ich komme", "komme gleich", "ich komme gleich", "komme sofort", "ich komme sofort"),
        *("bin gleich da", "ich bin gleich da", "bin auf dem weg", "ich bin auf dem weg"),
    ),
    no=(
        *("nein", "nö", "nee", "geht nicht", "kann nicht", "ich kann nicht", "leider nein", "leider nicht"),
        *("nein sorry", "nein leider nicht"),
    ),
    done=("fertig", "bin fertig", "ich bin fertig", "erledigt", "abgeschlossen"),
    away=("abwesend", "bin weg", "ich bin weg", "bin abwesend", "in pause", "mache pause"),
    back=("zurück", "zurueck", "bin zurück", "ich bin zurück", "wieder da", "bin wieder da"),
    yes=("ja", "jo"),
    unsure=("unterwegs", "bin unterwegs", "ich bin unterwegs"),
    doubts=(
        *("nicht", "nich", "nie", "kein", "keine", "keinen", "keiner", "leider", "später", "spaeter"),
        *("vielleicht", "falls", "wenn", "jemand", "kannst du", "könnt ihr", "morgen"),
    ),
    harmless=("kein problem", "keine sorge", "kein ding", "bis später"),
    minutes=("minute", "minuten"),
    numbers={"zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "zehn": 10, "fünfzehn": 15, "zwanzig": 20},
    around=("in", "ca.", "etwa", "gleich in"),
)

FR: Final = Vocabulary(
    reviewed=False,
    ok=(
        *("d'accord", "entendu", "compris", "bien reçu", "c'est noté", "ça marche"),
        *("j'arrive", "j'y vais", "je viens", "je suis en route", "en route", "j'arrive tout de suite"),
    ),
    no=(
        *("non", "non désolé", "non désolée", "désolé non", "désolée non", "impossible", "je ne peux pas"),
        *("je peux pas", "pas possible", "pas maintenant"),
    ),
    done=("terminé", "c'est terminé", "fini", "c'est fini", "c'est fait"),
    away=("absent", "absente", "je suis absent", "je suis absente", "en pause", "je suis en pause"),
    back=("de retour", "je suis de retour", "je suis revenu", "je suis revenue"),
    yes=("oui", "ouais"),
    unsure=("ça va", "c'est bon"),
    doubts=(
        *("pas", "ne", "non", "jamais", "impossible", "plus tard", "peut-être", "si je", "si possible"),
        *("quelqu'un", "personne", "désolé", "désolée", "demain", "n'arrive", "n'ai", "n'est", "tu peux"),
    ),
    harmless=("pas de souci", "pas de soucis", "pas de problème", "pas de problèmes", "pas loin"),
    minutes=("mn", "minute", "minutes"),
    numbers={"deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "dix": 10, "quinze": 15, "vingt": 20},
    around=("dans", "d'ici", "environ", "dans environ"),
)

ES: Final = Vocabulary(
    reviewed=False,
    ok=(
        *("vale", "de acuerdo", "entendido", "recibido", "voy", "ya voy", "voy ahora", "voy ahora mismo"),
        *("voy para allá", "en camino", "estoy en camino", "voy en camino", "enseguida voy", "ahora voy"),
    ),
    no=("no puedo", "no puedo ir", "no lo siento", "lo siento no", "ahora no", "imposible"),
    done=("terminado", "he terminado", "acabado", "hecho", "terminé"),
    away=("ausente", "estoy ausente", "en pausa", "en descanso"),
    back=("de vuelta", "estoy de vuelta", "he vuelto", "ya he vuelto", "ya volví"),
    yes=("sí",),
    unsure=("listo", "lista", "ya está", "claro"),
    doubts=(
        *("no", "nunca", "jamás", "tampoco", "luego", "más tarde", "quizás", "quizá", "tal vez"),
        *("alguien", "nadie", "imposible", "mañana", "puedes", "podrías"),
    ),
    harmless=("no hay problema", "no te preocupes", "no pasa nada", "hasta luego"),
    minutes=("minuto", "minutos"),
    numbers={"dos": 2, "tres": 3, "cuatro": 4, "cinco": 5, "diez": 10, "quince": 15, "veinte": 20},
    around=("en", "en unos", "dentro de"),
)

VOCABULARIES: Final[Mapping[str, Vocabulary]] = {
    "en": EN,
    "ja": JA,
    "zh-Hans": ZH_HANS,
    "zh-Hant": ZH_HANT,
    "ko": KO,
    "de": DE,
    "fr": FR,
    "es": ES,
}
