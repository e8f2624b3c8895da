"""Old files of many languages are read in the encoding they were written in."""

from __future__ import annotations

from pathlib import Path

import pytest

from textwright.data import open_text

LINES = {
    ("french", "cp1252"): "Le café “naïve” — coûte 5 €. Ça va? Où est-il passé, élève ?",
    ("portuguese", "cp1252"): "Não há razão para você. Coração, avó e avô são irmãos.",
    ("swedish", "latin-1"): "Får får får? Nej, får får lamm. Åsa äter ärtor över ån.",
    ("danish", "latin-1"): "Blåbærgrød på øen, så går vi hjem og læser.",
    ("italian", "cp1252"): "È così però perché la città è più bella.",
    ("english", "cp1252"): "café’s naïve façade cost £5",
    ("german", "cp1252"): "Größe, Straße und Übermut – „schön“, äh.",
    ("spanish", "cp1252"): "El niño comió piña; ¿qué más da, señor? ¡Ojalá!",
    ("polish", "cp1250"): "Zażółć gęślą jaźń. Wszyscy ludzie rodzą się wolni i równi.",
    ("czech", "cp1250"): "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    ("russian", "cp1251"): "Все люди рождаются свободными и равными в своём достоинстве.",
    ("greek", "cp1253"): "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι.",
    ("turkish", "cp1254"): "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.",
}


@pytest.mark.parametrize("lines", [1, 50])
@pytest.mark.parametrize(("language", "encoding"), LINES)
def test_a_file_reads_as_it_was_written(
    language: str, encoding: str, lines: int, tmp_path: Path
) -> None:
    text = f"{LINES[language, encoding]}\n" * lines
    file = tmp_path / f"{language}.txt"
    file.write_bytes(text.encode(encoding))
    assert open_text([str(file)]).read() == text
