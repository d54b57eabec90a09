"""What the containers said, where a test of them fails."""

from tests.containers.conftest import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]
