"""Whole flows over real HTTP against the sandbox; what is compared is the whole content of both sides."""

import pytest

pytest.register_assert_rewrite("tests.end_to_end.reference", "tests.end_to_end.checks", "tests.end_to_end.world")
