"""The job itself: loads the overlay through finn-plus-driver, as it is, and streams frames."""

from __future__ import annotations

import importlib
import io
import json
import math
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from .install import check_package, file_hash
from .jobs import job_folder, write_json
from .refused import Refused

__all__ = ["Rails", "load_codes", "work"]

_EXACT = 2**24  # float32, in which the driver gives its answers, holds all integers below
_ALONE = 5  # frames that go through alone, for the latency
_POWER_S = 0.05


def work(root: Path, name: str) -> dict[str, Any]:
    """Does a job; its result goes into result.json.

    Raises:
        Refused: the package or the inputs are not what they should be, or an answer is too large
            for the driver.
    """
    folder = job_folder(root, name)
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    home = root / "packages" / job["package"]
    package = check_package(home)  # again: it may have lain there for long
    inputs = []
    if job["mode"] == "frames":  # a throughput test makes its own
        specs = enumerate(package["inputs"])
        inputs = [load_codes(folder / f"input-{number}.npy", spec) for number, spec in specs]
    with (folder / "events.jsonl").open("w", encoding="utf-8") as events:

        def tell(event: dict[str, Any]) -> None:
            events.write(json.dumps(event) + "\n")
            events.flush()

        tell({"loading": package["bitstream"]})
        overlay = _overlay(home, package)
        with Rails() as rails:
            if job["mode"] == "throughput":
                result = _throughput(overlay, job["sizes"], rails, tell)
            else:
                result = _frames(overlay, inputs, job["batch"], folder, rails, tell)
    state = {"state": "done", **result}
    write_json(folder / "result.json", state)
    return state


def load_codes(path: Path, spec: dict[str, Any]) -> Any:
    """Loads the integers of one input.

    Args:
        path: a .npy file.
        spec: shape of a frame, least and greatest value.

    Returns:
        Integers [N, *shape].

    Raises:
        Refused: it is no array of such integers, or not as long as it says.
    """
    fix = "send integers " + f"{spec['low']}..{spec['high']} of shape [N, {spec['shape']}]"
    try:
        with path.open("rb") as file:
            codes = np.lib.format.read_array(file, allow_pickle=False)
            rest = file.read(1)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise Refused(f"{path.name} can't be read ({error})", fix, "wrong") from error
    if rest or codes.dtype.kind not in "iu" or list(codes.shape[1:]) != list(spec["shape"]):
        more = " and more" if rest else ""
        raise Refused(f"{path.name} holds {codes.dtype} {codes.shape}{more}", fix, "wrong")
    if not len(codes) or codes.min() < spec["low"] or codes.max() > spec["high"]:
        raise Refused(f"{path.name} holds no frames, or values out of range", fix, "wrong")
    return codes


def _overlay(home: Path, package: dict[str, Any]) -> Any:
    """Makes the driver's overlay, as its own command does; that loads the bitstream."""
    driver = importlib.import_module("finn_plus_driver")
    settings = json.loads((home / "settings.json").read_text(encoding="utf-8"))
    information = settings["driver_information"]
    for key, folder in (("runtime_weight_dir", "runtime_weights"), ("mlo_weight_dir", "mlo")):
        information.setdefault(key, str(home / folder))
    kind = driver.get_driver_class(information["driver_type"])
    return kind(str(home / package["bitstream"]), **information)


def _frames(
    overlay: Any, inputs: list[Any], batch: int, folder: Path, rails: Rails, tell: Any
) -> dict[str, Any]:
    total = len(inputs[0])
    latencies = _latencies(overlay, [each[:1] for each in inputs])
    answers: list[list[Any]] = []
    seconds = 0.0
    for first in range(0, total, batch):
        given = [np.ascontiguousarray(each[first : first + batch]) for each in inputs]
        if overlay.batch_size != len(given[0]):
            overlay.batch_size = len(given[0])
        begin = time.perf_counter()
        found = overlay.execute(given)
        seconds += time.perf_counter() - begin
        answers.append(found if isinstance(found, list) else [found])
        done = first + len(given[0])
        tell({"frames": done, "of": total, "seconds": seconds, "watts": rails.watts()})
    outputs = {}
    for number in range(overlay.num_outputs):
        values = np.concatenate([each[number] for each in answers])
        if values.size and np.abs(values).max() >= _EXACT:
            raise Refused(
                f"output {number} has values of 2^24 or more, which the driver rounds to float32",
                "let the network end in fewer bits",
            )
        path = folder / f"output-{number}.npy"
        file = io.BytesIO()  # NumPy's own writing to a full disk does not say that it is full
        np.save(file, values.astype(np.int64), allow_pickle=False)
        path.write_bytes(file.getvalue())
        outputs[path.name] = file_hash(path)
    return {
        "outputs": outputs,
        "frames": total,
        "latency_s": statistics.median(latencies),
        "frames_per_second": total / seconds,
        "watts": rails.watts(),
        "cycles": _cycles(overlay),
    }


def _latencies(overlay: Any, first: list[Any]) -> list[float]:
    """Seconds from starting the DMAs to the end of the answer, of one frame at a time."""
    overlay.batch_size = 1
    overlay.execute(first)  # fills the buffers, and warms up
    found = []
    for _ in range(_ALONE):
        begin = time.perf_counter()
        overlay.execute_on_buffers()
        found.append(time.perf_counter() - begin)
    return found


def _throughput(overlay: Any, sizes: list[int], rails: Rails, tell: Any) -> dict[str, Any]:
    """The driver's own throughput test, with batches of growing size."""
    rows = []
    for size in sizes:
        overlay.batch_size = size
        found = overlay.throughput_test()
        row = {
            "batch": size,
            "seconds": float(found["runtime[ms]"]) / 1e3,
            "frames_per_second": float(found["throughput[images/s]"]),
            "pack_s": float(found["pack_input[ms]"]) / 1e3,
            "unpack_s": float(found["unpack_output[ms]"]) / 1e3,
            "watts": rails.watts(),
            "cycles": _cycles(overlay),
        }
        rows.append(row)
        tell(row)
    return {"outputs": {}, "rows": rows}


def _cycles(overlay: Any) -> dict[str, Any] | None:
    """What an emulated board knows of its simulation's clock; None on a real one."""
    found: dict[str, Any] | None = getattr(overlay, "emulated_cycles", None)
    return found


class Rails:
    """Mean power of all PMBus rails that the board has, sampled in a thread."""

    def __init__(self) -> None:
        pynq = importlib.import_module("pynq")
        rails = pynq.get_rails() if hasattr(pynq, "get_rails") else {}
        self._rails = [each for each in map(_sensors, rails.values()) if each]
        self._sum, self._count = 0.0, 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def watts(self) -> float | None:
        """Mean power so far in W; None where there is nothing to measure it with."""
        return self._sum / self._count if self._count else None

    def __enter__(self) -> Rails:
        if self._rails:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._rails:
            self._thread.join()

    def _sample(self) -> None:
        while not self._end.wait(_POWER_S):
            self._sum += sum(math.prod(float(each.value) for each in rail) for rail in self._rails)
            self._count += 1


def _sensors(rail: Any) -> list[Any]:
    """The sensors of a rail whose product is its power in W; none if it can't be told."""
    if rail.power is not None:
        return [rail.power]
    pair = [rail.voltage, rail.current]
    return [] if None in pair else pair
