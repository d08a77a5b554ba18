"""A user's frames: whatever is wrong with them is said in one sentence."""

import contextlib

import numpy as np
import pytest
from echo import frames, host, npy
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.deploy.frames import codes_bytes, read_array, read_inputs
from sdq_fpga.errors import UserError
from sdq_fpga.lower.host import HostSide


def test_frames_are_read_and_sent_as_they_are(tmp_path):
    path = tmp_path / "x.npy"
    path.write_bytes(npy(frames(5)))
    found = read_inputs([str(path)], host())
    assert np.array_equal(found["x"], frames(5))
    assert read_inputs([f"x={path}"], host())["x"].shape == (5, 6)
    path.write_bytes(npy(frames(5)[0]))
    assert read_inputs([str(path)], host())["x"].shape == (1, 6), "one frame needs no batch"
    (sent,) = codes_bytes({"s": frames(5).astype(np.int64)}, host())
    path.write_bytes(sent)
    assert read_array(path).dtype == np.uint8


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((3, 5), np.uint8), "takes frames of"),
        (np.zeros((3, 2, 3), np.uint8), "takes frames of"),
        (np.zeros((0, 6), np.uint8), "takes frames of"),
        (np.zeros((), np.uint8), "takes frames of"),
        (np.full((3, 6), "a"), "real numbers"),
        (np.zeros((3, 6), complex), "real numbers"),
        (np.zeros((3, 6), "datetime64[s]"), "real numbers"),
        (np.full((3, 6), 0.5), "fractions"),
        (np.full((3, 6), np.nan), "not finite"),
        (np.full((3, 6), np.inf), "not finite"),
    ],
)
def test_wrong_type_or_shape(tmp_path, array, says):
    path = tmp_path / "x.npy"
    path.write_bytes(npy(array))
    with pytest.raises(UserError, match=says) as caught:
        read_inputs([str(path)], host())
    assert "x.npy" in str(caught.value)


def test_python_objects_are_not_loaded(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(UserError, match="not a whole NumPy array"):
        read_array(path)


@given(st.integers(0, len(npy(frames(5))) - 1))
def test_a_file_that_is_cut_anywhere(tmp_path_factory, length):
    path = tmp_path_factory.getbasetemp() / "cut.npy"
    path.write_bytes(npy(frames(5))[:length])
    with pytest.raises(UserError, match="not a whole NumPy array"):
        read_array(path)


@given(st.binary(min_size=1, max_size=40))
def test_a_file_that_holds_more(tmp_path_factory, more):
    path = tmp_path_factory.getbasetemp() / "more.npy"
    path.write_bytes(npy(frames(5)) + more)
    with pytest.raises(UserError, match="more than its array"):
        read_array(path)


@given(st.binary(max_size=200), st.booleans())
def test_anything_at_all_is_an_array_or_a_user_error(tmp_path_factory, data, with_magic):
    path = tmp_path_factory.getbasetemp() / "any.npy"
    path.write_bytes((b"\x93NUMPY\x01\x00" if with_magic else b"") + data)
    with contextlib.suppress(UserError):
        read_array(path)


def test_a_header_that_promises_too_much(tmp_path):
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000000,), }"
    header = text.ljust(117) + b"\n"
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(UserError, match="not a whole NumPy array"):
        read_array(path)


def test_inputs_that_are_missing_unknown_or_unequal(tmp_path):
    first = host().inputs[0]
    both = HostSide(
        inputs=(first, first.model_copy(update={"name": "z", "stream": "t"})),
        outputs=host().outputs,
    )
    for name, count in (("x", 3), ("z", 4)):
        (tmp_path / f"{name}.npy").write_bytes(npy(frames(count)))
    x, z = (f"{name}={tmp_path / name}.npy" for name in "xz")
    with pytest.raises(UserError, match="input 'z' has no frames"):
        read_inputs([x], both)
    with pytest.raises(UserError, match="names no input"):
        read_inputs([x, "y=y.npy"], both)
    with pytest.raises(UserError, match="names it again"):
        read_inputs([x, x], both)
    with pytest.raises(UserError, match="NAME=FILE"):
        read_inputs([str(tmp_path / "x.npy")], both)
    with pytest.raises(UserError, match="different numbers"):
        read_inputs([x, z], both)
