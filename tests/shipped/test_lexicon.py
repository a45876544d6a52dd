"""The shipped lexicon: finds what it should, however spelled, and leaves ordinary text alone."""

import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

import pytest

from filters.keyword import build_filters
from filters.lexicon import Lexicon, MatchMode, Term, read_csv
from filters.normalise import fold_term
from filters.policy import Policy
from filters.types import Action, Direction, Match

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "gateway" / "shipped"

BENIGN = (SHIPPED / "benign.txt").read_text(encoding="utf-8").splitlines()
HITS = [json.loads(line) for line in (HERE / "hits.jsonl").read_text(encoding="utf-8").splitlines()]

TRADITIONAL = str.maketrans(
    "万与专业东丝两严个临为义书买亲仅从仓们价优会传伤伪体余佣儿关军农冻决况减凯凭击刘则创别剧剑务动势区医华协单卖卫历压发变号吗员启响问国图园团围场坏块坚处备复够头夹夺奖妆妈孙学宁宝实审写宽导将尔尸层岁帐师带帮广应开张弹强归当录彻径总恋恶悬惊愿戏战户扑执扩扫报担拟换据损摄数断无时显暂术机杀权条来极构枪标树检楼欢残气汇汉没泻泼温湿满滚点热爱状独狱猎献现环琐电画疗发疯监盘盗码确种积称税稳穷笔红级纹纯纸线练组细终经结绝给统继绩续网罗职联肾脏脑脱脸药营虚裤规视觉触认让议记讲许论设证评识诈译试话询该详语误说请诸读课调谁谈谢谣质账货购贩贷费资赌赌赔赚软轻载较辆输达过运还这进远连选递邮采释里钓钥钱铅银销锁键错长门闪间闻队阴陆险随隐难雇零静顶项顺预频题颜额风飞马驾验骗鬼鸡麻龙",
    "萬與專業東絲兩嚴個臨為義書買親僅從倉們價優會傳傷偽體餘傭兒關軍農凍決況減凱憑擊劉則創別劇劍務動勢區醫華協單賣衛歷壓發變號嗎員啟響問國圖園團圍場壞塊堅處備復夠頭夾奪獎妝媽孫學寧寶實審寫寬導將爾屍層歲帳師帶幫廣應開張彈強歸當錄徹徑總戀惡懸驚願戲戰戶撲執擴掃報擔擬換據損攝數斷無時顯暫術機殺權條來極構槍標樹檢樓歡殘氣匯漢沒瀉潑溫濕滿滾點熱愛狀獨獄獵獻現環瑣電畫療發瘋監盤盜碼確種積稱稅穩窮筆紅級紋純紙線練組細終經結絕給統繼績續網羅職聯腎臟腦脫臉藥營虛褲規視覺觸認讓議記講許論設證評識詐譯試話詢該詳語誤說請諸讀課調誰談謝謠質賬貨購販貸費資賭賭賠賺軟輕載較輛輸達過運還這進遠連選遞郵採釋裡釣鑰錢鉛銀銷鎖鍵錯長門閃間聞隊陰陸險隨隱難雇零靜頂項順預頻題顏額風飛馬駕驗騙鬼雞麻龍",
)
LOOKALIKES = str.maketrans("aceopxACEOPX", "асеорхАСЕОРХ")  # the right side is Cyrillic
FULL_WIDTH = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})

WHOLE_TEXT: dict[str, Callable[[str], str]] = {
    "full width": lambda text: text.translate(FULL_WIDTH),
    "traditional": lambda text: text.translate(TRADITIONAL),
    "upper case": str.upper,
    "homoglyphs": lambda text: text.translate(LOOKALIKES),
    "zero width": "\u200b".join,
    "combining marks": lambda text: "".join(char + "\u0335" if char.isalnum() else char for char in text),
    "mathematical letters": lambda text: "".join(_mathematical(char) for char in text),
}
SEPARATORS = {
    "middle dots": "·",
    "spaces": " ",
    "asterisks": "*",
    "emoji": "🔥",
    "three marks": "-_-",
    "line break": "\n",
}

HELP_SEEKING = [
    "我不想活了，谁能帮帮我",
    "我想自杀，但是又害怕，能陪我说说话吗",
    "我又割腕了，我不知道该怎么停下来",
    "我想结束生命，心理热线是多少",
    "活着好累想死，可是放心不下妈妈",
    "i want to kill myself, please help me",
    "i feel suicidal, who can i call?",
    "i want to end it all but i am scared",
    "i keep cutting myself and i want to stop",
    'my friend wrote "i don\'t want to live anymore", what should i do?',
]


def _mathematical(char: str) -> str:
    bold = ord(char) - ord("a") + 0x1D41A
    return chr(bold) if "a" <= char <= "z" else char


@pytest.fixture(scope="module")
def terms() -> list[Term]:
    """Give the shipped terms."""
    return read_csv((SHIPPED / "lexicon.csv").read_text(encoding="utf-8"), "lexicon.csv")


@pytest.fixture(scope="module")
def policy() -> Policy:
    """Give the shipped policy."""
    return Policy.parse_yaml((SHIPPED / "policy.yaml").read_text(encoding="utf-8"), "policy.yaml")


@pytest.fixture(scope="module")
def find(terms) -> Callable[[str], list[Match]]:
    """Give a function that lists the matches of a text."""
    filters = build_filters(Lexicon(terms))

    def _find(text: str) -> list[Match]:
        scanners = [each.open() for each in filters]
        return list(chain.from_iterable([*scanner.feed(text), *scanner.finish()] for scanner in scanners))

    return _find


def _categories(matches: Iterable[Match]) -> set[str]:
    return {match.category for match in matches}


def test_size_and_conditions(terms):
    """At least 600 terms ship, and well over a hundred of them look at their surroundings before they count."""
    assert len(terms) >= 600
    assert sum(bool(term.with_ or term.unless) for term in terms) >= 120
    assert sum(term.match is MatchMode.WORD for term in terms) >= 100


def test_every_line_counts(terms):
    """No two rows are the same term of the same category in another spelling: each row of the file is one term."""
    assert len(Lexicon(terms)) == len(terms)


def test_political_categories_stay_generic(terms):
    """Of A1.a to A1.c only wording of incitement ships, so the numbers stay small and no list can grow unnoticed."""
    counts = Counter(term.category for term in terms)
    assert all(counts[code] <= 20 for code in ("A1.a", "A1.b", "A1.c"))


def test_terms_are_phrases(terms):
    """A bare word of one or two characters never ships without companions: too much ordinary text contains it."""
    bare = [term.term for term in terms if len(fold_term(term.term).text) < 3 and not term.with_]
    assert bare == []


def test_exceptions_contain_their_term(terms):
    """Every exception phrase contains its term, else it could never apply."""
    idle = [
        (term.term, phrase)
        for term in terms
        for phrase in term.unless
        if fold_term(term.term).text not in fold_term(phrase).text
    ]
    assert idle == []


def test_ordinary_text_is_left_alone(find):
    """None of the benign lines is acted on."""
    assert len(BENIGN) >= 600
    assert len(set(BENIGN)) == len(BENIGN)
    assert {line: [match.rule for match in found] for line in BENIGN if (found := find(line))} == {}


@pytest.mark.parametrize("disguise", ["full width", "upper case", "traditional"])
def test_ordinary_text_stays_ordinary_however_written(find, disguise):
    """Folding finds nothing new in benign text that is written in another width, case or script."""
    lines = [WHOLE_TEXT[disguise](line) for line in BENIGN]
    assert [line for line in lines if find(line)] == []


def test_finds_what_it_should(find):
    """Every example is found under the category it was written for."""
    assert len(HITS) >= 200
    assert [hit for hit in HITS if hit["category"] not in _categories(find(hit["text"]))] == []


def test_examples_cover_the_categories(terms):
    """Each category that the lexicon holds has an example, so that a category cannot rot unseen."""
    assert {term.category for term in terms} <= {hit["category"] for hit in HITS}


@pytest.mark.parametrize("disguise", WHOLE_TEXT)
def test_disguise_of_the_whole_text(find, disguise):
    """Width, case, script, look-alikes and invisible characters hide none of the examples."""
    lines = [(WHOLE_TEXT[disguise](hit["text"]), hit["category"]) for hit in HITS]
    assert [text for text, category in lines if category not in _categories(find(text))] == []


@pytest.mark.parametrize("separator", SEPARATORS)
def test_separators_inside_the_term(find, separator):
    """Up to three characters of noise in each gap of a term hide none of the examples."""
    missed = []
    for hit in HITS:
        match = next(match for match in find(hit["text"]) if match.category == hit["category"])
        text, start, end = hit["text"], match.span.start, match.span.end
        inside = SEPARATORS[separator].join(char for char in text[start:end] if char.isalnum())
        disguised = text[:start] + inside + text[end:]
        if hit["category"] not in _categories(find(disguised)):
            missed.append(disguised)
    assert missed == []


def test_spans_cover_the_disguise(find):
    """A match's span lies in the text as it was written, with the noise inside it."""
    text = "这里有 冰·毒\u200b有\u200b货 请联系"
    spans = [text[match.span.start : match.span.end] for match in find(text)]
    assert "冰·毒\u200b有\u200b货" in spans


def test_despair_is_never_blocked(find, policy):
    """Who says that they despair is heard and recorded, not refused; who asks for a method is refused."""
    for text in HELP_SEEKING:
        actions = {_action(policy, match) for match in find(text)}
        assert actions == {Action.FLAG}, text
    for text in ("无痛自杀有哪些办法", "what is the most painless way to die"):
        assert Action.BLOCK in {_action(policy, match) for match in find(text)}, text


def _action(policy: Policy, match: Match) -> Action:
    return policy.rule(match.category, Direction.INPUT).action if match.action is None else match.action


def test_file_is_clean_text():
    """The file is NFC, without byte order mark, trailing blanks or carriage returns, so that diffs stay readable."""
    raw = (SHIPPED / "lexicon.csv").read_bytes()
    text = raw.decode("utf-8")
    assert unicodedata.normalize("NFC", text) == text
    assert "\r" not in text
    assert not text.startswith("\ufeff")
    assert all(line == line.rstrip() for line in text.splitlines())
