"""What a user can get wrong, and what can fail: one sentence, the right exit code, no traceback."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from terminal import TINY, Done

from sdq_fpga.cli import main
from sdq_fpga.cli.output import check_writable

POLICY_LAYERS = (
    ("block1.conv", 72, 1152),
    ("block2.conv", 576, 2304),
    ("classifier", 320, 320),
)


def one_sentence(done: Done, code: int, *words: str) -> None:
    """The command said one sentence with these words, and exited with this code."""
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    lines = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.err
    for word in words:
        assert word in lines[0], lines[0]


def policy(bits: int = 4, name: str = "block1.conv", activation: int = 4) -> dict:
    layers = []
    for layer, weights, macs in POLICY_LAYERS:
        last = layer == "classifier"
        layers.append(
            {
                "shape": {"name": layer, "weights": weights, "macs": macs},
                "weight_bits": bits if layer == name else 4,
                "activation_bits": None if last else activation,
            }
        )
    return {"network": "tiny", "layers": layers}


def test_unknown_board(terminal):
    one_sentence(terminal.call("build", "--board", "zcu14"), 2, "'zcu14'", "zcu104")


def test_unknown_flow(terminal):
    done = terminal.call("build", "--board", "zcu104", "--flow", "digit-cnn")
    one_sentence(done, 2, "'digit-cnn'", "digits-cnn")


def test_option_that_does_not_exist(terminal):
    done = terminal.call("build", "--bord", "zcu104")
    assert done.code == 2
    assert "--bord" in done.err
    assert "Traceback" not in done.err


def test_policy_for_another_network(terminal):
    other = policy()
    other["layers"][1]["shape"]["weights"] = 99
    (terminal.root / "work" / "p.json").write_text(json.dumps(other))
    done = terminal.call("build", "--board", "zcu104", "--flow", str(TINY), "--policy", "p.json")
    one_sentence(done, 2, "'block2.conv'", "tiny")


def test_policy_with_bits_that_the_hardware_lacks(terminal):
    (terminal.root / "work" / "p.json").write_text(json.dumps(policy(bits=1)))
    done = terminal.call("build", "--board", "zcu104", "--flow", str(TINY), "--policy", "p.json")
    one_sentence(done, 2, "1-bit weights", "'block1.conv'", "2 to 8")


def test_policy_file_that_is_cut_off(terminal):
    (terminal.root / "work" / "p.json").write_text(json.dumps(policy())[:100])
    done = terminal.call("build", "--board", "zcu104", "--flow", str(TINY), "--policy", "p.json")
    one_sentence(done, 2, "p.json", "not JSON")


def test_target_bits_out_of_reach(terminal):
    done = terminal.call("search", "--board", "zcu104", "--flow", str(TINY), "--target-bits", "1.5")
    one_sentence(done, 2, "1.5", "2")


def test_a_method_beside_bits_that_are_given(terminal):
    (terminal.root / "work" / "p.json").write_text(json.dumps(policy()))
    flow = ("--board", "zcu104", "--flow", str(TINY))
    done = terminal.call("build", *flow, "--policy", "p.json", "--method", "uniform")
    one_sentence(done, 2, "--method", "--policy")
    done = terminal.call("build", *flow, "--policy", "p.json", "--target-bits", "3")
    one_sentence(done, 2, "--target-bits", "--policy")
    model = ("--model", "x.onnx", "--method", "uniform")
    one_sentence(terminal.call("build", "--board", "zcu104", *model), 2, "--method", "--model")
    done = terminal.call("search", *flow, "--method", "guess")
    assert done.code == 2
    assert "sensitivity" in done.err


def test_target_that_no_folding_reaches(tiny_build, make_terminal):
    terminal = make_terminal()
    shutil.copytree(tiny_build[0].root / "work" / "runs", terminal.root / "work" / "runs")
    done = terminal.call("build", "--board", "zcu104", "--flow", str(TINY), "--target-fps", "1e9")
    one_sentence(done, 2, "1,000,000,000 frames/s", "zcu104")


def test_a_speed_that_mean_bits_can_not_reach_is_refused_before_anything_is_trained(terminal):
    build = ("build", "--board", "pynq-z2", "--flow", str(TINY), "--budget", "lut=4%,dsp=1%")
    done = terminal.call(*build, "--target-bits", "3", "--target-fps", "2e6")
    words = "even with the fewest bits of all candidates, no folding reaches 2,000,000 frames/s"
    one_sentence(done, 2, words, "ask for at most 1000000 frames/s")
    assert "train:" not in done.err
    # With the most bits of all, what the fewest reach is out of reach, too.
    done = terminal.call(*build, "--target-bits", "6", "--target-fps", "9e5")
    one_sentence(done, 2, "with the most bits of all candidates, 900,000 frames/s do not fit")
    assert "train:" not in done.err


def test_target_that_is_no_number(terminal):
    done = terminal.call("build", "--board", "zcu104", "--flow", str(TINY), "--target-fps", "nan")
    one_sentence(done, 2, "target_fps")


def test_clock_above_the_board(terminal):
    done = terminal.call("build", "--board", "pynq-z2", "--clock-mhz", "900")
    one_sentence(done, 2, "900 MHz", "pynq-z2")


def test_network_too_large_for_the_board(tiny_build, make_terminal):
    small = {
        "name": "small",
        "title": "a board with almost nothing",
        "part": "xczu7ev-ffvc1156-2-e",
        "dsp": "DSP48E2",
        "shell": "zynq",
        "budget": {"lut": 1000, "ff": 100000, "bram18": 100, "uram": 0, "dsp": 2},
        "clock_mhz": {"default": 100, "maximum": 200},
        "shell_takes": {"lut": 0},
    }
    terminal = make_terminal()
    (terminal.root / "work" / "small.yaml").write_text(yaml.safe_dump(small))
    done = terminal.call("build", "--board", "small.yaml", "--flow", str(TINY))
    one_sentence(done, 2, "does not fit small", "lut (", "of 800 usable)")


def test_dataset_directory_missing(terminal):
    one_sentence(terminal.call("build", "--board", "zcu104", "--flow", "mnist-mlp"), 2, "--data")
    done = terminal.call("build", "--board", "zcu104", "--flow", "mnist-mlp", "--data", ".")
    one_sentence(done, 2, "train-images-idx3-ubyte")


def test_layer_that_the_hardware_lacks(terminal):
    flow = yaml.safe_load(TINY.read_text())
    flow["network"] = {"kind": "transformer"}
    (terminal.root / "work" / "f.yaml").write_text(yaml.safe_dump(flow))
    done = terminal.call("build", "--board", "zcu104", "--flow", "f.yaml")
    one_sentence(done, 2, "'transformer'", "cnn")


def test_more_images_than_there_are(terminal):
    flow = yaml.safe_load(TINY.read_text())
    flow["simulate"]["images"] = 5000
    (terminal.root / "work" / "f.yaml").write_text(yaml.safe_dump(flow))
    done = terminal.call("build", "--board", "zcu104", "--flow", "f.yaml")
    one_sentence(done, 2, "5000 images", "digits", "360")


def test_no_compiler_is_said_before_anything_is_trained(terminal):
    command = ("build", "--board", "zcu104", "--flow", str(TINY))
    done = terminal.call(*command, path=str(terminal.root))
    one_sentence(done, 1, "C++ compiler", "apt-get install g++")
    assert "train:" not in done.err


def test_run_directory_that_was_tampered_with(tiny_build, make_terminal):
    terminal = make_terminal()
    source = tiny_build[0].root / "work" / "runs"
    shutil.copytree(source, terminal.root / "work" / "runs")
    run = terminal.root / "work" / "runs" / "tiny-zcu104"
    command = ("build", "--board", "zcu104", "--flow", str(TINY))

    weights = run / "finetune" / "net.safetensors"
    original = weights.read_bytes()
    weights.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    one_sentence(terminal.call(*command), 1, "corrupted", "finetune/net.safetensors", "delete")
    weights.write_bytes(original)

    (run / "manifest.json").write_text("{ not json")
    one_sentence(terminal.call(*command), 1, "corrupted", "manifest.json", "delete")


def test_run_directory_of_something_else(terminal):
    (terminal.root / "work" / "thesis").mkdir()
    (terminal.root / "work" / "thesis" / "chapter1.tex").write_text("...")
    done = terminal.call("build", "--board", "zcu104", "--run", "thesis")
    one_sentence(done, 2, "thesis", "chapter1.tex")


def test_simulate_of_no_build(terminal):
    one_sentence(terminal.call("verify", "nowhere"), 2, "nowhere", "not the directory of a build")


def test_full_disk_then_room(terminal):
    """On a real small file system: the build says so, and goes on once there is room."""
    disk = terminal.root / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here ({mounted.stderr.strip()})")
    try:
        run = disk / "run"
        command = ("build", "--board", "zcu104", "--flow", str(TINY), "--run", str(run))
        one_sentence(terminal.call(*command), 1, "disk", "full", "--run")
        assert not list(run.glob("*/*.tmp"))
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        done = terminal.call(*command)
        assert done.code == 0, done.err
        report = json.loads((run / "report.json").read_text())
        assert report["accelerator"]["simulation"]["verdict"]["differing"] == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_debug_shows_the_traceback(terminal):
    done = subprocess.run(
        [*terminal.arguments("--debug", "build", "--board", "nope")],
        cwd=terminal.root / "work",
        env=terminal.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" in done.stderr
    assert "UserError" in done.stderr


def test_vivado_where_there_is_none(terminal):
    done = terminal.call("build", "--board", "zcu104", "--flow", str(TINY), "--vivado", ".")
    one_sentence(done, 2, "no Vivado in")


def test_doctor_without_a_compiler(terminal):
    done = terminal.call("doctor", "--json", path=str(terminal.root))
    findings = {each["name"]: each for each in json.loads(done.out)}
    assert done.code == 1
    assert findings["C++ compiler"]["found"] is None
    assert "apt-get" in findings["C++ compiler"]["how"]
    assert findings["torch"]["found"]
    assert terminal.call("doctor").code == 0


@pytest.mark.parametrize("command", sorted(main.commands))
def test_help_shows_an_example_in_a_line_of_its_own(terminal, command):
    done = terminal.call(command, "--help")
    assert done.code == 0
    lines = [line.strip().removeprefix("Example: ") for line in done.out.splitlines()]
    assert any(line.startswith(f"sdq-fpga {command}") for line in lines)
    assert "Example" in done.out
    assert "\\b" not in done.out


def test_boards_lists_all(terminal):
    listed = json.loads(terminal.call("boards", "--json").out)
    names = {"pynq-z1", "pynq-z2", "zcu104", "zcu102", "ultra96-v2", "kv260", "u50"}
    assert {board["name"] for board in listed} == names
    table = terminal.call("boards").out
    assert all(name in table for name in names)


def vivado_of(folder: Path, *programs: str) -> Path:
    """Programs that do nothing but fail, as an installation."""
    (folder / "bin").mkdir(parents=True)
    for name in programs:
        (folder / "bin" / name).write_text("#!/bin/sh\necho stand-in $0 $*\nexit 1\n")
        (folder / "bin" / name).chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("version", "programs", "words"),
    [
        ("2021.1", ("vivado",), "Vivado 2021.1 is too old; install 2022.2 or later"),
        ("newest", ("vivado",), "has no version in its path"),
        ("2022.2", ("vivado",), "vitis_hls, which makes the shell's DMAs, is not on PATH"),
        ("2025.1", ("vivado", "vitis_hls"), "vitis-run, which makes the shell's DMAs"),
        ("2022.2", ("vivado", "vitis_hls"), "there is no finn-hlslib in"),
    ],
)
def test_what_vivado_lacks_is_said_at_once(terminal, version, programs, words):
    vivado = vivado_of(terminal.root / version, *programs)
    done = terminal.call("build", "--board", "zcu104", "--flow", str(TINY), "--vivado", str(vivado))
    one_sentence(done, 2, words)
    assert not (terminal.root / "work" / "runs").exists()


def test_vivado_for_a_board_without_a_shell(terminal):
    vivado = vivado_of(terminal.root / "2022.2", "vivado")
    done = terminal.call("build", "--board", "u50", "--flow", str(TINY), "--vivado", str(vivado))
    one_sentence(done, 2, "there is no shell for u50 yet, only for pynq-z1", "leave --vivado out")


def test_vivado_that_fails(tiny_build, make_terminal):
    """A stand-in for Vivado: FINN's Zynq build is really started, up to its first call."""
    terminal = make_terminal()
    shutil.copytree(tiny_build[0].root / "work" / "runs", terminal.root / "work" / "runs")
    vivado = vivado_of(terminal.root / "2022.2", "vivado", "vitis_hls")
    header = terminal.root / "deps" / "finn-hlslib" / "dma.h"
    header.parent.mkdir(parents=True)
    header.touch()
    done = terminal.run(
        "build", "--board", "zcu104", "--flow", str(TINY), "--vivado", str(vivado),
        "--finn-deps", str(terminal.root / "deps"),
    )  # fmt: skip
    run = terminal.root / "work" / "runs" / "tiny-zcu104"
    one_sentence(done, 1, "Vivado did not make the bitstream", str(run / "vivado"))
    log = (run / "vivado" / "finn.log").read_text()
    assert "IODMA" in log, "FINN's Zynq build did not come to its HLS blocks"
    assert json.loads((run / "report.json").read_text())["bitstream"]["made"] is False


@pytest.mark.parametrize("out", ["none/policy.json", "/dev/full/policy.json"])
def test_a_policy_that_can_not_be_written_is_refused_before_anything_is_trained(terminal, out):
    done = terminal.call("search", "--board", "zcu104", "--flow", str(TINY), "--out", out)
    one_sentence(done, 2, f"{out} can't be written", "give another file")
    assert list((terminal.root / "work").iterdir()) == []


def test_to_look_whether_a_file_can_be_written_leaves_it_as_it_is(tmp_path):
    path = tmp_path / "policy.json"
    check_writable(path)
    assert not path.exists()
    path.write_text("kept")
    check_writable(path)
    assert path.read_text() == "kept"
