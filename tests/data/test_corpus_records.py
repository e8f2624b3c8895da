"""Files of records: documents are text, conversations are named as what they are."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest

from textwright.data import open_corpus, open_text
from textwright.errors import CorpusError, MissingPackageError

DOCUMENTS = [{"id": n, "text": f"Document {n} says: “é”, 👍🏽."} for n in range(20)]
TEXT = "\n\n".join(document["text"] for document in DOCUMENTS)  # type: ignore[misc]


def lines(records: list[dict[str, object]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", lines(DOCUMENTS)),
        ("a.json", lines(DOCUMENTS)),
        ("a.json", json.dumps(DOCUMENTS)),
        ("a.json", json.dumps({"data": DOCUMENTS, "version": 1}, indent=2)),
        ("a.json", json.dumps({"text": TEXT}, indent=2)),
    ],
)
def test_the_texts_of_records_are_joined(tmp_path: Path, name: str, content: str) -> None:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    assert open_text([str(file)]).read() == TEXT


def test_packed_documents_that_are_lines(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8") as packed:
        packed.write(lines([{"text": "one\n"}, {"text": ""}, {"text": "two\n"}, {"other": 1}]))
    assert open_text([str(file)]).read() == "one\ntwo\n"


def test_csv_with_a_text_column(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    with file.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerows([["id", "text"], [1, 'a "quoted"\nline'], [2, "x" * 200_000]])
    limit = csv.field_size_limit()
    assert open_text([str(file)]).read() == 'a "quoted"\nline\n\n' + "x" * 200_000
    assert csv.field_size_limit() == limit


def test_other_tables_are_read_as_they_are(tmp_path: Path) -> None:
    table, settings = tmp_path / "a.csv", tmp_path / "b.json"
    table.write_text("name,age\n" + "someone,42\n" * 9)
    settings.write_text('{"name": "a package", "version": "1.0.0"}')
    assert open_text([str(table)]).read() == table.read_text()
    corpus = open_corpus([str(settings)])
    assert corpus.train.read() + corpus.validation.read() == settings.read_text()
    assert "no field of text was found in it, so it is read as it is" in corpus.warnings[0]


def test_a_line_that_is_no_json(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(lines(DOCUMENTS[:2]) + '{"text": "cut of')  # type: ignore[arg-type]
    corpus = open_corpus([str(file)])
    assert corpus.warnings[0].endswith("lines left out, for they are no JSON: 1 (line 3)")
    file.write_text(lines(DOCUMENTS[:1]) + "{\n" * 5)  # type: ignore[arg-type]
    with pytest.raises(CorpusError, match="5 of 6 lines are no JSON; mend it, or"):
        open_corpus([str(file)])
    for empty in ("[]", "{}", "null"):
        (tmp_path / "a.json").write_text(empty)
        with pytest.raises(CorpusError, match="it is empty"):
            open_corpus([str(tmp_path / "a.json")])
    (tmp_path / "a.json").write_text('[{"text": "words of a sentence"},]')
    assert "no sound JSON (" in open_corpus([str(tmp_path / "a.json")]).warnings[0]
    (tmp_path / "a.json").write_text('"One sentence, and\\nanother one."')
    assert open_text([str(tmp_path / "a.json")]).read() == "One sentence, and\nanother one."


def test_a_damaged_gz_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.txt.gz"
    file.write_bytes(gzip.compress(TEXT.encode() * 50)[:-30])
    with pytest.raises(CorpusError, match="damaged"):
        open_corpus([str(file)])
    file.write_bytes(b"\x1f\x8b not packed at all")
    with pytest.raises(CorpusError, match="damaged"):
        open_corpus([str(file)])
    file.write_text("not packed at all")
    assert open_text([str(file)]).read() == "not packed at all"


def test_the_text_column_of_parquet_is_read(tmp_path: Path) -> None:
    file = tmp_path / "table.parquet"
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        file.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
        with pytest.raises(MissingPackageError, match=r"pip install 'textwright\[documents\]'"):
            open_corpus([str(file)])
        return
    texts = [document["text"] for document in DOCUMENTS]
    parquet.write_table(pyarrow.table({"text": texts}), file)
    assert open_text([str(file)]).read() == TEXT
    parquet.write_table(pyarrow.table({"count": [*range(9)]}), file)
    with pytest.raises(CorpusError, match=r"no column of text \(it has count\).*--field"):
        open_corpus([str(file)])
