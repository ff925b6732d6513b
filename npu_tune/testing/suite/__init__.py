"""The tests that every target passes.

Inherit them in a test module, and say which target and network they are about::

    class TestMyTarget(TargetSuite):
        @pytest.fixture
        def target(self):
            return MyTarget()

        @pytest.fixture
        def network(self):
            return load_network("ds-cnn")

For messages that show the values, put
``pytest.register_assert_rewrite("npu_tune.testing.suite")`` into ``conftest.py``.
"""

from __future__ import annotations

from npu_tune.testing.suite.binding import BindingTests
from npu_tune.testing.suite.configurations import ConfigurationTests
from npu_tune.testing.suite.description import DescriptionTests
from npu_tune.testing.suite.evaluations import EvaluationTests
from npu_tune.testing.suite.timelines import TimelineTests

__all__ = ["TargetSuite"]


class TargetSuite(
    DescriptionTests, BindingTests, ConfigurationTests, EvaluationTests, TimelineTests
):
    """All tests of one target with one network.

    Fixtures to override: ``target`` and ``network``; and where there are any, ``other_target``
    (one of another option or version), ``other_network`` and ``unfit_network`` (one that the
    target refuses). What is not given is not tested.
    """
