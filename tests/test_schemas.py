"""The shipped JSON Schemas: up to date, and right about the files."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

import sdq_fpga.schemas
from sdq_fpga.board import Board
from sdq_fpga.flow import Flow
from sdq_fpga.plain import shipped_names
from sdq_fpga.policy import LayerBits, LayerShape, Policy
from sdq_fpga.run import open_run
from sdq_fpga.schemas import SCHEMAS, schema_text
from sdq_fpga.shipped import shipped_dir

DIRECTORY = Path(sdq_fpga.schemas.__file__).parent
SHIPPED = [(noun, name) for noun in ("flow", "board") for name in shipped_names(f"{noun}s")]


def validator(name: str) -> Draft202012Validator:
    text = (DIRECTORY / f"{name}.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def shipped(noun: str, name: str) -> dict:
    path = shipped_dir(f"{noun}s") / f"{name}.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_the_shipped_file_is_up_to_date(name):
    """If not: python -m sdq_fpga.schemas.write."""
    path = DIRECTORY / f"{name}.schema.json"
    assert path.read_text(encoding="utf-8") == schema_text(name)


def test_no_other_schemas_are_shipped():
    assert {path.name for path in DIRECTORY.glob("*.json")} == {
        f"{name}.schema.json" for name in SCHEMAS
    }


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_it_is_a_schema(name):
    Draft202012Validator.check_schema(validator(name).schema)
    assert validator(name).schema["title"] == SCHEMAS[name].__name__
    assert not validator(name).is_valid({}) or name == "run"
    assert not validator(name).is_valid([])
    assert not validator(name).is_valid({"strange": 1})


@pytest.mark.parametrize(("noun", "name"), SHIPPED)
def test_shipped_files_fit(noun, name):
    validator(noun).validate(shipped(noun, name))


@pytest.mark.parametrize(
    ("noun", "group", "field", "value"),
    [
        ("flow", None, "name", "My Flow"),
        ("flow", None, "colour", "red"),
        ("flow", "dataset", "kind", 3),
        ("flow", "train", "epochs", 0),
        ("flow", "train", "epochs", "many"),
        ("flow", "train", "batch_size", 1),
        ("flow", "search", "weight_bits", []),
        ("flow", "search", "weight_bits", [1, 2]),
        ("flow", "search", "activation_bits", [9]),
        ("flow", "search", "target_bits", 1.5),
        ("flow", "search", "temperature", [1.0]),
        ("flow", "search", "fixed_weight_bits", {"fc": 9}),
        ("flow", "finetune", "kd_weight", 1.5),
        ("flow", "simulate", "stall", 1.0),
        ("board", None, "part", None),
        ("board", None, "dsp", "DSP47"),
        ("board", None, "shell", "pcie"),
        ("board", "budget", "lut", 0),
        ("board", "budget", "bram", 280),
        ("board", "clock_mhz", "default", 0),
    ],
)
def test_schema_and_reader_refuse_the_same(noun, group, field, value):
    data = shipped(noun, {"flow": "digits-cnn", "board": "zcu104"}[noun])
    (data[group] if group else data)[field] = value
    (error,) = validator(noun).iter_errors(data)
    assert (group or field) in [*error.absolute_path, field]
    with pytest.raises(ValueError, match=field):
        {"flow": Flow, "board": Board}[noun].model_validate(data)


@pytest.mark.parametrize(("noun", "name"), SHIPPED)
def test_a_missing_field_is_refused(noun, name):
    optional = {"board": {"board_part"}, "flow": {"simulate"}}[noun]
    for field in set(shipped(noun, name)) - optional:
        data = shipped(noun, name)
        del data[field]
        (error,) = validator(noun).iter_errors(data)
        assert f"'{field}' is a required property" in error.message


def test_a_policy_that_is_written_fits():
    shape = LayerShape(name="fc", weights=10, macs=10)
    for activation_bits in (4, None):
        layer = LayerBits(shape=shape, weight_bits=2, activation_bits=activation_bits)
        policy = Policy(network="mlp", layers=(layer,))
        validator("policy").validate(json.loads(policy.to_bytes()))
    data = json.loads(policy.to_bytes())
    data["layers"][0]["weight_bits"] = 9
    assert not validator("policy").is_valid(data)


def test_a_manifest_that_is_written_fits(tmp_path):
    with open_run(tmp_path) as run:
        run.stage("train", {}, (), lambda out: (out / "net").write_text("weights"))
        run.stage("search", {}, ("train",), lambda out: None)
    data = json.loads((tmp_path / "manifest.json").read_bytes())
    validator("run").validate(data)
    data["stages"]["train"]["key"] = "short"
    assert not validator("run").is_valid(data)
