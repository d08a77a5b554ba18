"""Board files: the shipped facts against other tables, and what a wrong file is told."""

import re
from pathlib import Path

import pytest
import yaml
from finn.util.basic import get_dsp_block, part_map
from finn.util.platforms import platforms
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sdq_fpga.board import Board, load_board, load_boards
from sdq_fpga.errors import UserError
from sdq_fpga.shipped import shipped_dir

# Shipped name to the name that FINN has for the same board, or for one with the same device.
FINN_BOARD = {
    "kv260": "KV260_SOM",
    "pynq-z1": "Pynq-Z1",
    "pynq-z2": "Pynq-Z2",
    "u50": "U50",
    "ultra96-v2": "Ultra96-V2",
    "zcu102": "ZCU102",
    "zcu104": "ZCU104",
}
FINN_PLATFORM = {**FINN_BOARD, "ultra96-v2": "Ultra96"}

# What Vivado counts on the device: CLBs, LUTs and flip-flops of one CLB, then blocks of 36 Kbit
# BRAM, of UltraRAM and of DSP. A 7 series CLB is two slices of 4 LUTs, UltraScale+ has one of 8.
DEVICE = {
    "xc7z020": (6650, 8, 16, 140, 0, 220),
    "xczu3eg": (8820, 8, 16, 216, 0, 360),
    "xczu7ev": (28800, 8, 16, 312, 96, 1728),
    "xczu9eg": (34260, 8, 16, 912, 0, 2520),
    "xck26": (14640, 8, 16, 144, 64, 1248),
    "xcu50": (108960, 8, 16, 1344, 640, 5952),
}

NAMES = sorted(FINN_BOARD)
REQUIRED = ["name", "title", "part", "dsp", "shell", "budget", "clock_mhz"]
BUDGET = ["lut", "ff", "bram18", "uram", "dsp"]


def own() -> dict:
    """A user's own board, as the data of a YAML file."""
    return {
        "name": "my-card",
        "title": "My card",
        "part": "xczu5ev-sfvc784-1-e",
        "dsp": "DSP48E2",
        "shell": "zynq",
        "budget": {"lut": 117120, "ff": 234240, "bram18": 288, "uram": 64, "dsp": 1248},
        "clock_mhz": {"default": 150, "maximum": 300},
    }


def write(directory: Path, data: object) -> str:
    path = directory / "my-card.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return str(path)


def refusal(name_or_path: str) -> str:
    """The message with which ``load_board`` refuses."""
    with pytest.raises(UserError) as caught:
        load_board(name_or_path)
    assert caught.value.exit_code == 2
    assert str(caught.value) == f"{caught.value.what}; {caught.value.fix}."
    return str(caught.value)


def refused_data(data: object) -> str:
    with pytest.raises(UserError) as caught:
        Board.from_data(data, "my-card.yaml")
    assert caught.value.exit_code == 2
    assert "my-card.yaml is not a valid board" in str(caught.value)
    return str(caught.value)


# The shipped boards


def test_the_shipped_boards_are_these_seven():
    assert [board.name for board in load_boards()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_board_is_called_as_its_file(name):
    assert load_board(name).name == name
    assert (shipped_dir("boards") / f"{name}.yaml").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_budget_is_that_of_the_device(name):
    board = load_board(name)
    (device,) = [device for device in DEVICE if board.part.startswith(device)]
    clbs, luts, ffs, bram36, uram, dsp = DEVICE[device]
    assert board.budget.model_dump() == {
        "lut": clbs * luts,
        "ff": clbs * ffs,
        "bram18": 2 * bram36,
        "uram": uram,
        "dsp": dsp,
    }


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"kv260"}))
def test_budget_agrees_with_finns_platform(name):
    """FINN rounds the Zynq devices; of an Alveo it has what the shell leaves, at least 4/5."""
    board = load_board(name)
    regions = platforms[FINN_PLATFORM[name]]().resource_count_dict.values()
    keys = {"lut": "LUT", "ff": "FF", "bram18": "BRAM_18K", "uram": "URAM", "dsp": "DSP"}
    least, most = (0.8, 1.0) if board.shell == "alveo" else (0.95, 1.01)
    for field, key in keys.items():
        ours, finns = getattr(board.budget, field), sum(region[key] for region in regions)
        assert least * ours <= finns <= most * ours, field


def test_finn_has_no_platform_of_the_kv260():
    """Then the device table alone vouches for it; once FINN has one, compare it above."""
    assert FINN_PLATFORM["kv260"] not in platforms


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"u50"}))
def test_part_is_finns(name):
    assert load_board(name).part == part_map[FINN_BOARD[name]]


def test_u50_part_is_finns_under_its_present_name():
    assert part_map["U50"] == "xcu50-fsvh2104-2L-e"
    assert load_board("u50").part == "xcu50-fsvh2104-2-e"


@pytest.mark.parametrize("name", NAMES)
def test_dsp_generation_is_that_of_the_part(name):
    board = load_board(name)
    assert board.dsp == get_dsp_block(board.part)


@pytest.mark.parametrize("name", NAMES)
def test_only_the_alveo_has_the_alveo_shell(name):
    assert load_board(name).shell == ("alveo" if name == "u50" else "zynq")


@pytest.mark.parametrize(
    ("name", "default", "maximum"),
    [
        ("pynq-z1", 100, 250),
        ("pynq-z2", 100, 250),
        ("zcu104", 185, 410),
        ("zcu102", 185, 410),
        ("ultra96-v2", 100, 338),
        ("kv260", 100, 323),
        ("u50", 200, 410),
    ],
)
def test_clocks(name, default, maximum):
    clock = load_board(name).clock_mhz
    assert (clock.default, clock.maximum) == (default, maximum)


@pytest.mark.parametrize("name", NAMES)
def test_board_part_is_of_this_board(name):
    """vendor:board:part0:version, where the board is the shipped one."""
    board_part = load_board(name).board_part
    vendor, board, part, version = board_part.split(":")
    assert vendor in {"xilinx.com", "avnet.com", "tul.com.tw", "www.digilentinc.com"}
    assert board in {name, name.replace("-", ""), f"a{name}", f"{name}_som"}
    assert part == "part0"
    assert re.fullmatch(r"\d+\.\d+", version)


@pytest.mark.parametrize("name", NAMES)
def test_every_fact_has_its_source_beside_it(name):
    lines = (shipped_dir("boards") / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    for field in ("part", "dsp", "budget", "  default", "  maximum", "board_part"):
        (at,) = [i for i, line in enumerate(lines) if line.startswith(f"{field}:")]
        assert lines[at - 1].lstrip().startswith("# "), field


@pytest.mark.parametrize("name", NAMES)
def test_fields_are_in_the_order_of_the_model(name):
    data = yaml.safe_load((shipped_dir("boards") / f"{name}.yaml").read_text(encoding="utf-8"))
    assert list(data) == [field for field in Board.model_fields if field != "shell_takes"]
    assert list(data["budget"]) == BUDGET


# A user's own board


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_own_board_by_path(tmp_path, suffix):
    path = Path(write(tmp_path, own())).rename(tmp_path / f"card{suffix}")
    board = load_board(str(path))
    assert board == Board.model_validate(own())
    assert board.board_part is None
    assert board.clock_mhz.default == 150


def test_a_shipped_board_survives_a_round_trip(tmp_path):
    for board in load_boards():
        assert load_board(write(tmp_path, board.model_dump(mode="json"))) == board


def test_a_shipped_name_is_not_a_file_of_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zcu104.yaml").write_text(yaml.safe_dump(own()), encoding="utf-8")
    assert load_board("zcu104").name == "zcu104"
    assert load_board("zcu104.yaml").name == "my-card"


def test_a_board_does_not_change():
    board = load_board("zcu104")
    with pytest.raises(ValidationError, match="frozen"):
        board.part = "xc7z020clg400-1"


# What is refused


@pytest.mark.parametrize("name", ["zcu105", "ZCU104", "", "pynq_z1", "../boards/zcu104"])
def test_unknown_name_is_repeated_and_the_known_ones_listed(name):
    message = refusal(name)
    assert f"unknown board '{name}'" in message
    assert ", ".join(NAMES) in message


@pytest.mark.parametrize("name", ["gone.yaml", "gone.yml"])
def test_missing_path(tmp_path, name):
    path = tmp_path / name
    assert f"there is no board file {path}" in refusal(str(path))


def test_a_directory_is_not_a_board_file(tmp_path):
    (tmp_path / "dir.yaml").mkdir()
    assert f"there is no board file {tmp_path / 'dir.yaml'}" in refusal(str(tmp_path / "dir.yaml"))


def test_yaml_syntax_error_is_located(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("name: bad\nbudget: {lut: 1,\n", encoding="utf-8")
    message = refusal(str(path))
    assert f"{path} is not YAML" in message
    assert "line 3" in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["", "# nothing\n", "just words\n", "- name: a\n", "3\n"])
def test_yaml_that_is_no_mapping(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    message = refusal(str(path))
    assert f"{path} is not a valid board (the file: " in message


@given(tail=st.binary(max_size=64))
def test_binary_garbage_is_refused(tmp_path_factory, tail):
    path = tmp_path_factory.mktemp("garbage") / "garbage.yaml"
    path.write_bytes(b"\x7fELF\xff" + tail)
    assert f"{path} can't be read" in refusal(str(path))


@pytest.mark.parametrize("field", REQUIRED)
def test_missing_field_is_named(tmp_path, field):
    data = own()
    del data[field]
    message = refusal(write(tmp_path, data))
    assert f"({field}: Field required)" in message


@pytest.mark.parametrize(
    ("group", "field"),
    [*(("budget", field) for field in BUDGET), ("clock_mhz", "default"), ("clock_mhz", "maximum")],
)
def test_missing_inner_field_is_named(group, field):
    data = own()
    del data[group][field]
    assert f"({group}.{field}: Field required)" in refused_data(data)


def test_every_fault_is_named_at_once():
    data = own()
    del data["part"], data["budget"]["ff"]
    data["dsp"] = "DSP47"
    message = refused_data(data)
    for fault in ("part: ", "budget.ff: ", "dsp: "):
        assert fault in message
    assert "'DSP48E1', 'DSP48E2' or 'DSP58'" in message


@pytest.mark.parametrize(
    ("part", "dsp"),
    [
        ("xczu5ev-sfvc784-1-e", "DSP48E1"),
        ("xc7z020clg400-1", "DSP48E2"),
        ("xa7a35tcsg324-1I", "DSP58"),
    ],
)
def test_slices_that_the_part_has_not(part, dsp):
    message = refused_data({**own(), "part": part, "dsp": dsp})
    assert f"part {part} has other DSP slices than {dsp}" in message


@pytest.mark.parametrize("group", [None, "budget", "clock_mhz"])
def test_extra_field_is_named(tmp_path, group):
    data = own()
    (data[group] if group else data)["luts"] = 5
    where = f"{group}.luts" if group else "luts"
    assert f"({where}: Extra inputs are not permitted)" in refusal(write(tmp_path, data))


@given(field=st.sampled_from(BUDGET), amount=st.integers(max_value=0))
def test_a_budget_is_positive_but_for_uram(field, amount):
    data = own()
    data["budget"][field] = amount
    if field == "uram" and amount == 0:
        assert Board.from_data(data, "my-card.yaml").budget.uram == 0
    else:
        assert f"(budget.{field}: Input should be greater than" in refused_data(data)


@pytest.mark.parametrize("amount", [1.5, "many", None, []])
def test_a_budget_is_a_whole_number(amount):
    data = own()
    data["budget"]["lut"] = amount
    assert "(budget.lut: Input should be a valid integer" in refused_data(data)


@given(
    default=st.floats(min_value=0, max_value=1000, exclude_min=True),
    maximum=st.floats(min_value=0, max_value=1000, exclude_min=True),
)
def test_default_clock_is_at_most_the_maximum(default, maximum):
    data = own()
    data["clock_mhz"] = {"default": default, "maximum": maximum}
    if default <= maximum:
        clock = Board.from_data(data, "my-card.yaml").clock_mhz
        assert (clock.default, clock.maximum) == (default, maximum)
    else:
        message = refused_data(data)
        assert "(clock_mhz: " in message
        assert f"default {default} MHz is above maximum {maximum} MHz" in message


@pytest.mark.parametrize("clock", [0, -100, 1000.5, float("inf"), float("nan"), "fast"])
@pytest.mark.parametrize("field", ["default", "maximum"])
def test_a_clock_is_a_frequency(field, clock):
    data = own()
    data["clock_mhz"][field] = clock
    assert f"(clock_mhz.{field}: " in refused_data(data)


@pytest.mark.parametrize("name", ["My-card", "-card", "my card", "my_card", "", 7])
def test_a_name_is_of_lower_case_letters_digits_and_hyphens(name):
    assert "(name: " in refused_data({**own(), "name": name})


def test_shell_is_one_of_two():
    assert "(shell: Input should be 'zynq' or 'alveo')" in refused_data({**own(), "shell": "pcie"})
