"""How long the report of a large study takes to make and to open, and how large it is.

Asked for a study of MobileNetV2 with 1,000 trials: made within 10 s, 5 MB at most, and in Chromium
all plots drawn within 2 s.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from browser import chromium

os.environ["NPU_TUNE_CACHE"] = ""  # what is timed here is evaluated

COMMAND = [sys.executable, "-c", "from npu_tune.cli.main import main; main()"]
ASKED = {"made [s]": 10.0, "size [MB]": 5.0, "drawn [s]": 2.0}


def main() -> int:
    """Prints the figures beside what is asked, and fails where one is worse."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mobilenet-v2")
    parser.add_argument("--target", default="neural-art-stm32n6")
    parser.add_argument("--evaluations", type=int, default=1000)
    parser.add_argument("--study", type=Path, help="Kept and resumed; a temporary one if absent.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.study or Path(scratch) / "study"
        subprocess.run(
            [
                *COMMAND, "tune", options.model, "--target", options.target, "--quiet",
                "--evaluations", str(options.evaluations), "--study", str(folder),
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        report = Path(scratch) / "report.html"
        began = time.perf_counter()
        subprocess.run([*COMMAND, "report", str(folder), "--out", str(report)], check=True)
        made = time.perf_counter() - began
        found = {
            "made [s]": made,
            "size [MB]": report.stat().st_size / 1e6,
            "drawn [s]": seconds_until_drawn(report),
        }
    print(f"{options.model} on {options.target}, {options.evaluations} evaluations")
    print("| figure | value | asked |\n|---|---:|---:|")
    for name, value in found.items():
        print(f"| {name} | {value:.2f} | {ASKED[name]:g} |")
    return int(any(value > ASKED[name] for name, value in found.items()))


def seconds_until_drawn(report: Path) -> float:
    """From going to the page until Bokeh says that everything is drawn, the best of three."""
    with chromium() as browser:
        taken = []
        for _ in range(3):
            page = browser.new_page()
            began = time.perf_counter()
            page.goto(report.as_uri())
            page.wait_for_selector("html[data-ready=true]")
            taken.append(time.perf_counter() - began)
            page.close()
    return min(taken)


if __name__ == "__main__":
    sys.exit(main())
