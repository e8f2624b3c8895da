"""`textwright corpora`: lists the built-in corpora, and downloads one."""

from __future__ import annotations

from typing import Annotated

import typer

from textwright.cli.tables import show_json, show_table


def list_corpora(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the built-in corpora: name, size, licence, where each would come from."""
    from textwright.data import BUILT_INS, cache_folder
    from textwright.data.sources.builtin import locate

    cache = cache_folder()
    rows = []
    for built_in in BUILT_INS.values():
        rows.append(
            {
                "name": built_in.name,
                "title": built_in.title,
                "bytes": built_in.size,
                "licence": built_in.licence,
                "split": [file.role for file in built_in.files if file.role != "whole"],
                "from": locate(built_in, cache),
                "addresses": [file.addresses[0] for file in built_in.files],
            }
        )
    if as_json:
        show_json(rows)
        return
    show_table(
        ("name", "MB", "from", "licence", "what"),
        [
            (
                str(row["name"]),
                f"{built_in.size / 1e6:.1f}",
                str(row["from"]),
                built_in.licence,
                built_in.title,
            )
            for row, built_in in zip(rows, BUILT_INS.values(), strict=True)
        ],
        right=("MB",),
        spare=("licence", "what"),
    )


def fetch_corpus(
    name: Annotated[str, typer.Argument(help="A built-in's name, e.g. shakespeare.")],
    again: Annotated[
        bool, typer.Option("--again", help="Download it anew, even where it is there.")
    ] = False,
) -> None:
    """Get a built-in corpus ready for use without a network, and say what it holds."""
    from textwright.configs import nearest
    from textwright.data import BUILT_INS, cache_folder, open_corpus
    from textwright.data.sources.builtin import find, source_files
    from textwright.errors import CorpusError

    built_in = find(name)
    if built_in is None:
        raise CorpusError(f"no built-in corpus {name!r}{nearest(name, list(BUILT_INS))}")
    if again:
        source_files(built_in, cache_folder(), again=True)
    corpus = open_corpus([built_in.name])
    parts = {"train": corpus.train, "validation": corpus.validation, "test": corpus.test}
    show_table(
        ("part", "characters", "bytes"),
        [
            (title, f"{part.characters:,}", f"{part.bytes:,}")
            for title, part in parts.items()
            if part is not None
        ],
        right=("characters", "bytes"),
    )
    for source in corpus.sources:
        typer.echo(f"{source.sha256}  {source.address}")
