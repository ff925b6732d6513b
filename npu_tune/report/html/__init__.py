"""The report as one HTML file that loads nothing."""

from npu_tune.report.html.page import report_html

__all__ = ["report_html"]
