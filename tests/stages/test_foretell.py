"""``sdq-fpga simulate``: what it foretells is what the build of the same bits becomes."""

import json

import pytest
from terminal import TINY
from test_bad_input import one_sentence, policy

from sdq_fpga import zoo


def foretold(terminal, *arguments):
    done = terminal.call("simulate", "--board", "zcu104", "--json", *arguments)
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_build_becomes_what_was_foretold(terminal, tiny_build):
    built = json.loads((tiny_build[0].root / "work/runs/tiny-zcu104/report.json").read_text())
    searched = tiny_build[0].root / "work/runs/tiny-zcu104/search/policy.json"
    found = foretold(terminal, "--flow", TINY, "--policy", searched)["as_it_is"]
    simulated = built["accelerator"]["simulation"]
    # Trained weights are others than random ones, which only resources depend on.
    assert found["interval"] == pytest.approx(simulated["interval"], rel=0.02)
    assert found["latency"] == pytest.approx(simulated["latency"], rel=0.05)
    assert found["bound"] <= found["interval"]
    assert found["frames_per_second"] == pytest.approx(found["clock_mhz"] * 1e6 / found["interval"])
    layers = [each["layer"] for each in found["layers"]]
    assert len(set(layers)) == len(layers)
    for name, amount in found["resources"].items():
        assert sum(layer["resources"][name] for layer in found["layers"]) == amount


def test_fewer_bits_of_a_layer(terminal):
    (terminal.root / "work" / "p.json").write_text(json.dumps(policy()))
    given = ("--flow", TINY, "--policy", "p.json", "--target-fps", "100000")
    found = foretold(terminal, *given, "--what-if", "block2.conv=2")
    assert found["changes"] == {"block2.conv": 2}
    before, then = found["as_it_is"], found["what_if"]
    assert then["resources"]["lut"] < before["resources"]["lut"]
    assert then["interval"] <= 100e6 / 100_000 * 2


def test_a_sweep_with_its_plot(terminal):
    found = foretold(terminal, "--flow", TINY, "--sweep", "bits=2..4", "--plot", "sweep.png")
    speeds = [found["by_bits"][bits]["frames_per_second"] for bits in "234"]
    assert speeds == sorted(speeds, reverse=True)
    assert (terminal.root / "work" / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_a_roofline_with_its_plot(terminal):
    roof = foretold(terminal, "--flow", TINY, "--plot", "roof.png")["as_it_is"]["roofline"]
    assert 0 < roof["share"] <= 1
    assert max(roof["dsp_roof"], roof["lut_roof"]) <= roof["roof"]
    assert roof["a_second"] <= roof["roof"]
    assert (terminal.root / "work" / "roof.png").read_bytes().startswith(b"\x89PNG")


def test_a_model(terminal):
    path = terminal.root / "work" / "net.onnx"
    path.write_bytes(zoo.tfc((2, 2)).SerializeToString())
    done = terminal.call("simulate", "--board", "pynq-z2", "--model", "net.onnx")
    assert done.code == 0, done.err
    for word in ("interval", "frames/s", "roofline", "BRAM18"):
        assert word in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--what-if", "block9.conv=2"], ["no layer 'block9.conv'", "block1.conv", "block1.act"]),
        (["--what-if", "block1.conv"], ["'block1.conv' is no change of bits"]),
        (["--what-if", "block1.conv=9"], ["is no change of bits"]),
        (["--sweep", "bits=4..2"], ["'bits=4..2' is no range of bits"]),
        (["--sweep", "bits=2..4", "--bits", "3"], ["a sweep sets the bits"]),
        (["--sweep", "bits=2..4", "--what-if", "block1.conv=2"], ["--what-if changes one design"]),
        (["--sweep", "bits=2..4", "--rtl"], ["--rtl simulates one design"]),
        (
            ["--what-if", "classifier=2", "--what-if", "classifier=3"],
            ["changes 'classifier' twice"],
        ),
        (["--model", "none.onnx", "--bits", "3"], ["a model has bits of its own"]),
        (["--model", "none.onnx", "--net", "my:net"], ["--net has no meaning with --model"]),
        (["--model", "none.onnx", "--dataset", "my:data"], ["--dataset has no meaning"]),
        (["--input-type", "INT8"], ["--input-type is about a model"]),
        (["--budget", "lut=10%,lut=20%"], ["'lut=10%,lut=20%' states lut twice"]),
        (["--target-fps", "nan"], ["target_fps: Input should be a finite number"]),
        (["--target-latency", "inf"], ["target_latency_us: Input should be a finite number"]),
        (["--clock-mhz", "nan"], ["clock_mhz: Input should be a finite number"]),
        (["--target-fps", "1e9"], ["no folding reaches 1,000,000,000 frames/s", "ask for at most"]),
    ],
)
def test_what_can_not_be(terminal, arguments, words):
    done = terminal.call("simulate", "--board", "zcu104", "--flow", TINY, *arguments)
    one_sentence(done, 2, *words)


@pytest.mark.parametrize("more", [(), ("--sweep", "bits=2..3")])
def test_a_plot_that_can_not_be_written_is_refused_before_anything_is_folded(terminal, more):
    plot = ("--plot", "none/plot.png")
    done = terminal.call("simulate", "--board", "zcu104", "--flow", TINY, *plot, *more)
    one_sentence(done, 2, "none/plot.png can't be written", "give another file")
    assert "loading torch" not in done.err
