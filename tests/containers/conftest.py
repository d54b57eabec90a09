"""What the containers said, where a test of them fails."""

from collections.abc import Generator

import pytest

from tests.containers.stack import Stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the last lines of every service to the report of a test that failed, as the stack is gone later."""
    report = yield
    if report.failed:
        report.sections += [(f"The last lines of {stack.project}", stack.last_lines()) for stack in Stack.present]
    return report
