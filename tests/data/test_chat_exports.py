"""Chats as WhatsApp, Telegram and Discord write them, read as conversations of two."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from textwright.data import open_corpus, open_text
from textwright.errors import CorpusError

ANDROID = """12/31/23, 21:45 - Messages and calls are end-to-end encrypted. Tap to learn more.
12/31/23, 21:45 - Anna Maria: Happy new year!
12/31/23, 21:46 - Anna Maria: Where are you?
12/31/23, 21:50 - Ben: At home: the car
is broken, as ever.

Come over?
12/31/23, 21:51 - Anna Maria: <Media omitted>
12/31/23, 21:52 - Anna Maria: IMG-20231231-WA0001.jpg (file attached)
Look at this
12/31/23, 21:53 - Anna Maria: This message was deleted
12/31/23, 21:54 - Ben: Lovely <This message was edited>
1/2/24, 08:00 - Ben: Good morning
1/2/24, 08:01 - Anna Maria: And to you
"""
EVENING = [
    ("assistant", "Happy new year!\nWhere are you?"),
    ("user", "At home: the car\nis broken, as ever.\n\nCome over?"),
    ("assistant", "Look at this"),
    ("user", "Lovely"),
]
MORNING = [("user", "Good morning"), ("assistant", "And to you")]

FORMS = {
    "iOS, German": "[31.12.23, 21:45:10] {}: {}",
    "iOS, American": "\u200e[12/31/23, 9:45:10\u202fPM] {}: {}",
    "iOS, Dutch": "[31-12-2023 21:45:10] {}: {}",
    "iOS, Finnish": "[31.12.2023 klo 21.45.10] {}: {}",
    "Android, German": "31.12.23, 21:45 - {}: {}",
    "Android, British": "31/12/2023, 21:45 - {}: {}",
    "Android, American": "12/31/23, 9:45\u202fPM - {}: {}",
    "Android, Spanish": "31/12/23 9:45 p.\u00a0m. - {}: {}",
    "Android, French": "31/12/2023 à 21:45 - {}: {}",
    "Android, Swedish": "2023-12-31 21:45 - {}: {}",
    "Android, Chinese": "2023/12/31 下午9:45 - {}: {}",
    "Android, Korean": "2023. 12. 31. 오후 9:45 - {}: {}",
}


def conversations(
    path: Path, assistant: str | None = None, **options: Any
) -> list[list[tuple[str, str]]]:
    part = open_text([str(path)], assistant=assistant, **options)
    return list(part.conversations())  # type: ignore[attr-defined]


def in_order(found: list[list[tuple[str, str]]]) -> list[list[tuple[str, str]]]:
    return sorted(found, key=len, reverse=True)


def test_whatsapp_with_its_remarks_pictures_and_long_messages(tmp_path: Path) -> None:
    path = tmp_path / "WhatsApp Chat with Anna Maria.txt"
    path.write_text(ANDROID, encoding="utf-8")
    assert in_order(conversations(path)) == [EVENING, MORNING]
    swapped = [
        [({"user": "assistant", "assistant": "user"}[role], words) for role, words in one]
        for one in (EVENING, MORNING)
    ]
    assert in_order(conversations(path, "ben")) == swapped
    with pytest.raises(CorpusError, match=r"nobody called 'Carl'.*there are Anna Maria, Ben"):
        conversations(path, "Carl")


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_whatsapp_dates_its_messages_as_the_telephone_does(tmp_path: Path, form: str) -> None:
    path = tmp_path / "_chat.txt"
    said = [
        ("Ben", "Hello?"),
        ("Anna", "Hi!\nAll well."),
        ("Ben", "Fine: and you?"),
        ("Anna", "So"),
    ]
    path.write_text("\n".join(form.format(*one) for one in said), encoding="utf-8")
    assert conversations(path) == [
        [("user" if name == "Ben" else "assistant", words) for name, words in said]
    ]


def test_a_pause_is_found_whatever_comes_first_in_a_date(tmp_path: Path) -> None:
    lines = []
    for number, date in enumerate(["3/4/24", "3/5/24", "4/1/24"]):  # March, in America
        lines += [
            f"{date}, 10:00 - Ben: Question {number}",
            f"{date}, 10:05 - Anna: Answer {number}",
        ]
    path = tmp_path / "chat.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert len(conversations(path)) == 3


def test_a_pause_is_found_between_morning_and_evening_in_arabic(tmp_path: Path) -> None:
    stamp = "١\u200f/٣\u200f/٢٠٢٤، ٩:٠{} {} - {}: {}"
    lines = [
        stamp.format(number, half, name, f"{name} {half}")
        for half in "صم"
        for number, name in enumerate(["Ben", "Anna"])
    ]
    path = tmp_path / "chat.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert len(conversations(path)) == 2


def test_what_ios_says_itself_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "WhatsApp Chat - Ben"
    folder.mkdir()
    path = folder / "_chat.txt"
    path.write_text(
        "[31.12.23, 21:45:10] Ben: \u200eMessages and calls are end-to-end encrypted.\n"
        "[31.12.23, 21:45:11] Ben: Hello\n"
        "\u200e[31.12.23, 21:45:12] ~\u202fAnna: \u200eimage omitted\n"
        "[31.12.23, 21:45:13] ~\u202fAnna: Hi @\u2068Ben\u2069\n"
        "[31.12.23, 21:45:14] Ben: Bye\n",
        encoding="utf-8",
    )
    assert conversations(path) == [
        [("assistant", "Hello"), ("user", "Hi @Ben"), ("assistant", "Bye")]
    ]


def telegram(number: int, name: str, text: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": number, "type": "message", "date": "2024-01-01T10:00:00",
        "date_unixtime": str(1704103200 + 60 * number), "from": name,
        "from_id": f"user{len(name)}", "text": text, **more,
    }  # fmt: skip


TALK = [
    {"id": 0, "type": "service", "date": "2024-01-01T09:00:00", "actor": "Ben", "action": "joined"},
    telegram(1, "Anna", "Did you see it?"),
    telegram(2, "Benny", ["No, ", {"type": "bold", "text": "nothing"}, "."]),
    telegram(3, "Benny", "", media_type="sticker"),
    telegram(4, "Benny", "Not mine", forwarded_from="News"),
    telegram(5, "Anna", "Look again"),
]
SEEN = [("Anna", "Did you see it?"), ("Benny", "No, nothing."), ("Anna", "Look again")]


def spoken(assistant: str, said: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [("assistant" if name == assistant else "user", words) for name, words in said]


def test_telegram_of_one_chat_and_of_an_account(tmp_path: Path) -> None:
    chat = {"name": "Anna", "type": "personal_chat", "id": 7, "messages": TALK}
    one = tmp_path / "result.json"
    one.write_text(json.dumps(chat), encoding="utf-8")
    assert conversations(one) == [spoken("Anna", SEEN)]
    group = [telegram(n, name, "Hm") for n, name in enumerate(["Anna", "Benny", "Clara D"])]
    account = tmp_path / "all.json"
    chats = {
        "personal_information": {"user_id": 4, "first_name": "Anna"},  # she exported it
        "chats": {"list": [{**chat, "name": "X"}, {"name": "All", "id": 8, "messages": group}]},
    }
    account.write_text(json.dumps(chats), encoding="utf-8")
    assert conversations(account) == [spoken("Benny", SEEN)]


def test_an_export_larger_than_a_json_value_may_be_reads_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In blocks so small that each message, and the beginnings of lists, lie over several."""
    chat = {"name": 'A "messages": [ n', "type": "personal_chat", "id": 7, "messages": TALK}
    files = [tmp_path / "one.json", tmp_path / "all.json"]
    about = {"user_id": 4, "first_name": "Anna", "messages": 5}
    group = {"name": "All", "id": 8, "messages": []}
    account = {"personal_information": about, "chats": {"list": [group, chat, {"name": "none"}]}}
    files[0].write_text(json.dumps(chat, indent=1), encoding="utf-8")
    files[1].write_text(json.dumps(account), encoding="utf-8")
    expected = [conversations(file) for file in files]
    monkeypatch.setattr("textwright.data.formats.records.MAX_LINE", 100)
    monkeypatch.setattr("textwright.data.formats.records.BLOCK", 7)
    assert [conversations(file) for file in files] == expected
    assert expected == [[spoken("Benny", SEEN)]] * 2
    for fault in ('{"messages": [{"id": 1, "text": ', '{"messages": [5, 6', '[["a"],', "[1] " * 40):
        broken = tmp_path / "broken.json"
        broken.write_text(fault + " " * 100, encoding="utf-8")
        with pytest.raises(CorpusError, match="too large for one JSON value.*jsonl"):
            conversations(broken)


def test_discord_and_more_than_two(tmp_path: Path) -> None:
    def message(number: int, name: str, words: str, **more: Any) -> dict[str, Any]:
        author = {"id": str(number), "name": name.lower(), "nickname": name, **more}
        return {
            "id": str(number), "type": "Default", "content": words,
            "timestamp": f"2024-01-01T10:{number:02}:00.123+00:00",
             "author": author, "attachments": [],
        }  # fmt: skip

    said = [("Ben", "Hey"), ("Anna", "Hey you"), ("Ben", "Bot?")]
    messages = [message(number, *one) for number, one in enumerate(said)]
    messages += [
        message(5, "Botty", "I am one", isBot=True),
        {**message(6, "Ben", ""), "type": "Call"},
    ]
    path = tmp_path / "direct.json"
    channel = {"id": "1", "type": "DirectTextChat", "name": "Anna"}
    export = {"guild": {"id": "0"}, "channel": channel, "messages": messages}
    path.write_text(json.dumps(export), encoding="utf-8")
    assert conversations(path) == [spoken("Anna", said)]

    export["messages"] = [*messages, message(7, "Clara", "Me too")]
    path.write_text(json.dumps(export), encoding="utf-8")
    with pytest.raises(
        CorpusError, match=r"3 people write in it \(Ben, Anna, Clara\).*--assistant"
    ):
        conversations(path)
    assert conversations(path, "Ben")[0][-1] == ("user", "Me too")


def test_an_export_is_running_text_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_text(ANDROID, encoding="utf-8")
    text = open_text([str(path)], form="text").read()
    assert text.startswith("Anna Maria: Happy new year!\nAnna Maria: Where are you?\nBen: At home")
    assert "Lovely\n\nBen: Good morning\n" in text and "21:45" not in text


def test_who_speaks_is_said_and_is_part_of_the_cache_s_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "chat.txt"
    lines = []
    for day in range(1, 13):
        lines += [f"2024-01-{day:02}, 10:00 - Ben: Question {day}"]
        lines += [f"2024-01-{day:02}, 10:01 - Anna: Answer {day}"]
    path.write_text("\n".join(lines), encoding="utf-8")
    with caplog.at_level(logging.INFO, "textwright"):
        one = open_corpus([str(path)], cache=tmp_path / "cache")
        other = open_corpus([str(path)], assistant="Ben", cache=tmp_path / "cache")
    assert "12 conversations" in caplog.text and "the model speaks as Anna, you are" in caplog.text
    assert "the model speaks as Ben" in caplog.text
    assert one.sha256 != other.sha256


@pytest.mark.parametrize(
    "text",
    [
        "1818-03-01 was a Sunday.\nThe next day: Monday.\nNothing else was written.\n",
        "10:45 - 11:00: talk\n11:00 - 12:00: lunch\n12:00 - 13:00: walk\n",
        "[12.5] Anna: not a date\n[13.5] Ben: nor this\n[14.5] Anna: nor that\n",
    ],
)
def test_other_texts_with_dates_stay_text(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "diary.txt"
    path.write_text(text, encoding="utf-8")
    with caplog.at_level(logging.WARNING, "textwright"):
        assert open_text([str(path)], assistant="Anna").read() == text
    assert f"{path} is none" in caplog.text
