"""The page of the study of TPU-MLIR says what was recorded."""

from __future__ import annotations

from pathlib import Path

import gains
import vendor_search
import vendor_settings
from vendor_rows import fewest_cycles

PAGE = (Path(__file__).parents[2] / "studies" / "tpu-mlir" / "README.md").read_text("utf-8")
NETWORKS = ["resnet8", "ds-cnn", "ultraface", "mobilenet-v2-0.35-96"]


def test_the_page_has_the_tables_that_the_scripts_print():
    for script in (gains.table(), *(each.table(each.recorded()) for each in (vendor_search,))):
        assert script in PAGE


def test_every_level_is_recorded_with_every_precision():
    rows = vendor_settings.recorded()
    assert [row["network"] for row in rows] == [name for name in NETWORKS for _ in range(12)]
    assert vendor_settings.table(rows) in PAGE


def test_the_best_uniform_setting_keeps_30_db():
    for network in NETWORKS:
        row = fewest_cycles(vendor_settings.recorded(), network)
        assert float(row["snr_db"]) >= 30
        assert row["setting"].startswith("opt ")
