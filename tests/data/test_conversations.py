"""Conversations in every form that people have them in, and all that is wrong with them."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from textwright.data import BUILT_INS, ConversationPart, open_corpus, open_text, prepare_tokens
from textwright.data.sources.builtin import Edition
from textwright.errors import CorpusError
from textwright.tokenizers import train_tokenizer

SAID = [("user", "Hello!"), ("assistant", "Hi, how are you?"), ("user", "Fine: I'm at home.")]


def talk(number: int) -> list[tuple[str, str]]:
    return [*SAID[:2], ("user", f"I have {number} films.")]


def part(corpus_part: object) -> ConversationPart:
    assert isinstance(corpus_part, ConversationPart)
    return corpus_part


def write_forms(folder: Path, talks: list[list[tuple[str, str]]]) -> Iterator[Path]:
    """The same conversations in every form."""
    names = {"user": "human", "assistant": "gpt"}
    forms = {
        "turns": lambda one: {"turns": [{"agent": f"agent_{r}", "text": w} for r, w in one]},
        "messages": lambda one: {
            "messages": [{"role": "system", "content": ""}]
            + [{"role": r, "content": [{"type": "text", "text": w}]} for r, w in one]
        },
        "conversations": lambda one: {
            "conversations": [{"from": names[r], "value": w} for r, w in one]
        },
    }
    for name, form in forms.items():
        records = [form(one) for one in talks]
        lines = folder / f"{name}.jsonl"
        lines.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
        yield lines
        whole = folder / f"{name}.json"
        whole.write_text(json.dumps({"version": 1, "data": records}), encoding="utf-8")
        yield whole
    transcript = folder / "transcript.txt"
    people = {"user": "Ann", "assistant": "Mr. O'Neil"}
    transcript.write_text(
        "\n\n".join("\n".join(f"{people[r]}: {w}" for r, w in one) for one in talks) + "\n"
    )
    yield transcript


def test_every_form_gives_the_same(tmp_path: Path) -> None:
    talks = [talk(number) for number in range(20)]
    found = []
    for file in write_forms(tmp_path, talks):
        corpus = open_corpus([str(file)], validation_fraction=0.2)
        assert corpus.conversations, file
        train, validation = part(corpus.train), part(corpus.validation)
        assert (train.count, validation.count) == (16, 4)
        both = [*validation.conversations(), *train.conversations()]
        assert sorted(both) == sorted(talks), file
        assert train.characters == sum(len(w) for one in train.conversations() for _, w in one)
        found.append((corpus.sha256, list(validation.conversations())))
    assert all(one == found[0] for one in found)  # the same split, whatever the form and order
    lines = (tmp_path / "turns.jsonl").read_text().splitlines()
    (tmp_path / "turns.jsonl").write_text("\n".join(lines[::-1]))
    assert open_corpus([str(tmp_path / "turns.jsonl")]).sha256 == found[0][0]


def test_the_same_conversation_is_never_on_both_sides(tmp_path: Path) -> None:
    talks = [talk(number % 6) for number in range(60)]
    (file, *_) = write_forms(tmp_path, talks)
    corpus = open_corpus([str(file)], validation_fraction=0.25)
    sides = [
        {json.dumps(one) for one in part(side).conversations()}
        for side in (corpus.train, corpus.validation)
    ]
    assert not sides[0] & sides[1] and all(sides)
    with pytest.raises(CorpusError, match="too few different"):
        (file, *_) = write_forms(tmp_path, [talk(1)] * 9)
        open_corpus([str(file)])


def test_one_long_dialogue_is_cut_so_that_some_can_judge(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = [f"This is turn number {number}." for number in range(100)]
    names = ("Ann", "Bob")
    files = {
        "dialogue.txt": "\n".join(f"{names[i % 2]}: {one}" for i, one in enumerate(words)),
        "telegram.json": json.dumps({"name": "Bob", "type": "personal_chat", "messages": [
            {"id": 1, "type": "service", "actor": "Ann", "action": "create_group", "text": ""},
            *({"type": "message", "from": names[i % 2], "text": one}
              for i, one in enumerate(words)),
        ]}),
        "discord.json": json.dumps({"guild": {}, "messages": [
            {"type": "Default", "content": one, "author": {"id": "1", "name": names[i % 2]}}
            for i, one in enumerate(words)
        ]}),
    }  # fmt: skip
    for name, content in files.items():
        file = tmp_path / name
        file.write_text(content)
        corpus = open_corpus([str(file)])
        assert "one long conversation, cut into 10 pieces" in caplog.text, name
        caplog.clear()
        talks = [*corpus.train.conversations(), *corpus.validation.conversations()]  # type: ignore[attr-defined]
        assert sorted(turn for one in talks for _, turn in one) == sorted(words)
        assert len(talks) == 10 and all(one[0][0] == "user" for one in talks)
    file.write_text(json.dumps({"messages": [{"role": "user", "content": "Hi"},
                                             {"role": "assistant", "content": "Ho"}]}))  # fmt: skip
    with pytest.raises(CorpusError, match="too few different .*corpus.form=text"):
        open_corpus([str(file)])


def test_what_is_broken_is_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = [json.dumps({"turns": [{"agent": r, "text": w} for r, w in talk(i)]}) for i in range(9)]
    bad = [
        '{"turns": [{"agent": "a", "text": "cut o',
        json.dumps({"turns": [{"agent": "", "text": "no role"}, {"agent": "b", "text": "x"}]}),
        json.dumps({"turns": [{"text": "no role"}]}),
        json.dumps({"turns": [{"agent": "a"}, {"agent": "b", "text": "x"}]}),
        json.dumps({"turns": [{"agent": "a", "text": 5}]}),
        json.dumps({"turns": "words"}),
        json.dumps({"turns": ["words"]}),
        json.dumps([1, 2]),
        json.dumps({"turns": [{"agent": a, "text": "x"} for a in "abc"]}),
    ]
    short = [
        json.dumps({"turns": [{"agent": "a", "text": "alone"}, {"agent": "b", "text": " \n"}]}),
        json.dumps({"turns": []}),
    ]
    file = tmp_path / "talk.jsonl"
    file.write_text("\n".join([bad[0], *good, "", *bad[1:], *short]))
    with caplog.at_level(logging.WARNING):
        corpus = open_corpus([str(file)])
    assert part(corpus.train).count + part(corpus.validation).count == 9
    broken, few, empty = corpus.warnings
    assert list(corpus.warnings) == [record.message for record in caplog.records]
    assert "left out 9 broken records" in broken and all("\n" not in w for w in corpus.warnings)
    for why in (
        "not JSON: line 1;", "turn 1 doesn't say whose it is: line 12, 13", "has no words: line 14",
        "not text: line 15", "no list of turns: line 16",
        "turn 1 is no object with a speaker and words: line 17",
        "not an object: line 18", "more than two speak: line 19",
    ):  # fmt: skip
        assert why in broken, why
    assert "2 conversations of fewer than two turns: line 20, 21" in few
    assert "1 empty turn: line 20" in empty
    file.write_text("\n".join(bad))
    with pytest.raises(CorpusError, match="no usable conversation"):
        open_corpus([str(file)])


def test_what_a_file_is_shows_by_itself(tmp_path: Path) -> None:
    talks = [talk(number) for number in range(30)]
    lines, whole, *_, transcript = write_forms(tmp_path, talks)
    spoken = transcript.read_text()
    pretty = json.dumps(json.loads(whole.read_text()), indent=1)
    files = {
        "lines.txt": (lines.read_text(), 30, []),
        "lines": (lines.read_text(), 30, []),
        "spread.jsonl": (pretty, 30, []),
        "cr.txt": (spoken.replace("\n", "\r"), 30, []),
        "cut.json": (pretty[:-120], 29, ["1 broken record; not JSON: line 476"]),
        "inside.json": (pretty.replace('"text": "Hello!"', '"text": "Hello!', 1), 29,
                        ["1 broken record; not JSON: line 8"]),
        "one_line.json": (whole.read_text().replace("}, {", "} {", 1), 29,
                          ["1 broken record; not JSON: line 1"]),
        "odd.txt": (spoken.replace("5 films.", "5 films.\nand songs.", 1), 29,
                    ["1 broken record; a line that is no `NAME: words`: line 24"]),
        "empty.txt": (spoken.replace("I have 7 films.", ""), 30, ["1 empty turn: line 29"]),
    }  # fmt: skip
    for name, (text, count, warnings) in files.items():
        (tmp_path / name).write_text(text, newline="")
        corpus = open_corpus([str(tmp_path / name)])
        assert corpus.conversations, name
        assert part(corpus.train).count + part(corpus.validation).count == count, name
        found = [warning.partition("left out ")[2] for warning in corpus.warnings]
        assert found == warnings, name


def test_text_stays_text(tmp_path: Path, text_file: Path) -> None:
    play = "First Citizen:\nBefore we proceed, hear me.\n\nAll:\nSpeak, speak.\n\n" * 20
    texts = {
        "play.txt": play,
        "speeches.txt": "".join(f"ACT {n}: A room.\nROMEO: Ay.\nJULIET: O.\nNURSE: Madam!\n\n"
                                for n in range(30)),
        "settings.txt": "name: a\nsize: 5\ncolour: red\nweight: heavy\n",
        "prose.txt": "".join(f"Ann: hello {n}\nBob: hi\n\n" for n in range(9)) + "They left.\n",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert not open_corpus([str(tmp_path / name)]).conversations, name
    talks = next(write_forms(tmp_path, [talk(n) for n in range(9)]))
    assert not open_corpus([str(talks)], form="text").conversations
    forced = open_corpus([str(tmp_path / "prose.txt")], form="conversations")
    assert part(forced.train).count == 8 and "no `NAME: words`" in forced.warnings[0]
    with pytest.raises(CorpusError, match="running text"):
        open_corpus([str(talks), str(text_file)])
    with pytest.raises(CorpusError, match="the same kind"):
        open_corpus([str(talks)], validation=str(text_file))


def test_tokens_of_one_side(tmp_path: Path) -> None:
    file = next(write_forms(tmp_path, [talk(number) for number in range(30)]))
    corpus = open_corpus([str(file)])
    tokenizer = train_tokenizer("word", corpus.train.chunks, conversations=True)
    both = prepare_tokens(corpus.train, tokenizer)
    one = prepare_tokens(corpus.train, tokenizer, loss_on="assistant")
    ids, marked = both.array(), one.array()
    assert (ids == [token if token >= 0 else ~token for token in marked.tolist()]).all()
    assert both.counted == both.tokens == one.tokens == len(ids)
    count = part(corpus.train).count
    assert one.counted == count * (len(tokenizer.encode(" " + SAID[1][1])) + 1)
    assert one.characters == count * len(SAID[1][1])
    counted = [token for token in marked.tolist() if token >= 0]
    assert tokenizer.decode(counted) == f" {SAID[1][1]}" * count
    assert (
        ids.tolist()
        == tokenizer.encode_conversations(list(part(corpus.train).conversations())).tolist()
    )  # nothing between two, no padding


ROWS = [
    {"AssignmentId": f"A{n}", "WorkerId": "W1", "Answer.sentence10": "Bye.", "Answer.sentence2":
     " Hi,\n there. ", "Answer.sentence1": f"Hello {n}!", "Answer.sentence3": "{}", "Reject": ""}
    for n in range(60)
]  # fmt: skip


@pytest.fixture
def originals(monkeypatch: pytest.MonkeyPatch, no_real_corpora: None, site) -> None:  # type: ignore[no-untyped-def]
    """`self-dialogue` and `topical-chat` in their authors' own form, at this machine's address."""
    rows = [
        *ROWS,
        {**ROWS[0], "AssignmentId": "rejected", "Reject": "x"},
        {**ROWS[0], "AssignmentId": "blocked", "WorkerId": "W2"},
        {**ROWS[0], "AssignmentId": "alone", "Answer.sentence2": "", "Answer.sentence10": ""},
    ]
    table = io.StringIO()
    table.write(",".join(f'"{name}"' for name in rows[0]) + "\n")
    for row in rows:
        table.write(",".join(f'"{value}"' for value in row.values()) + "\n")
    with zipfile.ZipFile(site.folder / "main.zip", "w") as archive:
        archive.writestr("corpus-main/blocked_workers.txt", "W2\n")
        archive.writestr("corpus-main/corpus/films/one.csv", table.getvalue())
        archive.writestr("corpus-main/README.md", "not a table")
    for name in ("train", "valid_freq", "valid_rare", "test_freq", "test_rare"):
        data = {
            f"t_{name}_{n}": {
                "article_url": "x", "config": "A",
                "content": [
                    {"message": f"{name} {n}?", "agent": "agent_1", "sentiment": "Curious"},
                    {"message": "Yes,  I  do", "agent": "agent_2", "sentiment": "Happy"},
                ],
            }
            for n in range(5)
        }  # fmt: skip
        (site.folder / f"{name}.json").write_text(json.dumps(data))
    for name in ("self-dialogue", "topical-chat"):
        files = [
            replace(
                file,
                addresses=tuple(f"{site.address}/{a.rsplit('/', 1)[1]}" for a in file.addresses),
            )
            for file in BUILT_INS[name].files
        ]
        monkeypatch.setitem(BUILT_INS, name, replace(BUILT_INS[name], files=tuple(files)))


def test_originals_are_downloaded_and_converted(originals: None, site) -> None:  # type: ignore[no-untyped-def]
    corpus = open_corpus(["self-dialogue"])
    parts = [part(one) for one in (corpus.train, corpus.validation, corpus.test)]
    found = [one for each in parts for one in each.conversations()]
    assert sorted(found) == sorted(
        [("user", f"Hello {n}!"), ("assistant", "Hi, there."), ("user", "Bye.")] for n in range(60)
    )
    sizes = [each.count for each in parts]
    wanted = [0, 0, 0]
    for row in ROWS:
        name = f"films/{hashlib.sha1(row['AssignmentId'].encode()).hexdigest()[:12]}"
        place = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 100
        wanted[1 if place < 5 else 2 if place < 10 else 0] += 1
    assert sizes == wanted
    assert site.requests == ["/main.zip"]
    assert corpus.licence == "BSD-3-Clause" and corpus.sources[0].known_edition is False
    chat = open_corpus(["topical-chat"])
    assert [part(one).count for one in (chat.train, chat.validation, chat.test)] == [5, 10, 10]
    assert ("assistant", "Yes, I do") in next(part(chat.train).conversations())
    assert part(open_text(["topical-chat:valid"])).count == 10
    assert chat.sources[0].known_edition is None
    assert open_corpus(["self-dialogue"]).sha256 == corpus.sha256
    assert site.requests.count("/main.zip") == 1


def test_a_damaged_original(originals: None, site) -> None:  # type: ignore[no-untyped-def]
    (site.folder / "main.zip").write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(CorpusError, match="as its authors publish it"):
        open_corpus(["self-dialogue"])


def test_known_editions(real_corpora: Path) -> None:
    corpus = open_corpus(["self-dialogue"])
    assert [part(one).count for one in (corpus.train, corpus.validation, corpus.test)] == [
        21_694, 1_224, 1_237,
    ]  # fmt: skip
    assert all(source.known_edition for source in corpus.sources) and not corpus.warnings
    assert part(open_text(["topical-chat:test"])).count == 2 * 539
    assert isinstance(BUILT_INS["self-dialogue"].files[0].editions[0], Edition)


def test_a_conversation_of_one_side_is_none(tmp_path: Path) -> None:
    one = {"messages": [{"role": "user", "content": f"words {n}"} for n in range(3)]}
    both = {"messages": [*one["messages"], {"role": "assistant", "content": ["so", "it is"]}]}
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(each) + "\n" for each in (both, one)))
    with pytest.raises(CorpusError, match="too few different conversations"):
        open_corpus([str(tmp_path / "a.jsonl")])
    part = open_text([str(tmp_path / "a.jsonl")])
    assert "so\nit is" in part.read()
    (tmp_path / "a.jsonl").write_text(json.dumps(one))
    with pytest.raises(CorpusError, match="no usable conversation"):
        open_corpus([str(tmp_path / "a.jsonl")])
