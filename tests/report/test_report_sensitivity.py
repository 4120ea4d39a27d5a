from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from harness.records.sensitivity import Scan, ScannedUnit
from harness.report.charts.sensitivity import MOST_ROWS, scan_chart, scan_json, summary, table_rows


def scan(count: int, *, layers_each: int = 1) -> Scan:
    units = tuple(
        ScannedUnit(
            name=f"blocks.{i}.conv",
            layers=tuple(f"blocks.{i}.conv.{n}" for n in range(layers_each)),
            kind="Conv2d",
            parameters=1200 + i,
            sqnr_db=8.0 + i,
            agreement=0.9,
        )
        for i in range(count)
    )
    return Scan(
        key="k",
        model="digits",
        inputs=10,
        random_inputs=False,
        units=units,
        kept_sqnr_db=(7.5, *(9.0 + i for i in range(count - 1)), 200.0),
        int8_agreement=0.8,
        seconds=1.0,
    )


def test_the_table_says_what_each_layer_costs_and_what_keeping_it_gives() -> None:
    rows = table_rows(scan(3))
    assert rows[0] == ("1", "blocks.0.conv", "Conv2d", "1\u202f200", "8.0", "90", "9.0")
    assert rows[2][-1] == "exact", "with all of them in float nothing is lost"


def test_the_sentence_says_blocks_and_noise() -> None:
    assert "3 layers, one at a time" in summary(scan(3))
    assert "All in int8: 7.5 dB, the float answer on 80" in summary(scan(3))
    assert "6 layers in 3 blocks" in summary(scan(3, layers_each=2))
    assert "10 calibration inputs of noise" in summary(replace(scan(3), random_inputs=True))


def test_the_chart_names_the_most_sensitive_and_counts_the_rest() -> None:
    texts = [node.text for node in ElementTree.fromstring(scan_chart(scan(MOST_ROWS + 4))).iter() if node.text]
    assert "blocks.0.conv" in texts
    assert f"blocks.{MOST_ROWS + 1}.conv" not in texts
    assert "4 less sensitive layers are not shown" in texts
    assert "dashed: all in int8, 7.5 dB" in texts


def test_equal_scans_give_equal_bytes() -> None:
    assert scan_chart(scan(5)) == scan_chart(scan(5))


def test_json_has_what_the_record_has() -> None:
    plain = scan_json(scan(2))
    assert plain["units"][0]["sqnr_db"] == 8.0
    assert plain["kept_sqnr_db"] == [7.5, 9.0, 200.0]
