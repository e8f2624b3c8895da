"""Tables and records as people have them: every dialect, any name of the column, nothing lost."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from textwright.data import open_corpus, open_text
from textwright.data.text import TextPart
from textwright.errors import CorpusError

SAYINGS = [
    "It was a bright, cold day; the clocks were striking.",
    'He said "no", and left: 5" of snow | half a yard',
    "Two lines\nin one field, it’s said",
    "Plain words, and more of them.",
    "Naïve café — 10 €",
] * 6
TEXT = "\n\n".join(SAYINGS)
ONE_LINE = [text.replace("\n", " ") for text in SAYINGS]


def read(path: Path, **how: Any) -> str:
    return open_text([str(path)], **how).read()


def written(names: list[str], **dialect: Any) -> str:
    out = io.StringIO()
    writer = csv.writer(out, **dialect)
    writer.writerow(names)
    for number, text in enumerate(SAYINGS):
        writer.writerow([number, text, "ab"[number % 2]])
    return out.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("escape", [None, "\\"])
def test_every_dialect_gives_the_same(
    tmp_path: Path, delimiter: str, quoting: Any, escape: str | None
) -> None:
    table = written(
        ["id", "text", "label"],
        delimiter=delimiter,
        quoting=quoting,
        escapechar=escape,
        doublequote=escape is None,
    )
    (tmp_path / "a.csv").write_text(table, newline="", encoding="utf-8")
    assert read(tmp_path / "a.csv") == TEXT


@pytest.mark.parametrize(
    "name", ["Text", "TEXT ", "tweet", "Tweet Text", "review_body", "fullText", "content", "lyrics"]
)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_the_column_of_text_by_any_name(tmp_path: Path, name: str, delimiter: str) -> None:
    table = written(["id", name, "label"], delimiter=delimiter)
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        (tmp_path / "a.csv").write_text(table, newline="", encoding=encoding)
        assert read(tmp_path / "a.csv") == TEXT
    (tmp_path / "a.tsv").write_text(written(["id", name, "label"], delimiter="\t"), "utf-8")
    assert read(tmp_path / "a.tsv") == TEXT


def test_a_column_of_an_unknown_name_by_its_prose(tmp_path: Path, caplog: Any) -> None:
    (tmp_path / "a.csv").write_text(written(["no", "Sprüche", "kind"]), "utf-8")
    with caplog.at_level("INFO"):
        assert read(tmp_path / "a.csv") == TEXT
    assert 'its column "Sprüche" (30), which has the longest texts; not read: no, kind' in (
        caplog.text
    )
    assert read(tmp_path / "a.csv", field="kind").split() == ["a", "b"] * 15
    with pytest.raises(CorpusError, match='no column "x"; it has no, Sprüche, kind'):
        read(tmp_path / "a.csv", field="x")
    rows = written(["x", "x", "x"]).partition("\n")[2]  # no names at all
    (tmp_path / "b.csv").write_text(rows, "utf-8")
    assert read(tmp_path / "b.csv") == TEXT


def test_commas_that_are_not_quoted_are_kept(tmp_path: Path) -> None:
    plain = [text.replace('"', "").replace("\n", " ") for text in SAYINGS]
    last = "id,text\n" + "".join(f"{number},{text}\n" for number, text in enumerate(plain))
    middle = "id,text,by\n" + "".join(f"{n},{text},me\n" for n, text in enumerate(plain))
    only = "text\n" + "".join(f"{text}\n" for text in plain)
    for table in (last, middle, only):
        (tmp_path / "a.csv").write_text(table, "utf-8")
        assert read(tmp_path / "a.csv") == "\n\n".join(plain)
    corpus = open_corpus([str(tmp_path / "a.csv")])
    assert "their text was put together again: 24 (line 2, 3, 4," in corpus.warnings[0]


def test_what_a_table_holds_besides(tmp_path: Path) -> None:
    rows = ["sep=;", "id;text", "1;eins und zwei", "2", "3;", "", "4;drei und vier;;", '5;"nie zu']
    (tmp_path / "a.csv").write_text("\r\n".join([*rows, *["6;x"] * 1100]) + "\r\n", "utf-8")
    part = open_corpus([str(tmp_path / "a.csv")])
    text = part.train.read() + part.validation.read()
    assert text.startswith("eins und zwei\n\ndrei und vier\n\nnie zu\n6;x")
    said = "\n".join(part.warnings)
    assert "have no text: 2 (line 4, 5)" in said
    assert "a quotation mark is never closed, as it seems" in said and said.endswith("1 (line 8)")


def lines(records: list[Any]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


MIXED = [
    {"id": n, ("text", "content", "Body")[n % 3]: text} for n, text in enumerate(SAYINGS)
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", lines(MIXED)),
        ("a.json", lines(MIXED)),
        ("a.json", json.dumps(MIXED)),
        ("a.json", json.dumps({"meta": {"n": 1}, "a": MIXED[:9], "b": MIXED[9:]})),
        ("a.jsonl", lines([{"text": text.split("\n")} for text in SAYINGS])),
        ("a.jsonl", lines([{"nr": n, "Spruch": text} for n, text in enumerate(SAYINGS)])),
        ("a.jsonl", lines(SAYINGS)),
        ("a.json", json.dumps(SAYINGS)),
        ("a.json", json.dumps({"text": SAYINGS, "label": [1] * len(SAYINGS)})),
        ("a.json", json.dumps({"text": {str(n): text for n, text in enumerate(SAYINGS)}})),
    ],
)
def test_records_of_any_field(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read(tmp_path / name) == TEXT


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_records_without_text_are_counted(tmp_path: Path, name: str, caplog: Any) -> None:
    records = [*MIXED, {"id": 1}, {"text": None}, {"text": ""}, {"text": 5}, 7]
    whole = lines(records) if name == "a.jsonl" else json.dumps(records)
    (tmp_path / name).write_text(whole, encoding="utf-8")
    with caplog.at_level("INFO"):
        corpus = open_corpus([str(tmp_path / name)])
    unit = "line" if name == "a.jsonl" else "record"
    assert corpus.warnings == (
        f"{tmp_path / name}: records left out, for they have no text: "
        f"5 ({unit} 31, 32, 33, 34, 35)",
    )
    assert 'text from its field "text" (10) and "content" (10) and "Body" (10)' in caplog.text
    assert "not read: id; --field NAME decides" in caplog.text
    again = open_corpus([str(tmp_path / name)])
    assert again.warnings == corpus.warnings
    assert read(tmp_path / name, field="content").count("\n\n") == 9


def test_of_a_table_in_json_the_column_that_was_read_is_said(tmp_path: Path, caplog: Any) -> None:
    table = {"text": SAYINGS, "label": [1] * len(SAYINGS)}
    (tmp_path / "a.json").write_text(json.dumps(table), encoding="utf-8")
    with caplog.at_level("INFO"):
        open_corpus([str(tmp_path / "a.json")])
    assert f'text from its column "text" ({len(SAYINGS)}); not read: label' in caplog.text


def test_a_parquets_column(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the documents extra")
    from pyarrow import parquet

    numbers = [*range(len(SAYINGS))]
    for name in ("Text", "Spruch"):
        table = pyarrow.table({"id": numbers, name: SAYINGS, "by": ["me"] * len(numbers)})
        parquet.write_table(table, tmp_path / "a.parquet")
        assert read(tmp_path / "a.parquet") == TEXT
        assert read(tmp_path / "a.parquet", field="by").split() == ["me"] * len(numbers)
    for kind in (pyarrow.large_string(), pyarrow.dictionary(pyarrow.int8(), pyarrow.string())):
        parquet.write_table(
            pyarrow.table({"text": pyarrow.array(SAYINGS, kind)}), tmp_path / "b.parquet"
        )
        assert read(tmp_path / "b.parquet") == TEXT
    cells = pyarrow.array([one.encode() for one in SAYINGS[:-1]] + [b"caf\xe9"], pyarrow.binary())
    parquet.write_table(pyarrow.table({"text": cells}), tmp_path / "c.parquet")
    with pytest.raises(CorpusError, match="--field text reads them"):
        read(tmp_path / "c.parquet")
    corpus = open_corpus([str(tmp_path / "c.parquet")], field="text")
    assert any(f"became U+FFFD: 1 (row {len(SAYINGS)})" in one for one in corpus.warnings)


def words(part: TextPart) -> list[list[str]]:
    return [[text for _, text in one] for one in part.conversations()]  # type: ignore[attr-defined]


def test_every_part_of_a_turn_is_read(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": ["See ", {"type": "text", "text": "this"}, "picture:"]},
        {"role": "assistant", "content": [{"type": "image_url", "image_url": {}}, {"text": "A"}]},
        {"role": "user", "content": [{"type": "text", "text": {"value": "Thanks"}}]},
    ]
    file = tmp_path / "talk.jsonl"
    file.write_text(lines([{"messages": turns}] + [{"messages": turns[1:]}] * 2))
    part = open_text([str(file)])
    assert ["See \nthis\npicture:", "A", "Thanks"] in words(part)
    corpus = open_corpus([str(file)], validation_fraction=0.4)
    assert "left out 3 parts of turns that hold no text" in corpus.warnings[0]


@pytest.mark.parametrize(
    "names", [("instruction", "output"), ("prompt", "completion"), ("question", "answer")]
)
def test_questions_and_answers_are_conversations(tmp_path: Path, names: tuple[str, str]) -> None:
    asked, answered = names
    records = [{asked: f"Say {n}.", answered: f"{n}!", "input": "Please."} for n in range(9)]
    for name, content in (("a.jsonl", lines(records)), ("a.json", json.dumps(records))):
        (tmp_path / name).write_text(content)
        found = words(open_text([str(tmp_path / name)]))
        assert sorted(found) == [[f"Say {n}.\n\nPlease.", f"{n}!"] for n in range(9)]


def test_other_quotation_marks_and_one_that_is_never_closed(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id,text\n" + "".join(f"{n},'it is, I say, {n}'\n" for n in range(9)))
    assert open_text([str(file)]).read().startswith("it is, I say, 0\n\nit is")
    rows = "".join(f"{n},she said so {n}\n" for n in range(9))
    file.write_text('id,text\n0,"open\n' + rows)
    (warning,) = open_corpus([str(file)]).warnings
    assert "a quotation mark is never closed" in warning and "(line 2)" in warning
    file.write_text('id,text\n0,"two ""\nlines"\n' + rows)
    assert open_corpus([str(file)]).warnings == ()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # A space before what is quoted; commas of a title that isn't, beside a text that is
        ("".join(f'{n}, "a text, {n}"\n' for n in range(9)), "a text, {}"),
        ("".join(f'Mr. {n}, Esq.,"a text, {n}"\n' for n in range(9)), "a text, {}"),
    ],
)
def test_where_a_quoted_text_begins(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "a.csv").write_text("title,text\n" + content, "utf-8")
    assert read(tmp_path / "a.csv") == "\n\n".join(map(expected.format, range(9)))


def test_rows_that_have_their_text_in_either_of_two_columns(tmp_path: Path) -> None:
    rows = "".join(f"{n},text {n},\n" if n % 2 else f"{n},,text {n}\n" for n in range(9))
    (tmp_path / "a.csv").write_text("id,text,content\n" + rows, "utf-8")
    assert read(tmp_path / "a.csv") == "\n\n".join(f"text {n}" for n in range(9))


def test_sentences_that_are_called_a_table_are_not_cut(tmp_path: Path) -> None:
    lines = "".join(f"Sentence number {n}, with a comma, and more.\n" for n in range(9))
    (tmp_path / "a.csv").write_text(lines, "utf-8")
    assert read(tmp_path / "a.csv") == lines


@pytest.mark.parametrize("record", ["{t}", '{{"meta": {t}}}', '{{"parts": [{t}]}}'])
def test_a_text_inside_of_records(tmp_path: Path, record: str) -> None:
    whole = [record.format(t=json.dumps({"id": 1, "text": f"text {n}"})) for n in range(9)]
    expected = "\n\n".join(f"text {n}" for n in range(9))
    (tmp_path / "a.jsonl").write_text("\n".join(whole), "utf-8")
    (tmp_path / "b.jsonl").write_text(f"[{','.join(whole)}]", "utf-8")  # a list after all
    assert [read(tmp_path / name) for name in ("a.jsonl", "b.jsonl")] == [expected] * 2


def test_a_field_inside_of_records_by_its_name(tmp_path: Path) -> None:
    posts = [{"data": {"title": f"post {n}", "id": n}} for n in range(9)]
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"data": {"children": posts}}), "utf-8")
    expected = "\n".join(f"post {n}" for n in range(9))
    assert open_text([str(file)], field="data.children.data.title").read() == expected
    with pytest.raises(CorpusError, match=r"no text in a field \"nosuch\"; it has data.children"):
        open_text([str(file)], field="nosuch")
