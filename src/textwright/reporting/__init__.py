"""Everything that is written about a run: verdict, report, model card, comparison. No torch.

Begin with `summary`, the tolerant view of a run folder that all others read; `verdict` reads the
curves, `report` renders HTML with `charts`, `card` the model card, `comparison` sets runs side by
side, `naming` gives a copied run its name. Nothing here loads a model or opens a corpus.
"""

from textwright.reporting.card import card_text, write_card
from textwright.reporting.comparison import Comparison, compare
from textwright.reporting.naming import name_run
from textwright.reporting.report import report_html, write_card_and_report, write_report
from textwright.reporting.summary import RunSummary, all_runs, run_to_remove, summaries
from textwright.reporting.verdict import Verdict, verdict

__all__ = [
    "Comparison",
    "RunSummary",
    "Verdict",
    "all_runs",
    "card_text",
    "compare",
    "name_run",
    "report_html",
    "run_to_remove",
    "summaries",
    "verdict",
    "write_card",
    "write_card_and_report",
    "write_report",
]
