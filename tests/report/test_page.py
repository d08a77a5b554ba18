"""The page of a run: complete, self-contained, and right in a real browser."""

import math
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from sdq_fpga.cost.folding import FoldedNode, Folding, Resources
from sdq_fpga.cost.roofline import Roofline
from sdq_fpga.cost.timing.sizing import FifoSizes
from sdq_fpga.deploy.figures import BoardFigures
from sdq_fpga.report.page.facts import PageFacts, layers_of, resources_of
from sdq_fpga.report.page.page import render_page
from sdq_fpga.report.page.roofline import roofline_chart
from sdq_fpga.report.summary import (
    AcceleratorFigures,
    BitstreamStatus,
    LayerRow,
    Report,
    TrainingFigures,
    resource_rows,
)
from sdq_fpga.run import Run, StageRecord
from sdq_fpga.sim.figures import SimulationFigures, Verdict
from sdq_fpga.synth.figures import Resources as Synthesised
from sdq_fpga.synth.figures import SynthesisFigures
from sdq_fpga.synth.vivado_reports import Achieved, AchievedFigures, Timing

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PDFTOPPM = shutil.which("pdftoppm")
LAYERS = 24
ROOFLINE = Roofline(
    products=40_000,
    a_second=7.2e9,
    dsp_roof=230e9,
    lut_roof=700e9,
    roof=900e9,
    input_bits=512,
    output_bits=160,
    stream_roof=2.9e6,
    share=0.06,
    limit="streams",
)


def synthesised(lut: int) -> dict[str, int]:
    rest = dict.fromkeys(("lutram", "srl", "carry", "dsp", "bram18", "uram"), 0)
    return {"lut": lut, "ff": 2 * lut, **rest}


TOTAL = Resources(lut=9000, ff=5000, dsp=48, bram18=700, uram=0)


def folding(*, wide: bool = False) -> Folding:
    nodes = tuple(
        FoldedNode(
            name=f"MVAU_rtl_{i}",
            op="SdqMvuLut_rtl" if wide else "MVAU_rtl",
            layer=f"Conv_{i}",
            weight_bits=2 + i % 7,
            input_bits=1 + i % 5,
            pe=4,
            simd=9,
            cycles=1000 + i,
            resources=Resources(lut=100 + i, ff=210, dsp=2, bram18=1, uram=0),
        )
        for i in range(LAYERS)
    )
    return Folding(
        nodes=nodes, interval=1023, bottleneck="MVAU_rtl_23", resources=TOTAL, bound=1000
    )


def example(*, name: str = "resnet <20>", differing: int = 0, wide: bool = False) -> PageFacts:
    folded = folding(wide=wide)
    synthesis = SynthesisFigures(
        **synthesised(8800),
        seconds=1.0,
        nodes={node.name: Synthesised(**synthesised(77)) for node in folded.nodes[1:]},
    )
    simulation = SimulationFigures(
        interval=1024,
        latency=2050,
        cycles=99_999,
        stall=0.3,
        quantized_accuracy=0.9,
        rtl_accuracy=0.9,
        verdict=Verdict(
            images=8, values=160, differing=differing, qonnx_values=80, qonnx_differing=0
        ),
    )
    report = Report(
        name=name,
        training=TrainingFigures(
            float_accuracy=0.9834,
            quantized_accuracy=0.9777,
            mean_weight_bits=3.0,
            layers=(
                LayerRow(name="stem", weight_bits=8, activation_bits=4),
                LayerRow(name="head", weight_bits=2, activation_bits=None),
            ),
        ),
        accelerator=AcceleratorFigures(
            board="zcu104",
            part="xczu7ev-ffvc1156-2-e",
            clock_mhz=185,
            seed=0,
            target_fps=200_000,
            nodes=LAYERS,
            predicted_interval=1024,
            predicted_latency=2009,
            foretold_mhz=116.25,
            simulation=simulation,
            frames_per_second=180_664,
            latency_us=11.08,
            fifo_bits=46_700,
            fifo_occupancy_bits=163_400,
            resources=resource_rows(
                TOTAL,
                {"lut": 184_320, "ff": 368_640, "bram18": 499, "uram": 0, "dsp": 1382},
                {"lut": 230_400, "ff": 460_800, "bram18": 624, "uram": 0, "dsp": 1728},
            ),
        ),
        bitstream=BitstreamStatus(made=False, message="not made: Vivado is not on PATH"),
    )
    return PageFacts(
        report=report,
        fifos=FifoSizes(
            depths={"fifo_0": 32, "fifo_1": 777},
            unlimited_interval=1024,
            interval=1024,
            latency=2009,
            bits=46_700,
            occupancy_bits=163_400,
            trials=3,
        ),
        synthesis=synthesis,
        measured=None,
        manifest=Run(
            stages={"export": StageRecord(key="0" * 64, outputs={"model.onnx": "a" * 64})}
        ),
        roofline=ROOFLINE,
        layers=layers_of(folded, simulation.interval, synthesis),
        resources=resources_of(report.accelerator.resources, synthesis),
    )


def cells(page: str) -> list[str]:
    """The text between tags."""
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = lambda data: found.append(data.strip())  # type: ignore[method-assign]
    parser.feed(page)
    return [each for each in found if each]


def test_it_says_every_figure():
    found = cells(render_page(example()))
    for text in (
        "resnet <20> on zcu104", "97.77%", "float 98.34%", "3.00", "180,664", "11.08 µs", "1,024",
        "2,009", "2,050", "-2.0%", "target 200,000: missed", "46.7 kbit", "Conv_23", "777", "9,000",
        "8,800", "+2.3%", "3.8%", "raw", "a" * 64, "not measured", "not run", "power, W",
    ):  # fmt: skip
        assert text in found, text
    assert any(text.startswith("bit-exact: all 160 scores") for text in found)


def test_the_roofline_has_the_design_under_its_roofs():
    chart = roofline_chart(ROOFLINE, 180_664 * 40_000)
    x, y = chart.design
    assert x == chart.width / 2
    levels = {mark.text: mark.at for mark in chart.roofs}
    assert levels["both"] < levels["usable LUTs"] < levels["usable DSP slices"] < y < chart.height
    (left, low), (right, high) = chart.streams
    assert left < x < right
    assert 0 <= high < low <= chart.height
    # At the design's intensity the streams carry stream_roof frames/s; the axes are logarithmic.
    decade = chart.rates[0].at - chart.rates[1].at
    carried = low + (high - low) * (x - left) / (right - left)
    expected = y - decade * math.log10(2.9e6 / 180_664)
    assert carried == pytest.approx(expected, abs=0.1)
    assert [mark.text for mark in chart.rates[:2]] == ["1", "10"]


@given(
    st.floats(1e3, 1e14),
    st.integers(1, 10**10),
    st.integers(8, 10**7),
    st.floats(1, 1e9),
    st.sampled_from([0.0, 1e8, 1e13]),
)
def test_all_of_a_roofline_is_inside_the_drawing(a_second, products, bits, frames, luts):
    roof = ROOFLINE.model_copy(
        update={
            "products": products,
            "input_bits": bits,
            "stream_roof": frames,
            "lut_roof": luts,
            "roof": luts + ROOFLINE.dsp_roof,
        }
    )
    chart = roofline_chart(roof, a_second)
    ends = [*chart.streams, chart.design, *((0, mark.at) for mark in chart.roofs)]
    for x, y in ends:
        assert 0 <= x <= chart.width
        assert 0 <= y <= chart.height


def test_a_layer_that_synthesis_dissolved_counts_nothing():
    first, second, *_ = example().layers
    assert first.synthesised == Resources(lut=0, bram18=0, uram=0, dsp=0)
    assert second.synthesised is not None
    assert second.synthesised.lut == 77


def test_without_synthesis_and_training_it_says_so():
    facts = example()
    report = facts.report.model_copy(update={"training": None})
    rows = report.accelerator.resources
    bare = replace(
        facts,
        report=report,
        synthesis=None,
        layers=layers_of(folding(), 1024, None),
        resources=resources_of(rows, None),
    )
    found = cells(render_page(bare))
    counted = len([row for row in rows if row.available or row.used])
    assert found.count("not run") == 2 * counted + 3  # by Yosys and by Vivado; of the design
    assert found.count("not measured") == 4
    bits = found.index("Bits")
    row = found.index("Conv_9", bits)
    assert found[row : row + 3] == ["Conv_9", "4", "5"]
    assert not any("by Yosys" in text for text in found)
    assert "97.77%" not in found
    assert "112.2%" in found  # of the block RAMs
    assert 'class="bar over"' in render_page(bare)


def test_resources_stand_beside_what_the_build_might_use():
    found = cells(render_page(example()))
    row = found.index("LUT", found.index("Resources"))
    assert found[row + 5 : row + 7] == ["184,320", "230,400"]


MATCH = {"values": 10, "differing": 0, "answers_differing": 0, "accuracy": 0.912}


def built_and_run(*, watts: float | None = 4.2) -> PageFacts:
    """A page of a run with a bitstream, which a board has run."""
    facts = example()
    achieved = AchievedFigures(
        resources=Achieved(lut=10_100, ff=11_100, dsp=50, bram18=77, uram=0),
        timing=Timing(slack_ns=0.125, clock_mhz=184.5, fastest_mhz=188.9),
    )
    status = BitstreamStatus(made=True, message="bitstream/accelerator.bit", achieved=achieved)
    report = facts.report.model_copy(update={"bitstream": status})
    same = {"seconds": 1.0, "pack_s": 0.0, "unpack_s": 0.0, "watts": watts}
    rates = {1: 900.0, 64: 170_001.0}
    rows = [{**same, "batch": batch, "frames_per_second": rates[batch]} for batch in rates]
    board = BoardFigures.from_data(
        {"board": "zcu104", "where": "host", "emulated": False, "latency_s": 31.5e-6,
         "throughput": tuple(rows), "frames": 10_000, "match": MATCH}, "a board",
    )  # fmt: skip
    return replace(
        facts,
        report=report,
        measured=board,
        resources=resources_of(report.accelerator.resources, facts.synthesis, achieved.resources),
    )


def test_what_vivado_and_a_board_found_is_beside_what_was_predicted():
    found = cells(render_page(built_and_run()))
    row = found.index("frames/s", found.index("error"))
    assert found[row : row + 6] == [
        "frames/s", "180,664", "180,664", "none", "180,176", "170,001",
    ]  # fmt: skip
    row = found.index("latency, µs")
    assert found[row + 4 : row + 6] == ["11.11", "31.50"]
    assert found[found.index("power, W") + 1] == "4.20"
    row = found.index("accuracy, %")
    assert found[row + 1 : row + 5] == ["90.00", "90.00", "none", "91.20"]
    assert any("with the 8 frames that were simulated, and on the board with 10,000" in text
               for text in found)  # fmt: skip
    clock = found.index("fastest clock, MHz")
    assert found[clock + 1 : clock + 3] == ["116.2", "188.9"]
    assert "10,100" in found
    assert "not measured" not in found
    assert any("worst slack of +0.125 ns" in text for text in found)


def test_a_board_without_rails_has_no_power():
    found = cells(render_page(built_and_run(watts=None)))
    assert found[found.index("power, W") + 1] == "not measured"


def test_layers_have_the_names_of_the_networks_modules():
    names = {"Conv_0": "stem.conv", "Conv_1": "block1.conv", "Quant_9": "other"}
    layers = layers_of(folding(), 1024, None, names)
    assert [layer.name for layer in layers[:3]] == ["stem.conv", "block1.conv", "Conv_2"]
    # Nodes of one module are one layer.
    both = layers_of(folding(), 1024, None, {"Conv_0": "act", "Conv_1": "act"})
    assert (len(both), both[0].estimated.lut) == (LAYERS - 1, 201)


def test_what_is_wrong_is_red():
    assert 'verdict bad">NOT bit-exact: 3 of 160' in render_page(example(differing=3))
    assert 'verdict good">' in render_page(example())


def test_it_needs_nothing_beside_it():
    page = render_page(example(name='"><script>alert(1)</script>'))
    assert not re.search(r"<(script|link|img|iframe|object|embed)\b|@import|url\(|https?:", page)
    assert render_page(example()) == render_page(example())


def shown(page: Path, *options: str) -> str:
    """Runs the browser on a page; returns what it prints."""
    assert CHROMIUM is not None
    profile = page.parent / "profile"
    return subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
            *options, page.as_uri(),
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=page.parent,
    ).stdout  # fmt: skip


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
class TestInABrowser:
    @pytest.fixture
    def page(self, tmp_path: Path) -> Path:
        path = tmp_path / "report.html"
        path.write_text(render_page(example(wide=True)), encoding="utf-8")
        return path

    @pytest.mark.parametrize(("scheme", "dark"), [("1", False), ("0", True)])
    def test_light_and_dark(self, page: Path, scheme: str, dark: bool):
        picture = page.parent / "picture.png"
        shown(
            page,
            f"--blink-settings=preferredColorScheme={scheme}",
            "--window-size=1100,900",
            f"--screenshot={picture}",
        )
        pixels = imread(picture)[..., :3]
        brightness = pixels.mean(axis=2)
        paper = np.median(brightness)
        assert paper < 0.2 if dark else paper > 0.9
        assert np.abs(brightness - paper).max() > 0.6  # ink on it
        assert (pixels.max(axis=2) - pixels.min(axis=2) > 0.3).sum() > 500  # coloured bars

    @pytest.mark.parametrize("width", [500, 1100])
    def test_nothing_sticks_out(self, page: Path, width: int):
        measured = "document.title = `${document.body.scrollWidth} of ${innerWidth}`"
        page.write_text(page.read_text() + f"<script>{measured}</script>", encoding="utf-8")
        title = re.search(
            r"<title>(\d+) of (\d+)</title>",
            shown(page, "--dump-dom", f"--window-size={width},900"),
        )
        assert title is not None
        assert 0 < int(title[1]) <= int(title[2])

    @pytest.mark.skipif(PDFTOPPM is None, reason="there is no pdftoppm")
    @pytest.mark.parametrize("scheme", ["1", "0"])
    def test_it_prints_on_white_paper_within_its_margins(self, page: Path, scheme: str):
        out = page.parent / "page.pdf"
        shown(
            page,
            f"--blink-settings=preferredColorScheme={scheme}",
            "--no-pdf-header-footer",
            f"--print-to-pdf={out}",
        )
        assert PDFTOPPM is not None
        subprocess.run([PDFTOPPM, "-r", "60", "-png", out, page.parent / "sheet"], check=True)
        sheets = [imread(sheet)[..., :3] for sheet in sorted(page.parent.glob("sheet*.png"))]
        assert len(sheets) >= 2
        for pixels in sheets:
            brightness = pixels.mean(axis=2)
            assert np.median(brightness) > 0.99
            assert brightness.min() < 0.3  # ink
            edges = np.r_[pixels[:, :12].ravel(), pixels[:, -12:].ravel()]
            assert edges.min() > 0.99
        spread = [pixels.max(axis=2) - pixels.min(axis=2) > 0.3 for pixels in sheets]
        assert sum(int(each.sum()) for each in spread) > 500  # coloured bars
