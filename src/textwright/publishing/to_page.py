"""`--to page`: one HTML file with the model inside, which runs offline in any browser."""

from __future__ import annotations

from pathlib import Path

from textwright.errors import RequestError
from textwright.page import DTYPES, Dtype, write_offline_page
from textwright.runs import Run


def export(
    run: Run,
    out: Path,
    dtype: Dtype = "float16",
    *,
    trainable: bool = False,
    companion: str = "auto",
) -> Path:
    """Write the file `out`, or, where that doesn't end in `.html`, a file in it, named by the run.

    Raises:
        RequestError: the page can't run this model, has no such type, or `out` is a folder; or it
            shall be trainable, and this package can't train in a tab.
    """
    if dtype not in DTYPES:
        raise RequestError(f"a page holds {' or '.join(DTYPES)}, not {dtype}")
    file = out if out.suffix == ".html" else out / f"{run.name}.html"
    if file.is_dir():
        raise RequestError(f"{file} is a folder; name a file to write with --out")
    return write_offline_page(run, file, dtype=dtype, trainable=trainable, companion=companion)
