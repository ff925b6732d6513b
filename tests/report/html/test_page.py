from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from browser import Watched
from study_results import infeasible_result, measured_result, study_result

from npu_tune.report.explain import explain, explain_from_records
from npu_tune.report.html import report_html
from npu_tune.report.sections import Whereabouts

pytestmark = pytest.mark.slow


def page_of(result, folder):
    return report_html(result, explain_from_records(result), where=Whereabouts.of(folder, result))


def test_nothing_in_the_page_can_be_taken_for_markup(tmp_path):
    evil = "</script><script>alert(1)</script>"
    result = study_result()
    failing = replace(result.trials[5], message=evil)
    trials = tuple(failing if t.number == 5 else t for t in result.trials)
    page = page_of(replace(result, model=evil, trials=trials), tmp_path)
    assert evil not in page
    assert "alert(1)" in page


def test_the_data_of_the_page_are_those_of_the_command(tmp_path):
    page = page_of(study_result(), tmp_path)
    (text,) = re.findall(r'id="npu-tune-report">(.*?)</script>', page, re.DOTALL)
    assert json.loads(text)["why"]["leading"] == ["conv/ofm_block"]


def test_the_same_study_gives_the_same_bytes(tmp_path):
    pages = [page_of(study_result(), tmp_path) for _ in range(2)]
    assert pages[0] == pages[1]


class TestInABrowser:
    """The report of a tuned network, as people see it."""

    @pytest.fixture(scope="class")
    def path(self, resnet8_study, tmp_path_factory):
        folder, result = resnet8_study
        path = tmp_path_factory.mktemp("page") / "report.html"
        path.write_text(
            report_html(
                result, explain(folder, result, seconds=600), where=Whereabouts.of(folder, result)
            ),
            encoding="utf-8",
        )
        return path

    @pytest.fixture
    def opened(self, browser, path):
        made = []

        def open_page(**options):
            context = browser.new_context(**options)
            made.append(context)
            page = context.new_page()
            watched = Watched(page)
            page.goto(path.as_uri())
            page.wait_for_selector("html[data-ready=true]")
            return page, watched

        yield open_page
        for context in made:
            context.close()

    def test_it_opens_without_an_error_and_asks_nobody_for_anything(self, opened, path):
        page, watched = opened()
        assert watched.errors == []
        assert watched.requests == [path.as_uri()]
        assert page.title() == "resnet8 on ethos-u55-128"

    def test_every_plot_is_drawn(self, opened):
        page, _ = opened()
        sections = page.eval_on_selector_all(
            "section:has(.plot)", "all => all.map(each => each.id)"
        )
        assert sections == ["changes", "layers", "memory", "front", "search"]
        drawn = page.evaluate(
            """() => [...document.querySelectorAll(".plot")].map(each => {
              const find = (node) => {
                for (const child of node.querySelectorAll("*")) {
                  if (child.tagName === "CANVAS" && child.width > 0) {
                    const data = child.getContext("2d").getImageData(0, 0, child.width, child.height).data;
                    if (data.some((value) => value !== 0)) return true;
                  }
                  if (child.shadowRoot && find(child.shadowRoot)) return true;
                }
                return false;
              };
              return find(each);
            })"""
        )
        assert drawn == [True] * 6

    def test_a_filter_leaves_the_rows_that_hold_every_word(self, opened):
        page, _ = opened()
        rows = "#changes tbody tr"
        everything = page.locator(rows).count()
        layer = page.locator("#layers tbody td").first.inner_text()
        page.fill("#changes input[type=search]", f"{layer.upper()} all")
        shown = page.locator(f"{rows}:visible").all_inner_texts()
        assert 0 < len(shown) < everything
        assert all(layer in text and "all" in text for text in shown)
        page.fill("#changes input[type=search]", "")
        assert page.locator(f"{rows}:visible").count() == everything

    def test_a_click_on_a_heading_sorts_and_a_second_one_turns_the_order(self, opened):
        page, _ = opened()
        column = "#layers tbody tr td:nth-child(3)"

        def values():
            return page.eval_on_selector_all(
                column, "all => all.map(each => Number(each.dataset.value))"
            )

        heading = page.locator("#layers th", has_text="after")
        heading.click()
        assert values() == sorted(values())
        heading.click()
        assert values() == sorted(values(), reverse=True)

    def test_a_layer_leads_to_its_row(self, opened):
        page, _ = opened()
        link = page.locator("#changes td a").first
        label = link.inner_text()
        link.click()
        shown = page.locator("tr.shown")
        layer = shown.get_attribute("data-layer")
        assert label.startswith(f"{layer}/") or label.endswith(f"changes of {layer}")
        assert shown.locator("td").first.inner_text() == layer

    def test_a_bar_of_a_layer_leads_to_its_row(self, opened):
        page, _ = opened()
        layer = page.evaluate(
            """() => {
              const source = Bokeh.documents.flatMap((each) => [...each._all_models.values()]).find(
                (each) => each.type === "ColumnDataSource" && each.data.share !== undefined);
              source.selected.indices = [2];
              return source.data.layer[2];
            }"""
        )
        assert page.locator("tr.shown").get_attribute("data-layer") == layer

    @pytest.mark.parametrize("width", [400, 1200])
    def test_nothing_is_wider_than_the_window(self, opened, width):
        page, watched = opened(viewport={"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert watched.errors == []

    def test_text_can_be_read_in_light_and_dark(self, opened):
        for scheme in ("light", "dark"):
            page, _ = opened(color_scheme=scheme)
            page_color, *texts = page.evaluate(
                """() => {
                  const color = (selector) => getComputedStyle(document.querySelector(selector)).color;
                  const axis = Bokeh.documents.flatMap((each) => [...each._all_models.values()]).find(
                    (each) => each.type === "LinearAxis");
                  const probe = document.createElement("i");
                  probe.style.color = axis.major_label_text_color.value ?? axis.major_label_text_color;
                  document.body.append(probe);
                  return [getComputedStyle(document.body).backgroundColor, color("p"), color("a"),
                          color("td.better"), color("summary"), getComputedStyle(probe).color];
                }"""
            )
            # 4.5 is what WCAG 2.2 asks of text, success criterion 1.4.3.
            assert all(contrast(page_color, text) >= 4.5 for text in texts), (scheme, texts)

    def test_plots_change_their_colours_with_the_page(self, opened):
        page, _ = opened(color_scheme="light")
        color = """() => Bokeh.documents.flatMap((each) => [...each._all_models.values()]).find(
          (each) => each.type === "LinearAxis").properties.major_label_text_color.get_value().value"""
        light = page.evaluate(color)
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(f"({color})() !== '{light}'")


@pytest.mark.parametrize(
    "result", [measured_result(), infeasible_result()], ids=["noise", "limit"]
)
def test_other_studies_open_without_an_error_too(browser, tmp_path, result):
    path = tmp_path / "report.html"
    path.write_text(page_of(result, tmp_path), encoding="utf-8")
    page = browser.new_page()
    watched = Watched(page)
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=true]")
    assert (watched.errors, watched.requests) == ([], [path.as_uri()])
    page.close()


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two CSS colours, as WCAG 2.2 defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
