import math

import pandas as pd
import pytest

from npu_tune.compare.output.markdown import (
    count_of_seeds,
    evaluations,
    four_digits,
    markdown_table,
    p_value,
    percent,
)


def test_a_table_has_a_rule_below_its_header():
    assert markdown_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (percent(0.01234), "1.23 %"),
        (percent(math.inf), "-"),
        (four_digits(0.5), "0.5000"),
        (four_digits(math.nan), "-"),
        (evaluations(1234.0), "1,234"),
        (evaluations(math.inf), "not reached"),
        (p_value(0.04), "0.040"),
        (p_value(0.00004), "4.0e-05"),
    ],
)
def test_figures_are_short_and_what_is_none_is_said(text, wanted):
    assert text == wanted


def test_different_numbers_of_seeds_are_a_range():
    assert count_of_seeds(pd.Series([10, 10])) == "10"
    assert count_of_seeds(pd.Series([3, 10, 10])) == "3 to 10"
