"""The validation of the Neural-ART model reaches its figures, and its page shows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from calibrate import FEWEST_FAMILIES, ROUND, Constants, Sample, fitted, held_out, samples_of
from comparisons import (
    Prediction,
    errors_of,
    estimates,
    once_per_network,
    predictions,
    share_near,
)
from published import (
    BEFORE_CORE_4,
    EPOCHS,
    PUBLISHED,
    SECOND,
    Errors,
    PublishedRow,
    admitted,
    read_published,
)
from validate import FOLDER, main, markdown, sections, with_tables

from npu_tune.errors import StorageError, UsageError
from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.confidence import USUAL, WITH_FEW_ROWS
from npu_tune.targets.neural_art.hardware import load_hardware

HEADER = "format,core_version,inference_ms,zoo_name"


@pytest.fixture(scope="module")
def rows() -> list[PublishedRow]:
    return admitted(read_published())


@pytest.fixture(scope="module")
def samples(rows: list[PublishedRow]) -> list[Sample]:
    return samples_of(rows)


@pytest.fixture(scope="module")
def predicted(rows: list[PublishedRow]) -> list[Prediction]:
    return predictions(rows)


def test_the_admitted_rows_are_independent_networks(rows: list[PublishedRow]) -> None:
    assert len(rows) == 22
    assert len({row.network for row in rows}) == 22
    assert len({row.family for row in rows}) == 6


def test_latency_is_within_its_targets(predicted: list[Prediction]) -> None:
    errors = Errors.of(errors_of(predicted, "latency"))
    assert errors.count == 22
    assert errors.median <= 0.08
    assert errors.p90 <= 0.25


def test_latency_of_families_not_fitted_to_is_within_its_targets(samples: list[Sample]) -> None:
    fits = held_out(samples)
    errors = Errors.of(sample.error(fits[sample.row.family]) for sample in samples)
    assert errors.median <= 0.08
    assert errors.p90 <= 0.25


def test_latency_without_a_fit_is_within_its_targets(samples: list[Sample]) -> None:
    errors = Errors.of(sample.error(ROUND) for sample in samples)
    assert errors.median <= 0.08
    assert errors.p90 <= 0.25


def test_ram_is_within_its_target(predicted: list[Prediction]) -> None:
    assert Errors.of(errors_of(predicted, "RAM")).median <= 0.15


def test_flash_of_every_row_is_within_its_target(predicted: list[Prediction]) -> None:
    assert Errors.of(errors_of(predicted, "flash")).worst <= 0.05


def test_the_vendors_estimates_of_epochs_are_met() -> None:
    found = estimates()
    assert len(found) == 55
    for choice in ("alike", "default"):
        pairs = [(getattr(epoch, choice).max_cycles, epoch.reported.max_cycles) for epoch in found]
        assert share_near(pairs) >= 0.90


def test_the_hardware_has_the_constants_that_are_fitted(samples: list[Sample]) -> None:
    constants = fitted(samples)
    calibration = load_hardware("stm32n6").calibration
    assert calibration.flash_cycles_per_byte == round(constants.flash_cycles_per_byte, 2)
    assert calibration.compute_factor == round(constants.compute_factor, 2)


def test_the_smaller_hardware_has_the_same_constants_as_times() -> None:
    large, small = load_hardware("stm32n6"), load_hardware("stm32h7p")
    ratio = small.clock_mhz / large.clock_mhz
    for figure in ("flash_cycles_per_byte", "epoch_cycles", "software_epoch_cycles"):
        expected = getattr(large.calibration, figure) * ratio
        assert getattr(small.calibration, figure) == pytest.approx(expected, rel=0.005), figure
    assert small.calibration.compute_factor == large.calibration.compute_factor


def test_the_fit_finds_the_constants_that_made_the_figures(samples: list[Sample]) -> None:
    made = Constants(3.3, 0.9)
    exact = [
        replace(s, row=replace(s.row, latency_ms=s.row.latency_ms * (1 + s.error(made))))
        for s in samples
    ]
    found = fitted(exact)
    assert found.flash_cycles_per_byte == pytest.approx(3.3, rel=1e-3)
    assert found.compute_factor == pytest.approx(0.9, rel=1e-3)


def test_the_fit_counts_cycles_as_the_simulator_does(
    samples: list[Sample], predicted: list[Prediction]
) -> None:
    calibration = load_hardware("stm32n6").calibration
    own = Constants(calibration.flash_cycles_per_byte, calibration.compute_factor)
    for sample, prediction in zip(samples, predicted, strict=True):
        assert sample.error(own) == pytest.approx(prediction.errors["latency"], abs=1e-9)


def test_a_prediction_is_what_the_target_evaluates(predicted: list[Prediction]) -> None:
    one = next(p for p in predicted if p.row.network == "st-fd-mobilenet-128")
    target = load_target("neural-art-stm32n6", {})
    network = zoo_network(one.row.network)
    with target.bind(network) as problem:
        metrics = problem.evaluate(problem.space.default).metrics
    assert one.latency_ms == pytest.approx(metrics["latency_ms"])
    assert one.ram_kib * 1024 == pytest.approx(metrics["ram_bytes"])
    assert one.flash_kib * 1024 == pytest.approx(metrics["flash_bytes"])


def test_weights_of_four_bits_take_less_flash_and_no_more_time() -> None:
    wanted = "mobilenet-v2-0.35-128"
    found = [row for row in read_published() if row.network == wanted and row.core == (3, 0, 0)]
    plain, four = predictions(found)
    assert four.row.four_bits == 0.8564
    assert four.flash_kib == pytest.approx(plain.flash_kib * (1 - 0.8564 / 2))
    assert four.latency_ms < plain.latency_ms


@pytest.fixture(scope="module")
def later() -> list[Prediction]:
    newer = [row for row in read_published() if row.out_of_scope == BEFORE_CORE_4]
    return predictions([*read_published(SECOND), *newer])


def test_rows_that_nothing_is_fitted_to_are_within_a_quarter(later: list[Prediction]) -> None:
    assert len(later) == 9
    assert all(abs(one.errors["latency"]) <= 0.25 for one in later)
    assert all(abs(one.errors["RAM"]) <= 0.25 for one in later)


def test_external_ram_is_where_and_as_large_as_published(later: list[Prediction]) -> None:
    for one in later:
        if one.row.format == "int8":
            assert one.external_ram_kib == pytest.approx(one.row.external_ram_kib, abs=0.01)


def test_version_3_of_the_compiler_has_its_own_latency_and_ram(later: list[Prediction]) -> None:
    found = [one for one in later if one.row.out_of_scope == BEFORE_CORE_4]
    assert Errors.of(errors_of(found, "latency")).worst <= 0.05
    assert Errors.of(errors_of(found, "RAM")).worst <= 0.01


def test_the_errors_that_the_model_states_are_those_found_here(
    predicted: list[Prediction], later: list[Prediction]
) -> None:
    for stated, given in ((USUAL, predicted), (WITH_FEW_ROWS, later[:5])):
        for metric, quantity in (("latency_ms", "latency"), ("ram_bytes", "RAM")):
            found = Errors.of(errors_of(given, quantity))
            assert found.median <= stated[metric].median + 0.005
            assert found.p90 <= stated[metric].p90 + 0.01
    assert all(one.confidence.validated for one in (*predicted, *later))


def test_the_page_shows_the_tables_that_the_command_writes() -> None:
    tables, _ = sections(PUBLISHED, EPOCHS, SECOND)
    page = (FOLDER / "README.md").read_text()
    for name in tables:
        assert f"<!-- {name} -->" in page
    fresh = with_tables(page, {name: markdown(*one) for name, one in tables.items()})
    assert fresh == page, "run studies/neural-art/validate.py and read the page again"


def test_tables_of_ones_own_are_written_where_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = zoo_network("resnet8", format="onnx").model_bytes
    (tmp_path / "mine.onnx").write_bytes(model)
    table = tmp_path / "mine.csv"
    table.write_text(f"{HEADER}\nint8,4.0.0,0.4,mine.onnx\nint8,4.0.0,0.3,resnet8\n")
    assert main(["--published", str(table), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "mine.onnx" in printed
    assert "each network once" not in printed
    page = (tmp_path / "out/README.md").read_text()
    assert "| mine.onnx | 4.0.0 |" in page
    assert (tmp_path / "out/validation.png").stat().st_size > 0
    names = {"mine", "resnet8"}
    assert {row.family for row in read_published(table)} == names
    assert len(names) < FEWEST_FAMILIES
    assert "<!-- constants -->" not in page


def test_rows_of_one_network_can_count_once(tmp_path: Path) -> None:
    table = tmp_path / "twice.csv"
    table.write_text(f"{HEADER}\n" + "int8,4.0.0,0.4,resnet8\n" * 3)
    given = predictions(read_published(table))
    assert len(once_per_network(given, "latency")) == 1
    assert once_per_network(given, "RAM") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEADER},colour\nint8,4.0.0,1,resnet8,red\n", "unknown column 'colour'"),
        ("format,core_version,zoo_name\nint8,4.0.0,resnet8\n", "no column 'inference_ms'"),
        (f"{HEADER}\nint8,4.0.0,1,resnet9\n", "zoo_name in row 1 of t.csv is 'resnet9'"),
        (f"{HEADER}\nint8,4.0.0,1,gone.onnx\n", "'gone.onnx'"),
        (f"{HEADER}\nint8,4.0.0,fast,resnet8\n", "inference_ms in row 1 of t.csv is 'fast'"),
        (f"{HEADER}\nint8,4.0.0,nan,resnet8\n", "inference_ms in row 1 of t.csv is 'nan'"),
        (f"{HEADER}\nint8,4.0.0,,resnet8\n", "no inference_ms in row 1"),
        (f"{HEADER}\n,4.0.0,1,resnet8\n", "no format in row 1"),
        (f"{HEADER}\nint8,new,1,resnet8\n", "core_version in row 1 of t.csv is 'new'"),
        (f"{HEADER}\nint8,4.0.0,1,resnet8,7\n", "more values than there are columns in row 1"),
        (f"{HEADER}\n", "has no rows"),
        ("", "no column 'format'"),
    ],
)
def test_a_wrong_table_is_refused_in_one_sentence(
    tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "t.csv"
    table.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_published(table)
    assert message in caught.value.message
    assert main(["--published", str(table)]) == UsageError.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"gone\.csv"):
        read_published(tmp_path / "gone.csv")
    with pytest.raises(StorageError, match=r"gone\.csv"):
        estimates(tmp_path / "gone.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no column 'mapping'"),
        ("mapping\nsoftware\n", "has no hardware epochs"),
    ],
)
def test_a_table_that_holds_no_epochs_is_refused(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "t.csv"
    table.write_text(text)
    with pytest.raises(UsageError, match=message):
        estimates(table)


def test_the_documentation_states_the_figures(
    samples: list[Sample], predicted: list[Prediction]
) -> None:
    page = (FOLDER.parents[1] / "docs/neural_art.md").read_text().split("\n## Validation\n")[1]
    latency = Errors.of(errors_of(predicted, "latency"))
    fits = held_out(samples)
    held = Errors.of(sample.error(fits[sample.row.family]) for sample in samples)
    ram, flash = (Errors.of(errors_of(predicted, quantity)) for quantity in ("RAM", "flash"))
    for errors in (latency, held):
        stated = f"median {errors.median * 100:.1f} %, 90th percentile {errors.p90 * 100:.1f} %"
        assert stated in page
    assert f"median {ram.median * 100:.1f} %, worst {ram.worst * 100:.0f} %" in page
    assert f"median {flash.median * 100:.1f} %, worst {flash.worst * 100:.1f} %" in page
    calibration = load_hardware("stm32n6").calibration
    assert f"{calibration.flash_cycles_per_byte:.2f} cycles per byte" in page
    assert f"{calibration.compute_factor:.2f} on" in page
