"""Are old files read as they were written? Languages × code pages × lengths, right of so many.

    python benchmarks/code_pages.py FOLDER [--count 10] [--lengths 50,100,…]

FOLDER has a text a language, `french.txt` …, in UTF-8: the figures of docs/log.md, which tells how
it is made, are of the Universal Declaration of Human Rights (github.com/eric-muller/udhr). Passages
are drawn at random with a fixed seed; each is written in the code page, with the quotation marks
and dashes that this lacks made plain, and is right if it is read as it was, character for
character.
"""

from __future__ import annotations

import argparse
import io
import random
import unicodedata
from collections import Counter
from pathlib import Path

from textwright.data.formats.encodings import inspect

PAGES = {
    "french": "cp1252 iso8859-15 cp850 mac_roman",
    "german": "cp1252 iso8859-15 cp850 cp437 mac_roman",
    "spanish": "cp1252 cp850 mac_roman",
    "portuguese": "cp1252 cp850 mac_roman",
    "italian": "cp1252 cp850 mac_roman",
    "catalan": "cp1252",
    "swedish": "cp1252 cp850 mac_roman",
    "danish": "cp1252 cp850 mac_roman",
    "norwegian": "cp1252 cp850",
    "finnish": "cp1252 cp850",
    "icelandic": "cp1252",
    "polish": "cp1250 iso8859-2 cp852",
    "czech": "cp1250 iso8859-2 cp852",
    "slovak": "cp1250 iso8859-2",
    "hungarian": "cp1250 iso8859-2 cp852",
    "romanian": "cp1250 iso8859-2",
    "croatian": "cp1250 iso8859-2",
    "slovenian": "cp1250 iso8859-2",
    "turkish": "cp1254 iso8859-9 cp857",
    "russian": "cp1251 koi8-r cp866 iso8859-5 mac_cyrillic",
    "ukrainian": "cp1251 koi8-u",
    "bulgarian": "cp1251",
    "greek": "cp1253 iso8859-7 cp737",
    "hebrew": "cp1255 iso8859-8",
    "arabic": "cp1256 iso8859-6",
    "lithuanian": "cp1257 iso8859-13",
    "thai": "cp874",
    "vietnamese": "cp1258",
    "japanese": "shift_jis euc_jp iso2022_jp",
    "chinese": "gb18030 gbk",
    "chinese-traditional": "big5",
    "korean": "euc_kr cp949",
}
PLAIN = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "’": "'", "‘": "'", "–": "-", "—": "-", "…": "...", "«": '"'}
    | {"»": '"', "ș": "ş", "ț": "ţ", "Ș": "Ş", "Ț": "Ţ", "\u200f": "", "\u200e": "", "\xa0": " "}
)
TONES = "\u0300\u0301\u0303\u0309\u0323"


def encode(text: str, page: str) -> bytes:
    """`text` in a code page; Vietnamese's has the tones as marks of their own."""
    if page != "cp1258":
        return text.encode(page)
    out = b""
    for character in text:
        try:
            out += character.encode(page)
        except UnicodeEncodeError:
            parts = unicodedata.normalize("NFD", character)
            base = "".join(part for part in parts if part not in TONES)
            tones = "".join(part for part in parts if part in TONES)
            out += (unicodedata.normalize("NFC", base) + tones).encode(page)
    return out


def passages(text: str, page: str, length: int, count: int, seed: str) -> list[tuple[str, bytes]]:
    rng = random.Random(seed)
    text *= 1 + length // len(text)
    found: list[tuple[str, bytes]] = []
    for _ in range(40 * count):
        start = rng.randrange(len(text) - length + 1)
        passage = text[start : start + length]
        for one in (passage, passage.translate(PLAIN)):
            try:
                data = encode(one, page)
            except UnicodeEncodeError:
                continue
            if page == "iso2022_jp" or not data.isascii():
                found.append((one, data))
            break
        if len(found) == count:
            break
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--lengths", default="50,100,200,500,2000,5000")
    arguments = parser.parse_args()
    lengths = [int(length) for length in arguments.lengths.split(",")]
    right, tried = Counter[int](), Counter[int]()
    print("| language | code page |", " | ".join(map(str, lengths)), "|")
    print("| --- | --- |", " | ".join("---:" for _ in lengths), "|")
    for language, pages in PAGES.items():
        path = arguments.folder / f"{language}.txt"
        if not path.is_file():
            continue
        text = unicodedata.normalize("NFC", path.read_text("utf-8"))
        if language == "hebrew":  # whose code pages are used without vowels
            text = "".join(one for one in text if not unicodedata.combining(one))
        for page in pages.split():
            cells = []
            for length in lengths:
                seed = f"{language}{page}{length}"
                chosen = passages(text, page, length, arguments.count, seed)
                good = 0
                for passage, data in chosen:
                    encoding = inspect(lambda data=data: io.BytesIO(data)).encoding  # type: ignore[misc]
                    read = data.decode(encoding or "ascii", "replace")
                    good += unicodedata.normalize("NFC", read) == unicodedata.normalize(
                        "NFC", passage
                    )
                right[length] += good
                tried[length] += len(chosen)
                cells.append(f"{good}/{len(chosen)}")
            print(f"| {language} | {page} |", " | ".join(cells), "|", flush=True)
    print("| all | |", " | ".join(f"{right[one]}/{tried[one]}" for one in lengths), "|")


if __name__ == "__main__":
    main()
