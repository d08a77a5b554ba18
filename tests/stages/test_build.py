"""Whole builds: what they make, that they are exact, that they repeat and resume."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from terminal import TINY, tree
from test_bad_input import one_sentence, policy

from sdq_fpga.run import open_run

STAGES = (
    "train",
    "search",
    "finetune",
    "export",
    "lower",
    "fold",
    "size",
    "generate",
    "simulate",
    "package",
)


def test_build_is_bit_exact_and_says_so(tiny_build):
    terminal, done = tiny_build
    assert done.code == 0, done.err
    run = terminal.root / "work" / "runs" / "tiny-zcu104"
    report = json.loads((run / "report.json").read_text())
    accelerator, training = report["accelerator"], report["training"]
    simulation = accelerator["simulation"]
    assert simulation["verdict"]["images"] == 100
    assert simulation["verdict"]["values"] == 2 * 100 * 10
    assert simulation["verdict"]["differing"] == 0
    assert simulation["verdict"]["qonnx_values"] == 100 * 10
    assert simulation["verdict"]["qonnx_differing"] == 0
    assert simulation["rtl_accuracy"] == simulation["quantized_accuracy"] > 0.5
    assert training["float_accuracy"] > 0.8
    assert training["quantized_accuracy"] > 0.5
    assert training["mean_weight_bits"] <= 3.5
    assert accelerator["frames_per_second"] == pytest.approx(185e6 / simulation["interval"])
    assert accelerator["fifo_bits"] <= accelerator["fifo_occupancy_bits"]
    assert not report["bitstream"]["made"]
    for words in (
        "float accuracy",
        "quantized accuracy",
        "accuracy of the RTL",
        "bits of block1.conv",
        "interval",
        "latency",
        "frames/s",
        "DSP",
        "FIFO memory",
        "bit-exact",
        "Vivado is not on PATH",
    ):
        assert words in done.out
    assert "\x1b" not in done.out + done.err, "control characters although not in a terminal"


def test_vectors_in_the_run_agree_with_each_other(tiny_build):
    terminal, _ = tiny_build
    run = terminal.root / "work" / "runs" / "tiny-zcu104"
    host = json.loads((run / "lower" / "host.json").read_text())
    (end,) = host["outputs"]
    outputs = np.load(run / "simulate" / f"outputs-{end['stream']}.npy", allow_pickle=False)
    expected = np.load(run / "simulate" / f"expected-{end['name']}.npy", allow_pickle=False)
    assert np.ptp(outputs) > 0, "all scores are the same: nothing was compared"
    np.testing.assert_array_equal(
        outputs.reshape(expected.shape).astype(np.float32) * np.float32(end["scale"][0]),
        expected,
    )


def test_manifest_names_every_stage_and_file(tiny_build):
    terminal, _ = tiny_build
    run = terminal.root / "work" / "runs" / "tiny-zcu104"
    manifest = json.loads((run / "manifest.json").read_text())
    assert tuple(sorted(manifest["stages"])) == tuple(sorted(STAGES))
    for stage, record in manifest["stages"].items():
        files = {
            path.relative_to(run / stage).as_posix()
            for path in (run / stage).rglob("*")
            if path.is_file()
        }
        assert files == record["outputs"].keys()
    assert not [path.name for path in run.glob(".*") if path.is_dir()]


def test_package_is_complete_and_has_no_path_of_this_machine(tiny_build, shared):
    terminal, _ = tiny_build
    run = terminal.root / "work" / "runs" / "tiny-zcu104"
    design = json.loads((run / "generate" / "design.json").read_text())
    with zipfile.ZipFile(run / "package" / "accelerator.zip") as archive:
        names = set(archive.namelist())
        for name in (*design["sources"], *design["memories"]):
            assert f"rtl/{name}" in names
        for name in names:
            assert str(shared).encode() not in archive.read(name), name


def test_nothing_is_written_outside_run_and_cache(tiny_build):
    terminal, _ = tiny_build
    assert list((terminal.root / "tmp").iterdir()) == []
    # Numba keeps the compiled timing model beside the package, or here where that is not writable.
    numba = terminal.root / "home" / ".cache" / "numba"
    home = [path for path in (terminal.root / "home").rglob("*") if path.is_file()]
    assert all(path.is_relative_to(numba) for path in home)
    assert [path.name for path in (terminal.root / "work").iterdir()] == ["runs"]


def test_second_call_does_nothing_and_says_the_same(tiny_build):
    terminal, done = tiny_build
    run = terminal.root / "work" / "runs" / "tiny-zcu104"
    before = {
        path: path.stat().st_mtime_ns for stage in STAGES for path in (run / stage).rglob("*")
    }
    again = terminal.call("build", "--board", "zcu104", "--flow", str(TINY))
    assert (again.code, again.out) == (0, done.out)
    assert "train:" not in again.err
    after = {path: path.stat().st_mtime_ns for stage in STAGES for path in (run / stage).rglob("*")}
    assert after == before


def test_killed_in_every_long_stage_it_ends_in_the_same_bytes(tiny_build, make_terminal):
    """Also shows determinism: the killed build is a second one, in another directory."""
    undisturbed = tiny_build[0].root / "work" / "runs" / "tiny-zcu104"
    terminal = make_terminal()
    run = terminal.root / "work" / "runs" / "tiny-zcu104"
    command = ("build", "--board", "zcu104", "--flow", str(TINY))
    for stage in ("train", "search", "finetune", "simulate"):
        hidden = run / f".{stage}.tmp"
        terminal.run_and_kill(hidden.is_dir, *command)
        assert hidden.is_dir()
        assert not (run / stage).exists()
    done = terminal.call(*command)
    assert done.code == 0, done.err
    ours, theirs = tree(run), tree(undisturbed)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_other_target_runs_only_what_depends_on_it(tiny_build, make_terminal):
    terminal, _ = tiny_build
    done = terminal.call(
        "build", "--board", "zcu104", "--flow", str(TINY), "--target-fps", "200000", "--json"
    )
    assert done.code == 0, done.err
    assert "train:" not in done.err
    assert "simulate RTL" in done.err
    report = json.loads(done.out)
    accelerator = report["accelerator"]
    assert accelerator["target_fps"] == 200000
    assert accelerator["frames_per_second"] >= 200000
    assert accelerator["simulation"]["verdict"]["differing"] == 0
    # and back, for the tests that compare with the first build
    assert terminal.call("build", "--board", "zcu104", "--flow", str(TINY)).code == 0


def test_other_dsp_generation_is_bit_exact_too(make_terminal):
    """With 6 bits, which are for DSP slices."""
    runs = []
    for board in ("pynq-z2", "zcu104"):
        terminal = make_terminal()
        (terminal.root / "work" / "policy.json").write_text(json.dumps(policy(6, activation=6)))
        done = terminal.call(
            "build", "--board", board, "--flow", str(TINY), "--policy", "policy.json",
            "--target-fps", "200000", "--json",
        )  # fmt: skip
        assert done.code == 0, done.err
        simulation = json.loads(done.out)["accelerator"]["simulation"]
        assert simulation["verdict"]["differing"] == 0
        assert simulation["rtl_accuracy"] == simulation["quantized_accuracy"]
        runs.append(terminal.root / "work" / "runs" / f"tiny-{board}")
    run, other = runs
    assert (run / "export" / "model.onnx").read_bytes() == (
        other / "export" / "model.onnx"
    ).read_bytes()
    wrappers = [
        next((each / "generate" / "rtl").glob("MVAU_rtl_0_wrapper.v")).read_text()
        for each in (run, other)
    ]
    assert ["VERSION = 1," in text for text in wrappers] == [True, False]
    assert ["VERSION = 2," in text for text in wrappers] == [False, True]


def test_simulate_again_with_other_stalls(tiny_build):
    terminal, _ = tiny_build
    run = "runs/tiny-zcu104"
    done = terminal.call(
        "verify", run, "--simulate", "--images", "20", "--stall", "0.7", "--seed", "3", "--json",
        "--cache", str(terminal.cache),
    )  # fmt: skip
    assert done.code == 0, done.err
    figures = json.loads(done.out)
    assert figures["verdict"] == {
        "differing": 0,
        "images": 20,
        "qonnx_differing": 0,
        "qonnx_values": 20 * 10,
        "values": 2 * 20 * 10,
    }
    assert figures["stall"] == 0.7
    assert list((terminal.root / "tmp").iterdir()) == []


def test_search_writes_a_policy_that_build_takes(tiny_build, make_terminal):
    terminal, _ = tiny_build
    done = terminal.call(
        "search", "--board", "zcu104", "--flow", str(TINY), "--out", "found.json", "--json"
    )
    assert done.code == 0, done.err
    policy = json.loads(done.out)
    assert policy == json.loads((terminal.root / "work" / "found.json").read_text())
    policy["layers"][0]["weight_bits"] = 5
    other = make_terminal()
    (other.root / "work" / "mine.json").write_text(json.dumps(policy))
    built = other.call(
        "build", "--board", "pynq-z2", "--flow", str(TINY), "--policy", "mine.json",
        "--target-fps", "20000", "--json",
    )  # fmt: skip
    assert built.code == 0, built.err
    report = json.loads(built.out)
    assert report["training"]["layers"][0]["weight_bits"] == 5
    assert report["accelerator"]["simulation"]["verdict"]["differing"] == 0


def test_it_is_made_again_with_the_trained_network_taken_over(tiny_build, monkeypatch):
    """By another Python, as on another machine, where it might have been trained otherwise."""
    terminal, _ = tiny_build
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    run = "runs/tiny-zcu104"
    with open_run(terminal.root / "work" / "again") as other:  # trained there, to other weights
        other.stage("train", {}, (), lambda out: (out / "net").write_text("other") and None)
    options = ("--run", "again", "--pinned", run, "--cache", str(terminal.cache), "--json")
    done = terminal.call("reproduce", f"{run}/build.lock.json", *options)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["pinned"]
    assert found["differences"] == []
    assert [now for _, now in found["tools"].values()] == ["3.99.0"]
    assert "train:" not in done.err
    first, again = (tree(terminal.root / "work" / name) for name in (run, "again"))
    told = {"manifest.json", "report.html", "build.lock.json"}  # of what went in
    assert {name for name in first if again.get(name) != first[name]} == told
    assert again.keys() == first.keys()


def test_a_search_ends_at_a_frame_rate(make_terminal):
    terminal = make_terminal()
    shares = ("--board", "pynq-z2", "--budget", "lut=4%,dsp=1%", "--json")
    search = ("search", "--flow", str(TINY), *shares, "--run", "run", "--out", "policy.json")
    out_of_reach = terminal.call(*search, "--target-fps", "2e6")
    one_sentence(
        out_of_reach, 2, "2,000,000 frames/s are out of reach on pynq-z2", "reach at most 1,000,000"
    )
    assert "train:" not in out_of_reach.err
    done = terminal.call(*search, "--target-fps", "600000")
    assert done.code == 0, done.err
    layers = json.loads(done.out)["layers"]
    bits = {(layer["weight_bits"], layer["activation_bits"]) for layer in layers}
    assert bits != {(6, 4), (6, None)}  # with which 347,222 are reached
    simulate = ("simulate", "--flow", str(TINY), *shares, "--policy", "policy.json")
    found = json.loads(terminal.call(*simulate).out)
    assert found["as_it_is"]["frames_per_second"] >= 600_000


def test_another_method_searches_again_from_the_network_that_is_trained(tiny_build, make_terminal):
    terminal = make_terminal()
    runs = tiny_build[0].root / "work" / "runs"
    shutil.copytree(runs, terminal.root / "work" / "runs")
    flow = ("--board", "zcu104", "--flow", str(TINY))
    done = terminal.call("search", *flow, "--method", "uniform", "--json")
    assert done.code == 0, done.err
    assert "train:" not in done.err
    layers = json.loads(done.out)["layers"]
    # The most of [2, 3, 4, 6] within 3.5, and of [2, 4].
    assert {layer["weight_bits"] for layer in layers} == {3}
    assert {layer["activation_bits"] for layer in layers} == {2, None}
