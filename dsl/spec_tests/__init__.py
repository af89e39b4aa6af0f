"""Tests of specs: ``*.test.yaml`` beside them, each a request, pools, and what placement must make of it. Pure."""

from dsl.spec_tests.coverage import Coverage, CoveredRule, coverage
from dsl.spec_tests.documents import Expectation, PlacementTestSpec
from dsl.spec_tests.reading import TEST_KINDS, Suite, read_tests
from dsl.spec_tests.running import Failure, Result, run_tests

__all__ = [
    "TEST_KINDS",
    "Coverage",
    "CoveredRule",
    "Expectation",
    "Failure",
    "PlacementTestSpec",
    "Result",
    "Suite",
    "coverage",
    "read_tests",
    "run_tests",
]
