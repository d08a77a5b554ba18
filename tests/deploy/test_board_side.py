"""The board's program by itself: bitstreams, archives, names, inputs, power."""

import ast
import contextlib
import errno
import json
import shutil
import stat
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from echo import PART, bitstream, bundle, frames, npy
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.deploy import board_side
from sdq_fpga.deploy.board_program import board_program
from sdq_fpga.deploy.board_side.bitfile import EMULATED, bit_bytes, read_bit_header, same_part
from sdq_fpga.deploy.board_side.board import same_board
from sdq_fpga.deploy.board_side.install import check_package, install, unpack
from sdq_fpga.deploy.board_side.refused import Refused
from sdq_fpga.deploy.board_side.work import Rails, load_codes

FOLDER = Path(board_side.__file__).parent
TEXT = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=30)


def test_the_program_is_plain_python_3_8_and_the_same_every_time():
    assert board_program() == board_program()
    for path in FOLDER.glob("*.py"):
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert all(not each.name.startswith("sdq_fpga") for each in node.names)
            if isinstance(node, ast.ImportFrom):
                assert node.level or not (node.module or "").startswith("sdq_fpga")


@given(TEXT, TEXT, st.binary(max_size=50))
def test_a_bit_header_is_read_as_it_was_written(tmp_path_factory, design, part, data):
    path = tmp_path_factory.getbasetemp() / "x.bit"
    path.write_bytes(bit_bytes(design, part, data))
    header = read_bit_header(path)
    assert (header.design, header.part, header.size) == (design, part, len(data))
    assert header.emulated == design.startswith(EMULATED)
    assert path.read_bytes()[header.offset :] == data


@given(st.integers(0, len(bit_bytes("design", PART, b"data")) - 1), st.booleans())
def test_a_bitstream_that_is_cut_or_longer_is_refused(tmp_path_factory, length, longer):
    whole = bit_bytes("design", PART, b"data")
    path = tmp_path_factory.getbasetemp() / "x.bit"
    path.write_bytes(whole + b"x" if longer else whole[:length])
    with pytest.raises(Refused):
        read_bit_header(path)


@pytest.mark.parametrize(
    ("part", "in_header", "same"),
    [
        ("xc7z020clg400-1", "7z020clg400", True),
        ("xc7z020clg400-1", "xc7z020clg400-1", True),
        ("xczu7ev-ffvc1156-2-e", "xczu7ev-ffvc1156-2-e", True),
        ("xczu7ev-ffvc1156-2-e", "xczu9eg-ffvb1156-2-e", False),
        ("xc7z020clg400-1", "7z010clg400", False),
        ("xc7z020clg400-1", "7z020clg484", False),
        ("xc7z020clg400-1", "7z020", False),
        ("xc7z020clg400-1", "", False),
    ],
)
def test_parts(part, in_header, same):
    assert same_part(part, in_header) is same


def test_boards():
    assert same_board("pynq-z2", "Pynq-Z2")
    assert same_board("ultra96-v2", "Ultra96")
    assert same_board("zcu104", "ZCU104")
    assert not same_board("pynq-z1", "Pynq-Z2")


def archive(path: Path, *entries: tuple[str, bytes, int]) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for name, data, mode in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            opened.writestr(entry, data)
    return path


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/x", "a//b", "./a", "a/./b", "C:x", "a\\..\\x", "..", "dir/", ""],
)
def test_an_archive_can_not_reach_outside(tmp_path, name):
    target = tmp_path / "in" / "target"
    target.mkdir(parents=True)
    packed = archive(tmp_path / "x.zip", (name, b"evil", 0o100644))
    with pytest.raises(Refused):
        unpack(packed, target)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != packed]


def test_links_devices_and_names_that_come_twice_are_refused(tmp_path):
    for number, kind in enumerate((stat.S_IFLNK, stat.S_IFCHR, stat.S_IFDIR, stat.S_IFIFO)):
        target = tmp_path / str(number)
        target.mkdir()
        with pytest.raises(Refused, match="something else than files"):
            unpack(archive(tmp_path / "x.zip", ("a", b"/etc/passwd", kind | 0o777)), target)
        assert not list(target.iterdir())
    target = tmp_path / "twice"
    target.mkdir()
    with pytest.warns(UserWarning, match="Duplicate"):
        packed = archive(tmp_path / "x.zip", ("a", b"1", 0o100644), ("a", b"2", 0o100644))
    with pytest.raises(Refused, match="twice"):
        unpack(packed, target)


@settings(max_examples=50)
@given(st.data())
def test_a_damaged_archive_leaves_files_of_its_own_or_is_refused(tmp_path_factory, data):
    whole = bytearray(bundle().data)
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "x.zip").write_bytes(whole)
    (folder / "target").mkdir()
    with contextlib.suppress(Refused):
        unpack(folder / "x.zip", folder / "target")
    assert {path.name for path in folder.iterdir()} == {"x.zip", "target"}


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """The root of a Pynq-Z2 with an emulated pynq."""
    monkeypatch.setenv("BOARD", "Pynq-Z2")
    monkeypatch.setitem(sys.modules, "pynq", types.SimpleNamespace(EMULATED=True))
    monkeypatch.setattr("importlib.metadata.version", lambda _: "1.6.1")
    for name in ("incoming", "packages", "jobs"):
        (tmp_path / name).mkdir()
    return tmp_path


def bring(root: Path, packed) -> dict:
    (root / "incoming" / "x.part").write_bytes(packed.data)
    return install(root, "x.part", packed.digest, len(packed.data))


def test_a_package_is_installed_once_and_mended(root):
    packed = bundle()
    assert install(root, "x.part", packed.digest, 100) == {"installed": False, "have": 0}
    assert bring(root, packed) == {"installed": True}
    assert install(root, "x.part", packed.digest, len(packed.data)) == {"installed": True}
    (root / "packages" / packed.digest / "settings.json").write_text("{}")
    assert install(root, "x.part", packed.digest, len(packed.data))["installed"] is False
    assert bring(root, packed) == {"installed": True}
    assert not list((root / "incoming").iterdir())


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        (lambda: bundle(board="zcu104"), "the package is for zcu104, and this board is Pynq-Z2"),
        (lambda: bundle(bit=bitstream(part="7z010clg400")), "the bitstream is for 7z010clg400"),
        (lambda: bundle(emulated=False, bit=bitstream(emulated=False)), "holds a bitstream"),
        (lambda: bundle(bit=bitstream(emulated=False)), "another kind"),
        (lambda: bundle(bit=b"no bitstream"), "not a bitstream"),
        (lambda: bundle(bit=bitstream()[:-1]), "not as long"),
    ],
)
def test_a_package_for_something_else_is_not_installed(root, packed, says):
    with pytest.raises(Refused, match=says):
        bring(root, packed())
    assert not list((root / "packages").iterdir())


def test_a_real_board_refuses_a_simulation(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynq", types.SimpleNamespace())
    with pytest.raises(Refused, match="holds a simulation, and this board is a real board"):
        bring(root, bundle())


def test_a_full_disk_leaves_nothing_half_installed(root, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(Refused) as caught:
        bring(root, bundle())
    assert caught.value.code == "full"
    assert not list((root / "packages").iterdir())


def test_every_byte_of_an_installed_package_counts(root):
    packed = bundle()
    bring(root, packed)
    folder = root / "packages" / packed.digest
    assert check_package(folder)["board"] == "pynq-z2"
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(Refused):
            check_package(folder)
        path.write_bytes(whole)
    (folder / "more").touch()
    with pytest.raises(Refused, match="other files"):
        check_package(folder)


SPEC = {"name": "x", "shape": [6], "low": 0, "high": 15}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        npy(frames(3))[:-1],
        npy(frames(3)) + b"x",
        npy(frames(3).astype(np.float32)),
        npy(frames(3) + np.uint8(1) * 15),
        npy(frames(3)[:, :5]),
        npy(frames(3)[:0]),
    ],
)
def test_the_board_checks_the_inputs_again(tmp_path, data):
    path = tmp_path / "input-0.npy"
    path.write_bytes(data)
    with pytest.raises(Refused, match=r"input-0\.npy"):
        load_codes(path, SPEC)
    path.write_bytes(npy(frames(3)))
    assert np.array_equal(load_codes(path, SPEC), frames(3))


def test_power_is_the_sum_of_the_rails_that_tell_it(monkeypatch):
    def rail(power: float | None, volts: float | None, amperes: float | None) -> object:
        sensors = [
            None if x is None else types.SimpleNamespace(value=x) for x in (power, volts, amperes)
        ]
        return types.SimpleNamespace(power=sensors[0], voltage=sensors[1], current=sensors[2])

    rails = {
        "int": rail(1.5, 0.85, 99.0),
        "aux": rail(None, 0.5, 0.5),
        "ref": rail(None, 3.3, None),
    }
    monkeypatch.setitem(sys.modules, "pynq", types.SimpleNamespace(get_rails=lambda: rails))
    with Rails() as measured:
        while measured.watts() is None:
            pass
        assert measured.watts() == pytest.approx(1.75)
    monkeypatch.setitem(sys.modules, "pynq", types.SimpleNamespace(get_rails=dict))
    with Rails() as measured:
        assert measured.watts() is None


def test_the_driver_is_told_how_frames_lie_in_beats(root):
    packed = bundle()
    bring(root, packed)
    stated = json.loads((root / "packages" / packed.digest / "settings.json").read_text())
    shapes = stated["driver_information"]["io_shape_dict"]
    assert shapes["idt"] == ["DataType['UINT4']"]
    assert shapes["ishape_normal"] == [[1, 6]]
    assert shapes["ishape_folded"] == [[1, 2, 3]]
    assert shapes["oshape_packed"] == [[1, 2, 2]]
