from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.cost import Price, Tariff
from llmtrace_sdk.core.model import Prompt, Segment, Settings, Usage
from llmtrace_sdk.core.tokens import BLOB_TOKENS, estimate_tokens, estimated_usage, expected_usage, reservation

# What OpenAI's o200k_base vocabulary makes of these texts, counted with a tokenizer.
COUNTED = {
    "english": (
        77,
        (
            "The committee met on Thursday to look at the plans for the new library. Most members liked the readi"
            "ng room on the upper floor, with its wide windows and long oak tables, but several asked whether the"
            " lift would be large enough for a pram and a wheelchair at the same time. The architect promised to "
            "check, and to bring drawings of the entrance to the next meeting in October."
        ),
    ),
    "german": (
        69,
        (
            "Der Vorstand hat am Donnerstag über die Pläne für die neue Bücherei gesprochen. Den meisten Mitglied"
            "ern gefiel der Lesesaal im Obergeschoss mit seinen breiten Fenstern, doch einige fragten, ob der Auf"
            "zug groß genug für einen Kinderwagen und einen Rollstuhl sei. Die Architektin versprach, das zu prüf"
            "en."
        ),
    ),
    "polish": (
        98,
        (
            "W czwartek zarząd rozmawiał o planach nowej biblioteki. Większości członków spodobała się czytelnia "
            "na piętrze z szerokimi oknami, ale kilka osób zapytało, czy winda pomieści jednocześnie wózek dzieci"
            "ęcy i wózek inwalidzki. Architektka obiecała to sprawdzić przed następnym spotkaniem."
        ),
    ),
    "russian": (
        69,
        (
            "В четверг правление обсуждало планы новой библиотеки. Большинству понравился читальный зал на верхне"
            "м этаже с широкими окнами, но некоторые спросили, поместятся ли в лифт одновременно детская коляска "
            "и инвалидное кресло. Архитектор обещала проверить это до следующего собрания."
        ),
    ),
    "arabic": (
        72,
        (
            "ناقش المجلس يوم الخميس خطط المكتبة الجديدة. أعجب معظم الأعضاء بقاعة القراءة في الطابق العلوي بنوافذه"
            "ا الواسعة، لكن بعضهم سأل إن كان المصعد كبيرا بما يكفي لعربة أطفال وكرسي متحرك في وقت واحد. وعدت المه"
            "ندسة بالتحقق من ذلك."
        ),
    ),
    "hindi": (
        71,
        (
            "गुरुवार को समिति ने नए पुस्तकालय की योजनाओं पर चर्चा की। अधिकांश सदस्यों को ऊपरी मंज़िल का वाचनालय औ"
            "र उसकी चौड़ी खिड़कियाँ पसंद आईं, लेकिन कुछ ने पूछा कि क्या लिफ़्ट में बच्चे की गाड़ी और व्हीलचेयर एक"
            " साथ आ सकेंगी।"
        ),
    ),
    "chinese": (
        73,
        (
            "委员会星期四讨论了新图书馆的方案。多数成员喜欢楼上的阅览室和宽大的窗户，但也有几位问电梯能不能同时放下一辆婴儿车和一台轮椅。建筑师答应去核实，并在十月的下次会议上带来入口的图纸。"
        ),
    ),
    "japanese": (
        93,
        (
            "委員会は木曜日に新しい図書館の計画について話し合いました。広い窓のある上の階の閲覧室は多くの委員に好評でしたが、エレベーターにベビーカーと車椅子が同時に入るかどうかを尋ねる人もいました。建築家は次の会"
            "議までに確認すると約束しました。"
        ),
    ),
    "korean": (
        81,
        (
            "위원회는 목요일에 새 도서관의 계획을 논의했습니다. 대부분의 위원은 넓은 창이 있는 위층 "
            "열람실을 마음에 들어 했지만, 몇몇은 승강기에 유모차와 휠체어가 함께 들어갈 수 있는지 물"
            "었습니다. 건축가는 다음 회의 전까지 확인하겠다고 약속했습니다."
        ),
    ),
    "python": (
        125,
        (
            'def room_for(self, pram: Size, chair: Size) -> bool:\n    """Whether both fit into the lift at th'
            'e same time."""\n    width = pram.width + chair.width + 2 * self.margin\n    if width > self.inne'
            "r_width:\n        return False\n    return all(item.length <= self.inner_length for item in (pram, c"
            "hair))\n\n\nclass Lift:\n    margin: float = 0.05\n\n    def __init__(self, inner_width: float, inne"
            "r_length: float) -> None:\n        self.inner_width = inner_width\n        self.inner_length = inner"
            "_length\n"
        ),
    ),
    "json": (
        110,
        (
            '{\n  "type": "function",\n  "function": {\n    "name": "book_room",\n    "description": '
            '"Books a reading room of the library",\n    "parameters": {\n      "type": "object",\n      '
            '"properties": {\n        "room": {"type": "string", "enum": ["north", "south"]},\n    '
            '    "hours": {"type": "integer", "minimum": 1, "maximum": 8}\n      },\n      "required"'
            ': ["room", "hours"]\n    }\n  }\n}'
        ),
    ),
    "log": (
        96,
        (
            "2026-03-14T09:26:53.589Z INFO lift[4711] floor=3 load=412kg door=closed took=1893ms id=9f86d081884c7"
            "d65\n2026-03-14T09:27:11.004Z WARN lift[4711] floor=1 load=633kg door=open took=42ms id=e3b0c44298fc"
            "1c14\n"
        ),
    ),
}


@pytest.mark.parametrize("name", COUNTED)
def test_estimates_are_near_the_real_count(name: str) -> None:
    real, text = COUNTED[name]
    error = estimate_tokens(text) / real - 1
    print(f"{name}: {real} tokens, {error:+.0%}")
    assert -0.15 <= error <= 0.3


def test_the_mean_error_is_far_below_that_of_characters_by_four() -> None:
    ours = [abs(estimate_tokens(text) / real - 1) for real, text in COUNTED.values()]
    naive = [abs(len(text) / 4 / real - 1) for real, text in COUNTED.values()]
    print(f"mean error {sum(ours) / len(ours):.1%}, characters by four {sum(naive) / len(naive):.1%}")
    assert sum(ours) / len(ours) < 0.1
    assert sum(ours) * 3 < sum(naive)


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("\ud800", 1), ("\x00", 1)])
def test_smallest_texts(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


@given(st.text(st.characters(exclude_categories=()), max_size=2000))
def test_any_text_has_a_count_within_its_bytes(text: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    assert bool(text) <= estimate_tokens(text) <= 2 * size


@pytest.mark.parametrize("letter", ["a", "Z", "7", "\n", "é", "字", "한", "😀", "\U0010ffff"])
def test_the_checksum_never_wraps(letter: str) -> None:
    one, many = estimate_tokens(letter * 64), estimate_tokens(letter * 64 * 512)
    assert (one - 1) * 512 < many <= one * 512


def test_it_takes_microseconds_per_kilobyte() -> None:
    text = "The quick brown fox (12 of them) jumps: `x = y + 3`.\n" * 4000
    best = min(_seconds(text) for _ in range(5))
    per_kib = best / (len(text) / 1024) * 1e6
    print(f"{per_kib:.2f} microseconds per KiB")
    assert per_kib < 20  # measured: 1.6; the bound allows for a loaded machine


def _seconds(text: str) -> float:
    started = time.perf_counter()
    estimate_tokens(text)
    return time.perf_counter() - started


def test_only_missing_counts_are_estimated() -> None:
    texts = (["Hello there, how are you?"], ["Fine, thanks."])
    assert estimated_usage(Usage(3, 4), *texts) == (Usage(3, 4), False)
    usage, estimated = estimated_usage(Usage(30, None, 10), *texts)
    assert estimated
    assert (usage.input_tokens, usage.cache_read_tokens) == (30, 10)
    assert 2 <= (usage.output_tokens or 0) <= 6
    usage, estimated = estimated_usage(Usage(), *texts)
    assert estimated
    assert 8 <= (usage.input_tokens or 0) <= 14


def test_where_there_is_no_text_there_is_nothing_to_estimate() -> None:
    assert estimated_usage(Usage(), [], []) == (Usage(), False)
    assert estimated_usage(Usage(7), ["embed me"], []) == (Usage(7), False)


def test_the_count_of_an_answer_that_was_cut_may_be_that_of_its_beginning() -> None:
    said = ["one two three four five six seven eight nine ten"]
    usage, estimated = estimated_usage(Usage(9, 1), [], said, cut=True)
    assert estimated
    assert 8 <= (usage.output_tokens or 0) <= 20
    assert estimated_usage(Usage(9, 1), [], said) == (Usage(9, 1), False)
    assert estimated_usage(Usage(9, 50), [], said, cut=True) == (Usage(9, 50), False)


def _prompt(text: str = "Tell me a story.", **settings: object) -> Prompt:
    return Prompt((Segment(text, "user", "/messages/0/content"),), "m", settings=Settings(**settings))  # type: ignore[arg-type]


def test_output_is_reserved_up_to_its_bound_for_every_choice() -> None:
    assert expected_usage(_prompt(), 1000).output_tokens == 1000
    assert expected_usage(_prompt(max_tokens=50), 1000).output_tokens == 50
    assert expected_usage(_prompt(max_tokens=0), 1000).output_tokens == 0
    assert expected_usage(_prompt(max_tokens=-1), 1000).output_tokens == 1000
    assert expected_usage(_prompt(max_tokens=50, choice_count=4), 1000).output_tokens == 200
    assert expected_usage(_prompt(choice_count=0), 1000).output_tokens == 1000


def test_a_request_that_was_not_read_counts_by_its_size() -> None:
    assert expected_usage(Prompt(), 0, size=3001).input_tokens == 1001
    assert expected_usage(Prompt(), 0, size=-5).input_tokens == 0


def test_pictures_count() -> None:
    assert expected_usage(Prompt(blobs=2), 0).input_tokens == 2 * BLOB_TOKENS


@pytest.mark.parametrize("name", COUNTED)
def test_reserved_input_is_not_less_than_the_real_count(name: str) -> None:
    real, text = COUNTED[name]
    assert (expected_usage(_prompt(text), 0).input_tokens or 0) >= real


def test_a_reservation_in_millionths_of_a_dollar() -> None:
    price = Price(2.0, 10.0, tiers={"priority": Tariff(4.0, 20.0)})
    assert reservation(Prompt(), price, 100, size=3000) == 2 * 1000 + 10 * 100
    assert reservation(Prompt(settings=Settings(service_tier="priority")), price, 100, size=3000) == 6000
    assert reservation(Prompt(settings=Settings(service_tier="auto")), price, 100, size=3000) == 3000
    assert reservation(Prompt(), None, 100, size=3000) == 0
    assert reservation(Prompt(), Price(0.0000001), 0, size=3) == 0
    assert reservation(Prompt(), Price(0.1), 0, size=3) == 1  # a part of a millionth is one


def test_input_is_reserved_as_if_it_were_written_to_the_cache() -> None:
    assert reservation(Prompt(), Price(4.0, 0.0, 0.4, 5.0), 0, size=3000) == 5000
