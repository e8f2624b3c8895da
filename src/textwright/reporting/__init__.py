"""What a run tells about itself: verdict, report, card, comparison. Imports no torch."""

from textwright.reporting.card import card_text, write_card
from textwright.reporting.comparison import Comparison, compare
from textwright.reporting.report import report_html, write_report
from textwright.reporting.summary import RunSummary, all_runs, run_to_remove, summaries
from textwright.reporting.verdict import Verdict, verdict
from textwright.runs import is_training

__all__ = [
    "Comparison",
    "RunSummary",
    "Verdict",
    "all_runs",
    "card_text",
    "compare",
    "is_training",
    "report_html",
    "run_to_remove",
    "summaries",
    "verdict",
    "write_card",
    "write_report",
]
