"""Flow files: the shipped ones load, and what a wrong one is told."""

import copy
import itertools
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sdq_fpga.errors import UserError
from sdq_fpga.flow import Flow, load_flow
from sdq_fpga.nets import make_net
from sdq_fpga.plain import shipped_names
from sdq_fpga.shipped import shipped_dir

NAMES = shipped_names("flows")


def own() -> dict:
    """A user's own flow, as the data of a YAML file."""
    return {
        "name": "my-flow",
        "title": "My flow",
        "dataset": {"kind": "digits"},
        "network": {"kind": "mlp", "params": {"inputs": 64, "hidden": [8], "classes": 10}},
        "train": {"epochs": 1, "batch_size": 16, "learning_rate": 0.01},
        "search": {
            "epochs": 1,
            "batch_size": 16,
            "learning_rate": 0.01,
            "dbp_learning_rate": 0.1,
            "weight_bits": [2, 4, 8],
            "activation_bits": [2, 4],
            "target_bits": 3,
            "qer_weight": 0,
        },
        "finetune": {"epochs": 1, "batch_size": 16, "learning_rate": 0.01},
    }


def changed(path: str, value: object) -> dict:
    """``own`` with one field set, such as "search.weight_bits"."""
    data = own()
    *groups, field = path.split(".")
    inner = data
    for group in groups:
        inner = inner.setdefault(group, {})
    inner[field] = value
    return data


def write(directory: Path, data: object) -> str:
    path = directory / "my-flow.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return str(path)


def refusal(name_or_path: str) -> str:
    with pytest.raises(UserError) as caught:
        load_flow(name_or_path)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refused_data(data: object) -> str:
    with pytest.raises(UserError) as caught:
        Flow.from_data(data, "my-flow.yaml")
    assert "my-flow.yaml is not a valid flow" in str(caught.value)
    return str(caught.value)


# The shipped flows


def test_there_are_shipped_flows():
    assert {"digits-cnn", "mnist-mlp"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_flow_is_called_as_its_file(name):
    assert load_flow(name).name == name
    assert (shipped_dir("flows") / f"{name}.yaml").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_its_network_can_be_made(name):
    flow = load_flow(name)
    names = dict(make_net(flow.network).named_modules())
    assert set(flow.search.fixed_weight_bits) <= set(names)


@pytest.mark.parametrize("name", NAMES)
def test_its_target_can_be_reached(name):
    search = load_flow(name).search
    assert search.weight_bits[0] <= search.target_bits <= search.weight_bits[-1]


# A user's own flow


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_own_flow_by_path(tmp_path, suffix):
    path = Path(write(tmp_path, own())).rename(tmp_path / f"mine{suffix}")
    flow = load_flow(str(path))
    assert flow == Flow.model_validate(own())
    assert flow.search.weight_bits == (2, 4, 8)


def test_what_may_be_left_out():
    flow = Flow.from_data(own(), "my-flow.yaml")
    assert flow.train.weight_decay == 0
    assert flow.search.fixed_weight_bits == {}
    assert flow.search.drop_threshold == 0.1
    assert flow.search.temperature == (1.0, 0.1)
    assert (flow.finetune.kd_temperature, flow.finetune.kd_weight) == (4.0, 0.5)
    assert (flow.simulate.images, flow.simulate.stall) == (100, 0.3)


def test_a_flow_survives_a_round_trip(tmp_path):
    for flow in [Flow.model_validate(own()), *(load_flow(name) for name in NAMES)]:
        assert load_flow(write(tmp_path, flow.model_dump(mode="json"))) == flow


def test_a_flow_does_not_change():
    flow = load_flow("digits-cnn")
    with pytest.raises(ValidationError, match="frozen"):
        flow.search.target_bits = 8.0


# What is refused


@pytest.mark.parametrize("name", ["digits", "DIGITS-CNN", "", "../flows/digits-cnn"])
def test_unknown_name_is_repeated_and_the_known_ones_listed(name):
    message = refusal(name)
    assert f"unknown flow '{name}'" in message
    assert ", ".join(NAMES) in message


@pytest.mark.parametrize("name", ["gone.yaml", "gone.yml", f"{'x' * 300}.yaml", "nul\0.yaml"])
def test_missing_path(tmp_path, name):
    path = tmp_path / name
    assert f"there is no flow file {path}" in refusal(str(path))


REQUIRED = ["name", "title", "dataset", "network", "train", "search", "finetune"]
REQUIRED_INSIDE = {
    "dataset": ["kind"],
    "network": ["kind"],
    "train": ["epochs", "batch_size", "learning_rate"],
    "search": [
        "epochs",
        "batch_size",
        "learning_rate",
        "dbp_learning_rate",
        "weight_bits",
        "activation_bits",
        "target_bits",
        "qer_weight",
    ],
    "finetune": ["epochs", "batch_size", "learning_rate"],
}


@pytest.mark.parametrize("field", REQUIRED)
def test_missing_field_is_named(tmp_path, field):
    data = own()
    del data[field]
    assert f"({field}: Field required)" in refusal(write(tmp_path, data))


@pytest.mark.parametrize(
    ("group", "field"),
    [(group, field) for group, fields in REQUIRED_INSIDE.items() for field in fields],
)
def test_missing_inner_field_is_named(group, field):
    data = own()
    del data[group][field]
    assert f"({group}.{field}: Field required)" in refused_data(data)


@pytest.mark.parametrize("group", ["", "dataset.", "network.", "train.", "search.", "finetune."])
def test_extra_field_is_named(group):
    data = changed(f"{group}epoch", 3)
    assert f"({group}epoch: Extra inputs are not permitted)" in refused_data(data)


BAD = {
    "name": ["My-flow", "-flow", "my flow", "my_flow", "", 7],
    "title": [None, 3, ["a"]],
    "dataset": ["digits", None, []],
    "dataset.kind": [None, 3],
    "network": ["cnn", None],
    "network.kind": [None, 3],
    "network.params": [None, [1], "inputs"],
    "train.epochs": [0, -1, 1.5, "many", None, []],
    "train.batch_size": [0, 1, 2.5, None],
    "train.learning_rate": [0, -0.1, "fast", None, float("inf"), float("nan")],
    "train.weight_decay": [-1e-9, None, float("inf"), float("nan")],
    "search.epochs": [0, None],
    "search.batch_size": [1],
    "search.learning_rate": [0, float("nan")],
    "search.dbp_learning_rate": [0, float("inf")],
    "search.weight_bits": [[], None, 4, "4", {2: 4}],
    "search.activation_bits": [[], None, 4],
    "search.target_bits": [1.9, 8.1, None, float("nan")],
    "search.fixed_weight_bits": [[2], None],
    "search.qer_weight": [-0.1, float("inf"), float("nan")],
    "search.kd_temperature": [0, float("inf")],
    "search.kd_weight": [-0.1, 1.1, float("nan")],
    "search.drop_threshold": [-0.1, 1.1, float("nan")],
    "search.temperature": [1.0, [1.0], [1.0, 0.5, 0.1], None],
    "finetune.epochs": [0],
    "finetune.batch_size": [1],
    "finetune.learning_rate": [0],
    "finetune.kd_temperature": [0, float("inf")],
    "finetune.kd_weight": [-0.1, 1.1, float("nan")],
    "simulate": [100, None],
    "simulate.images": [0, 1.5],
    "simulate.stall": [-0.1, 1.0, float("nan")],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in BAD.items() for value in values]
)
def test_bad_field_is_named(tmp_path, field, value):
    message = refusal(write(tmp_path, changed(field, value)))
    assert re.search(rf"\({re.escape(field)}(\.1)?: ", message)


@pytest.mark.parametrize("field", ["search.weight_bits", "search.activation_bits"])
@pytest.mark.parametrize("bits", [0, 1, 9, -2, 2.5, "two", None])
def test_candidates_have_2_to_8_bits(field, bits):
    assert f"({field}.1: Input should be " in refused_data(changed(field, [2, bits, 8]))


@pytest.mark.parametrize("field", ["weight_bits", "activation_bits"])
@settings(deadline=None)
@given(bits=st.lists(st.integers(2, 8), min_size=1, max_size=7))
def test_candidates_are_ascending_without_repeats(field, bits):
    data = changed(f"search.{field}", bits)
    if all(low < high for low, high in itertools.pairwise(bits)):
        assert getattr(Flow.from_data(data, "my-flow.yaml").search, field) == tuple(bits)
    else:
        message = refused_data(data)
        assert f"(search: Value error, {field} {bits} must be ascending, without rep" in message


@pytest.mark.parametrize("bits", [1, 9, "all", None])
def test_fixed_bits_name_the_layer(bits):
    message = refused_data(changed("search.fixed_weight_bits", {"fc": 8, "block1.conv": bits}))
    assert "(search.fixed_weight_bits.block1.conv: " in message


@pytest.mark.parametrize("temperature", [[0.0, 0.1], [1.0, 0.0], [-1.0, 1.0]])
def test_temperature_is_above_0(temperature):
    assert "must be above 0" in refused_data(changed("search.temperature", temperature))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("at", [0, 1])
def test_temperature_is_finite(bad, at):
    temperature = [1.0, 0.1]
    temperature[at] = bad
    message = refused_data(changed("search.temperature", temperature))
    assert f"(search.temperature.{at}: Input should be a finite number)" in message


def test_every_fault_is_named_at_once():
    data = copy.deepcopy(changed("train.epochs", 0))
    del data["title"], data["search"]["qer_weight"]
    message = refused_data(data)
    for fault in ("title: ", "train.epochs: ", "search.qer_weight: "):
        assert fault in message


# Files that are no YAML, or strange YAML


@pytest.mark.parametrize(
    "text",
    [
        "x: 2001-13-45",
        "x: 2001-01-01T00:00:00+99:99",
        "[" * 5000,
        "{" * 5000,
        "- " * 5000 + "x",
        "x: " + "9" * 5000,
        "x: !!int ''",
        "x: !!float ''",
        "x: !!bool maybe",
        "x: !!timestamp soon",
        "x: !!binary 'é'",
        "x: !!python/object/apply:os.system [true]",
        "? [x]\n: y",
        "x: *gone",
        "x: &a 1\ny: &a [",
        "%YAML 3.0\n--- x",
        "--- x\n--- y",
        "x: 'open",
        "x:\n\t- y",
        "x: \x07",
        "@x",
        "}",
    ],
    ids=lambda text: text[:20].encode("unicode_escape").decode(),
)
def test_not_yaml(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    assert f"{path} is not YAML (" in refusal(str(path))


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n", "word\n", "3\n", "- name: a\n", "2001-01-01", "&a [*a]", "!!set {a, b}"],
)
def test_yaml_that_is_no_mapping(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    assert f"{path} is not a valid flow (the file: " in refusal(str(path))


@settings(deadline=None)
@given(text=st.text("[]{}:,-?&*!|>'\"#%@`<=~ \n\t019.aeox_+T", max_size=40))
def test_whatever_is_in_the_file_one_sentence_says_so(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "fuzz.yaml"
    path.write_text(text, encoding="utf-8")
    assert str(path) in refusal(str(path))


@pytest.mark.parametrize("name", ["epochs", "'epochs'", '"epochs"'])
def test_a_key_that_a_mapping_has_twice(tmp_path, name):
    path = tmp_path / "twice.yaml"
    text = yaml.safe_dump(own()).replace("train:\n", f"train:\n  {name}: 30\n")
    path.write_text(text, encoding="utf-8")
    message = refusal(str(path))
    assert "key 'epochs' appears twice" in message
    line = text.splitlines().index("  epochs: 1", text.splitlines().index("train:")) + 1
    assert f"line {line}," in message


def test_the_same_key_in_two_mappings_is_no_fault(tmp_path):
    text = yaml.safe_dump(own())
    assert text.count("epochs:") == 3
    assert load_flow(write(tmp_path, own())).name == "my-flow"


def test_anchors_and_merges_work(tmp_path):
    """A merged key that is also given is no repeat; the one given wins."""
    data = own()
    del data["train"], data["finetune"]
    path = tmp_path / "merge.yaml"
    path.write_text(
        yaml.safe_dump(data)
        + "train: &train {epochs: 1, batch_size: 16, learning_rate: 0.01}\n"
        + "finetune: {<<: *train, epochs: 5}\n",
        encoding="utf-8",
    )
    flow = load_flow(str(path))
    assert (flow.train.epochs, flow.finetune.epochs) == (1, 5)
    assert flow.finetune.batch_size == 16


def test_not_utf_8(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("title: Straße".encode("latin-1"))
    assert f"{path} can't be read" in refusal(str(path))


def test_a_byte_order_mark_and_windows_lines_are_no_fault(tmp_path):
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + yaml.safe_dump(own()).replace("\n", "\r\n").encode())
    assert load_flow(str(path)).name == "my-flow"
