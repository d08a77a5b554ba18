"""What the host does: frames to codes, codes to scores."""

import numpy as np
import pytest
from pydantic import ValidationError

from sdq_fpga.errors import UserError
from sdq_fpga.lower.host import HostInput, HostOutput


def host_input(**fields) -> HostInput:
    given = {
        "name": "image",
        "stream": "in_0",
        "shape": (2, 3, 4),
        "stream_shape": (3, 4, 2),
        "channels_first": True,
        "low": 0,
        "high": 255,
    }
    return HostInput(**(given | fields))


def host_output(**fields) -> HostOutput:
    given = {
        "name": "scores",
        "stream": "s",
        "shape": (3,),
        "channels_first": False,
        "scale": (0.5,),
        "offset": (0.0,),
    }
    return HostOutput(**(given | fields))


def test_integers_go_in_as_they_are_channels_last():
    frames = np.arange(48).reshape(2, 2, 3, 4)
    codes = host_input().codes(frames.astype(np.float32))
    assert codes.dtype == np.int64
    np.testing.assert_array_equal(codes, frames.transpose(0, 2, 3, 1))


def test_layouts_that_are_left_alone():
    frames = np.arange(24).reshape(1, 3, 4, 2)
    last = host_input(shape=(3, 4, 2), channels_first=False)
    np.testing.assert_array_equal(last.codes(frames), frames)
    line = host_input(shape=(2, 5), stream_shape=(1, 5, 2))
    codes = line.codes(np.arange(10).reshape(1, 2, 5))
    assert codes.shape == (1, 1, 5, 2)
    assert codes[0, 0, 3].tolist() == [3, 8]
    flat = host_input(shape=(5,), stream_shape=(5,))
    np.testing.assert_array_equal(flat.codes(np.arange(5)[None]), np.arange(5)[None])
    joined = host_input(shape=(2, 3), stream_shape=(6,), channels_first=False)
    np.testing.assert_array_equal(joined.codes(np.arange(6).reshape(1, 2, 3)), [np.arange(6)])


@pytest.mark.parametrize("value", [-1, 256])
def test_integers_out_of_range(value):
    frames = np.full((1, 2, 3, 4), value)
    with pytest.raises(UserError, match=rf"'image' takes integers 0\.\.255, .* {value}"):
        host_input().codes(frames)


def test_a_bipolar_input_has_no_zero():
    each = host_input(shape=(3,), stream_shape=(3,), low=-1, high=1, bipolar=True)
    assert each.codes(np.array([[1.0, -1.0, 1.0]])).tolist() == [[1, -1, 1]]
    with pytest.raises(UserError, match=r"'image' takes -1 and \+1 only, and was given 0"):
        each.codes(np.array([[1, 0, -1]]))


def test_frames_of_another_shape():
    with pytest.raises(UserError, match=r"shape \(2, 3, 4\), not \(3, 4, 2\)") as caught:
        host_input().codes(np.zeros((1, 3, 4, 2)))
    assert caught.value.exit_code == 2


def test_quantization_rounds_to_even_and_saturates():
    quantizer = {"quantized": True, "scale": 0.25, "zero_point": 3.0, "low": 0, "high": 15}
    each = host_input(shape=(6,), stream_shape=(6,), **quantizer)
    values = np.array([[-9.0, -0.75, 0.0, 0.125, 0.375, 9.0]])
    assert each.codes(values).tolist() == [[0, 0, 3, 4, 4, 15]]


def test_scaling_before_quantization():
    settings = {"gain": 2.0, "offset": -1.0, "scale": 0.5, "low": -8, "high": 7}
    each = host_input(shape=(3,), stream_shape=(3,), quantized=True, **settings)
    assert each.codes(np.array([[0.0, 1.0, 1.5]])).tolist() == [[-2, 2, 4]]


def test_bipolar_quantization():
    settings = {"quantized": True, "bipolar": True, "low": -1, "high": 1, "offset": -0.5}
    each = host_input(shape=(4,), stream_shape=(4,), **settings)
    assert each.codes(np.array([[0.0, 0.5, 0.75, -3]])).tolist() == [[-1, 1, 1, -1]]


def test_scores():
    scores = host_output(scale=(0.5, 2.0, 1.0), offset=(1.0, 0.0, -1.0)).scores(
        np.array([[2, 3, 4]])
    )
    assert scores.dtype == np.float32
    assert scores.tolist() == [[2.0, 6.0, 3.0]]


def test_maps_come_out_channels_first():
    codes = np.arange(24).reshape(1, 3, 4, 2)
    end = host_output(shape=(2, 3, 4), channels_first=True, scale=(1.0, 10.0))
    expected = codes.transpose(0, 3, 1, 2) * np.array([1.0, 10.0]).reshape(1, 2, 1, 1)
    np.testing.assert_array_equal(end.scores(codes), expected)
    assert end.step().shape == (1, 2, 1, 1)


def test_flat_outputs_are_put_in_order():
    end = host_output(order=(2, 0, 1), scale=(1.0, -2.0, 4.0))
    assert end.scores(np.array([[1, 1, 1]])).tolist() == [[4.0, 1.0, -2.0]]
    assert end.step().tolist() == [4.0, 1.0, 2.0]


def test_softmax_and_its_logarithm():
    codes = np.array([[2000, 2, 4], [0, 0, 0]])  # e^1000 has no float32
    soft = host_output(function="softmax").values(codes)
    np.testing.assert_allclose(soft, [[1, 0, 0], [1 / 3] * 3], atol=1e-6)
    logarithm = host_output(function="log-softmax").values(codes)
    np.testing.assert_allclose(logarithm[1], -np.log(3) * np.ones(3), rtol=1e-6)
    assert logarithm[0].tolist() == [0.0, -999.0, -998.0]
    np.testing.assert_array_equal(host_output().values(codes), host_output().scores(codes))


def test_what_is_kept_is_read_again():
    for value in (host_input(quantized=True, scale=0.1), host_output(order=(0, 2, 1))):
        assert type(value).model_validate_json(value.to_bytes()) == value
    with pytest.raises(ValidationError):
        host_output(scale=())
