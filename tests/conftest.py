"""With EDGERES_NO_SKIP=1, as in CI, whatever skips fails and quotes its reason.

The exception is a test marked `may_skip_in_ci("why")`, for what CI cannot have.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any, TypeVar

import pytest
from hypothesis import settings

settings.register_profile(
    "edgeres", deadline=None, derandomize=os.environ.get("CI") == "true"
)  # the same run every time
settings.load_profile("edgeres")
os.environ["EDGERES_CONFIG"] = os.devnull  # no `edgeres.toml` of whoever runs the tests

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "may_skip_in_ci(reason): it may skip even where EDGERES_NO_SKIP=1")


@pytest.hookimpl(tryfirst=True)  # before a mark may skip the test
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("may_skip_in_ci"):
        if not (marker.args and isinstance(marker.args[0], str)):
            pytest.fail(f"{item.nodeid}: may_skip_in_ci needs its reason", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    may_skip = item.get_closest_marker("may_skip_in_ci") or hasattr(report, "wasxfail")
    return report if may_skip else _failed_if_skipped(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _failed_if_skipped((yield))


def _failed_if_skipped(report: Report) -> Report:
    if os.environ.get("EDGERES_NO_SKIP") == "1" and report.skipped:
        where: Any = report.longrepr  # (path, line, reason) of a skip
        reason = where[2] if isinstance(where, tuple) else str(where)
        report.outcome = "failed"
        report.longrepr = f"Nothing may skip here (EDGERES_NO_SKIP=1), and this did: {reason}"
    return report
