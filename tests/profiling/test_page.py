from __future__ import annotations

import json
import re
from html import escape
from xml.etree import ElementTree

from edge_res.profiling import tables
from edge_res.profiling.page import page, ranges, stacks
from tests.profiling.rows import FAILED, report, row


def test_the_page_is_self_contained_and_holds_the_figures() -> None:
    body = report(row(), row("onnxruntime", "window", 2, verdict="noisy"), FAILED)
    text = page(body)
    assert not re.search(r'(src|href)="|url\(|@import', text)
    assert "a &lt;board&gt;, 4 cores" in text
    assert "<could>" not in text.partition("<script")[0]
    assert json.loads(text.partition('id="profile">')[2].partition("</script>")[0]) == json.loads(json.dumps(body))


def test_the_page_shows_what_the_terminal_shows() -> None:
    rows = row(verdict="noisy"), row("onnxruntime"), FAILED
    text = page(report(*rows))
    for found in (tables.hops(rows), tables.costs(rows), tables.stage_times(rows)):
        assert all(f">{escape(cell)}" in text for line in found for cell in line)
    assert all(escape(sentence) in text for sentence in (*tables.remarks(rows, "INA3221: VDD_IN"), tables.LEGEND))


def test_its_plots_are_well_formed() -> None:
    text = page(report(row(), row("onnxruntime")))
    plots = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(plots) == 3 + 2 * 3  # hops, clocks and temperatures of each row
    for plot in plots:
        for element in ElementTree.fromstring(plot).iter():
            assert not any("nan" in value or "inf" in value for value in element.attrib.values())


def test_texts_in_a_plot_are_escaped() -> None:
    label = "a<b> & 'c'"
    for plot in (ranges([(label, [1.0, 2.0], "red")], label), stacks([(label, {label: 1.0})], label)):
        texts = [element.text for element in ElementTree.fromstring(plot)]
        assert label in texts


def test_a_page_of_failures_only() -> None:
    text = page(report(FAILED))
    assert "Nothing is recommended" in text
    assert "<svg" not in text
    assert text.count("<table>") == text.count("<div class=wide>") == 1
