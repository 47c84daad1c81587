"""How many requests were made of the API's description, at the end of a run, whichever process made them."""

from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    counts = [count for report in reports for name, count in report.user_properties if name == "openapi_cases"]
    if counts:
        terminalreporter.write_line(f"OpenAPI: {sum(counts)} requests, {len(counts)} operations by actor")
