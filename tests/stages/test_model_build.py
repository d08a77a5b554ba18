"""Builds of a given QONNX model: exact, repeatable, and clear about what is wrong with a model."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model
from terminal import Done, Terminal, tree
from test_bad_input import one_sentence

from sdq_fpga.errors import UserError
from sdq_fpga.lower.read.model import read_qonnx
from sdq_fpga.progress import SilentProgress
from sdq_fpga.sim.verify import Model
from sdq_fpga.stages.finished import synthesise_run, write_page
from sdq_fpga.stages.lock import read_lock
from sdq_fpga.stages.model_build import read_vectors
from sdq_fpga.stages.reproduce import reproduce
from sdq_fpga.zoo import frames_for, mlp

STAGES = ("export", "lower", "fold", "size", "generate", "simulate", "package")
BUDGET = ("--budget", "lut=40%")
OPTIONS = ("--board", "pynq-z2", "--model", "mlp.onnx", "--target-fps", "20000", *BUDGET)
COMMAND = ("build", *OPTIONS, "--images", "8")
RUN = "runs/mlp-pynq-z2"


def write_model(terminal: Terminal) -> None:
    model = mlp((12, 8, 5), (2, 3), seed=1)
    (terminal.root / "work" / "mlp.onnx").write_bytes(model.SerializeToString())


@pytest.fixture(scope="session")
def built(make_terminal) -> tuple[Terminal, Done]:
    terminal = make_terminal()
    write_model(terminal)
    return terminal, terminal.call(*COMMAND)


def test_it_is_bit_exact_and_says_so(built):
    terminal, done = built
    assert done.code == 0, done.err
    report = json.loads((terminal.root / "work" / RUN / "report.json").read_text())
    assert report["name"] == "mlp.onnx"
    assert report["training"] is None
    accelerator = report["accelerator"]
    assert accelerator["frames_per_second"] >= accelerator["target_fps"] == 20000
    lut, dsp = (each for each in accelerator["resources"] if each["name"] in ("lut", "dsp"))
    assert (lut["usable"], lut["available"]) == (21_280, 53_200)  # 40 %
    assert (dsp["usable"], dsp["available"]) == (176, 220)  # 80 %
    simulation = accelerator["simulation"]
    assert simulation["quantized_accuracy"] is simulation["rtl_accuracy"] is None
    assert simulation["verdict"] == {
        "differing": 0,
        "images": 8,
        "qonnx_differing": 0,
        "qonnx_values": 8 * 5,
        "values": 2 * 8 * 5,
    }
    nodes = json.loads((terminal.root / "work" / RUN / "size" / "folding.json").read_text())[
        "nodes"
    ]
    bits = [(each["weight_bits"], each["input_bits"]) for each in nodes if each["weight_bits"]]
    assert bits == [(2, 3), (2, 3)]
    assert "<h2>Bits</h2>" in (terminal.root / "work" / RUN / "report.html").read_text()
    for words in ("mlp.onnx on pynq-z2", "bit-exact", "reached", "FIFO memory"):
        assert words in done.out
    assert "accuracy" not in done.out


def test_simulate_shows_the_rtl_of_the_build_beside_what_it_foretells(built):
    terminal, _ = built
    built_report = json.loads((terminal.root / "work" / RUN / "report.json").read_text())
    given = (*OPTIONS, "--rtl", "--cache", str(terminal.cache))
    done = terminal.call("simulate", *given, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    design, rtl = found["as_it_is"], found["rtl"]
    assert rtl["bit_exact"]
    for name in ("interval", "latency"):
        assert rtl[name] == built_report["accelerator"]["simulation"][name]
        assert design[name] == pytest.approx(rtl[name], rel=0.02)
    shown = terminal.call("simulate", *given).out
    assert "RTL in simulation (bit-exact" in shown


def test_manifest_and_package_are_complete(built):
    terminal, _ = built
    run = terminal.root / "work" / RUN
    manifest = json.loads((run / "manifest.json").read_text())
    assert set(manifest["stages"]) == set(STAGES)
    with zipfile.ZipFile(run / "package" / "accelerator.zip") as archive:
        names = set(archive.namelist())
        for name in names:
            assert str(terminal.root).encode() not in archive.read(name), name
    design = json.loads((run / "generate" / "design.json").read_text())
    assert {f"rtl/{name}" for name in (*design["sources"], *design["memories"])} <= names
    assert {"model.onnx", "host.json", "folding.json", "design.json"} <= names


def test_killed_it_ends_in_the_same_bytes(built, make_terminal):
    undisturbed = built[0].root / "work" / RUN
    terminal = make_terminal()
    write_model(terminal)
    run = terminal.root / "work" / RUN
    for stage in ("size", "simulate"):
        hidden = run / f".{stage}.tmp"
        terminal.run_and_kill(hidden.is_dir, *COMMAND)
        assert not (run / stage).exists()
    done = terminal.call(*COMMAND)
    assert done.code == 0, done.err
    assert done.out == built[1].out
    ours, theirs = tree(run), tree(undisturbed)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_second_call_does_nothing_and_says_the_same(built):
    terminal, done = built
    again = terminal.call(*COMMAND)
    assert (again.code, again.out) == (0, done.out)
    assert "simulate RTL" not in again.err


def test_simulate_again(built):
    terminal, _ = built
    before = tree(terminal.root / "work" / RUN)
    done = terminal.call(
        "verify", RUN, "--simulate", "--images", "12", "--stall", "0.6", "--seed", "5", "--json",
        "--cache", str(terminal.cache),
    )  # fmt: skip
    assert done.code == 0, done.err
    figures = json.loads(done.out)
    assert figures["verdict"]["images"] == 12
    assert figures["verdict"]["differing"] == figures["verdict"]["qonnx_differing"] == 0
    assert figures["stall"] == 0.6
    assert tree(terminal.root / "work" / RUN) == before


def test_own_frames_with_labels(built):
    """Frames of a file, in another run directory; only the simulation differs."""
    terminal, _ = built
    frames = frames_for(mlp((12, 8, 5), (2, 3), seed=1), 9, 3)
    np.savez(terminal.root / "work" / "v.npz", global_in=frames, labels=np.arange(9) % 5)
    done = terminal.call(*COMMAND, "--run", "own", "--vectors", "v.npz", "--json")
    assert done.code == 0, done.err
    simulation = json.loads(done.out)["accelerator"]["simulation"]
    assert simulation["verdict"]["differing"] == 0
    assert simulation["rtl_accuracy"] == simulation["quantized_accuracy"] is not None
    kept = np.load(terminal.root / "work" / "own" / "simulate" / "inputs-in_0.npy")
    assert kept.shape == (8, 12)


# ---- what can be wrong --------------------------------------------------------------------------


def test_frames_of_the_wrong_shape(built):
    terminal, _ = built
    np.savez(terminal.root / "work" / "w.npz", global_in=np.zeros((8, 11)))
    done = terminal.call(*COMMAND, "--run", "other", "--vectors", "w.npz")
    one_sentence(done, 2, "input 'global_in' takes frames of shape (12,), not (11,)")


def test_frames_that_do_not_fit(tmp_path):
    qonnx = cleanup_model(ModelWrapper(mlp((12, 8, 5), (2, 3), seed=1)))
    model = Model(qonnx, *read_qonnx(qonnx))

    def refusal(name: str) -> str:
        with pytest.raises(UserError) as caught:
            read_vectors(tmp_path / name, model, 8)
        return str(caught.value)

    np.savez(tmp_path / "few.npz", global_in=np.zeros((5, 12)))
    assert "has 5 frames, and 8 are to be simulated" in refusal("few.npz")
    np.savez(tmp_path / "other.npz", pixels=np.zeros((8, 12)))
    assert "other.npz has no array 'global_in'" in refusal("other.npz")
    whole = (tmp_path / "other.npz").read_bytes()
    one = io.BytesIO()
    np.save(one, np.zeros((8, 12)))
    damaged = whole.replace(bytes(40), bytes([1] * 40), 1)
    for wrong in (b"no archive", b"", whole[:-20], damaged, one.getvalue()):
        (tmp_path / "text.npz").write_bytes(wrong)
        assert "text.npz is no NumPy archive" in refusal("text.npz")
    assert "gone.npz" in refusal("gone.npz")
    np.savez(tmp_path / "good.npz", global_in=np.ones((9, 12)), labels=np.arange(9))
    vectors = read_vectors(tmp_path / "good.npz", model, 8)
    assert vectors.frames["global_in"].shape == (8, 12)
    assert vectors.labels.tolist() == list(range(8))


def test_file_that_is_no_model(terminal):
    (terminal.root / "work" / "text.onnx").write_text("no protobuf")
    done = terminal.call("build", "--board", "zcu104", "--model", "text.onnx")
    one_sentence(done, 2, "text.onnx is no ONNX model")


def one_node(terminal: Terminal, op: str, datatype: str | None) -> None:
    shape = (1, 3, 4, 4)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    node = helper.make_node(op, ["x"], ["y"], name="strange")
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    opsets = [helper.make_opsetid("", 13)]
    model = ModelWrapper(helper.make_model(graph, opset_imports=opsets, ir_version=8))
    if datatype is not None:
        model.set_tensor_datatype("x", DataType[datatype])
    (terminal.root / "work" / "m.onnx").write_bytes(model.model.SerializeToString())


def test_operator_that_there_is_not(terminal):
    one_node(terminal, "Softsign", "UINT8")
    done = terminal.call("build", "--board", "zcu104", "--model", "m.onnx")
    one_sentence(done, 2, "no operator for", "Softsign")


def test_input_that_is_not_quantized(terminal):
    one_node(terminal, "Relu", None)
    done = terminal.call("build", "--board", "zcu104", "--model", "m.onnx")
    one_sentence(done, 2, "in floating point", "Quant")


@pytest.mark.parametrize(
    "option", [("--policy", "p.json"), ("--data", "."), ("--target-bits", "3")]
)
def test_options_of_a_flow(terminal, option):
    done = terminal.call("build", "--board", "zcu104", "--model", "m.onnx", *option)
    one_sentence(done, 2, f"{option[0]} has no meaning with --model")


def test_synthesis_of_a_finished_build_and_its_page(built):
    terminal, _ = built
    page = terminal.root / "work" / RUN / "report.html"
    assert "No synthesis was run" in page.read_text()
    synth = ("synth", RUN, "--open", "--cache", str(Path.home() / ".cache" / "sdq-fpga"))
    done = terminal.call(*synth, "--json")
    assert done.code == 0, done.err
    figures = json.loads(done.out)
    report = json.loads((terminal.root / "work" / RUN / "report.json").read_text())
    estimated = {row["name"]: row["used"] for row in report["accelerator"]["resources"]}
    assert figures["dsp"] == estimated["dsp"]
    assert 0.7 < estimated["lut"] / figures["lut"] < 1.4
    assert f"{figures['lut']:,}" in page.read_text()
    before = tree(terminal.root / "work" / RUN)
    assert terminal.call("report", RUN).out.strip() == str(page)
    assert terminal.call(*synth).code == 0  # nothing is synthesised again
    assert tree(terminal.root / "work" / RUN) == before


def test_an_unfinished_build_has_no_page_and_no_synthesis(tmp_path):
    for use in (write_page, lambda run: synthesise_run(run, None, SilentProgress())):
        with pytest.raises(UserError, match="is not the directory of a build"):
            use(tmp_path)


def test_it_is_made_again_from_its_lock(built):
    terminal, _ = built
    lock = f"{RUN}/build.lock.json"
    text = (terminal.root / "work" / lock).read_text()
    assert str(terminal.root) not in text
    again = ("--model", "mlp.onnx", "--cache", str(terminal.cache))
    done = terminal.call("reproduce", lock, *again)
    assert done.code == 0, done.err
    assert "the same bytes" in done.out
    made = terminal.root / "work" / f"{RUN}-again"
    assert f"it is in {made}" in done.out
    first, second = (tree(each) for each in (terminal.root / "work" / RUN, made))
    told = {"report.html", "manifest.json"}  # also of a synthesis of the first
    assert {name for name in second if first.get(name) != second[name]} <= told

    # Another file in the lock is found, and named.
    damaged = json.loads(text)
    outputs = damaged["outputs"]["generate"]
    source = next(name for name in outputs if name.endswith(".sv"))
    outputs[source] = "0" * 64
    damaged["tools"]["torch"] = "0.1"
    (terminal.root / "work" / "damaged.json").write_text(json.dumps(damaged))
    done = terminal.call("reproduce", "damaged.json", "--run", str(made), *again, "--json")
    assert done.code == 1
    found = json.loads(done.out)
    assert found["differences"] == [{"stage": "generate", "file": source, "what": "differs"}]
    assert found["tools"] == {"torch": ["0.1", json.loads(text)["tools"]["torch"]]}

    # Nothing would be made again.
    done = terminal.call("reproduce", lock, "--run", RUN, *again)
    assert done.code == 2
    assert "has the build of the lock itself; give another with --run" in done.err


def test_a_lock_is_refused_for_what_is_wrong_with_it(built, tmp_path):
    terminal, _ = built
    path = terminal.root / "work" / RUN / "build.lock.json"
    stated = dict.fromkeys(("data", "model", "vectors", "pinned", "cache"))
    model, other = terminal.root / "work" / "mlp.onnx", tmp_path / "mlp.onnx"
    other.write_bytes(mlp((12, 8, 5), (2, 3), seed=2).SerializeToString())
    for given, message in (
        ({}, r"give mlp\.onnx with --model"),
        ({"model": model, "vectors": model}, "leave --vectors out"),
        ({"model": model, "pinned": tmp_path}, "nothing of the build of a model is trained"),
        ({"model": other}, "model is not what the lock was made with"),
    ):
        with pytest.raises(UserError, match=message):
            reproduce(
                read_lock(path), tmp_path / "new", progress=SilentProgress(), **stated | given
            )
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    with pytest.raises(UserError, match="no lock of a build"):
        read_lock(wrong)
    with pytest.raises(UserError, match="can't be read"):
        read_lock(tmp_path / "nowhere.json")
