"""A build that begins with a QONNX model instead of a network to train."""

import hashlib
import zipfile
import zlib
from pathlib import Path

import numpy as np
import onnx

from sdq_fpga.errors import UserError
from sdq_fpga.lower.read.model import load_qonnx, read_qonnx
from sdq_fpga.progress import Progress
from sdq_fpga.provenance import code_digest, tool_versions
from sdq_fpga.report.summary import BitstreamStatus, Report
from sdq_fpga.run import RunDirectory
from sdq_fpga.sim.verify import Model, Vectors
from sdq_fpga.sim.verilator import find_compiler, find_verilator
from sdq_fpga.stages.accelerator import Accelerator
from sdq_fpga.stages.context import Workspace
from sdq_fpga.stages.reports import write_reports
from sdq_fpga.stages.target import MODEL_SETTINGS_FILE, ModelSettings
from sdq_fpga.synth.vivado import Vivado

__all__ = ["ModelBuild", "random_vectors", "read_vectors"]

_LABELS = "labels"


class ModelBuild:
    """One build of a given model in one run directory.

    Args:
        settings: what the user states.
        model: the QONNX file.
        run: the open run directory.
        cache: directory of compiled simulations; None to compile always.
        progress: told how far it is.

    Raises:
        UserError: the file is no ONNX model, or has what hardware can't do.
    """

    def __init__(
        self,
        settings: ModelSettings,
        model: Path,
        run: RunDirectory,
        cache: Path | None,
        progress: Progress,
    ) -> None:
        self._settings = settings
        self._run = run
        qonnx = load_qonnx(model, settings.input_type)
        read_qonnx(qonnx)  # what it can't take, it names before any time is spent
        self._data = onnx.ModelProto.SerializeToString(qonnx.model, deterministic=True)
        self._work = Workspace(run.directory, cache, progress)
        run.write(MODEL_SETTINGS_FILE, settings.to_bytes())

    @property
    def inputs(self) -> dict[str, str]:
        """SHA-256 of what is read from elsewhere: the model, and its frames if there are any.

        Raises:
            UserError: the frames can't be read.
        """
        path = self._settings.vectors
        frames = {} if path is None else {"vectors": _digest(_read(Path(path)))}
        return {"model": _digest(self._data)} | frames

    def everything(self, vivado: Vivado | None) -> Report:
        """Runs every stage and writes the reports and the build's lock.

        Args:
            vivado: the installation for the bitstream; None for none.

        Raises:
            UserError: a target can't be reached.
            StageError: a tool is missing, or a stage failed.
        """
        find_verilator()
        find_compiler()
        target = self._settings.target
        common = {"code": code_digest(), "tools": tool_versions(), "seed": target.seed}
        inputs = self.inputs
        self._run.stage(
            "export",
            common | {"settings": {"vectors": None} | inputs},
            (),
            lambda out: _write(out / "model.onnx", self._data),
        )
        accelerator = Accelerator(
            target=target,
            work=self._work,
            run=self._run,
            common=common,
            vectors=self._vectors,
        )
        accelerator.build({})
        figures = accelerator.figures()

        def report(status: BitstreamStatus) -> Report:
            made = Report(
                name=self._settings.name, training=None, accelerator=figures, bitstream=status
            )
            return write_reports(self._run, made, self._settings, inputs, common)

        report(BitstreamStatus(made=False, message="not made yet"))
        return report(accelerator.bitstream(vivado))

    def _vectors(self, model: Model) -> Vectors:
        settings = self._settings
        images = settings.target.simulate.images
        if settings.vectors is None:
            return random_vectors(model, images, settings.target.seed)
        return read_vectors(Path(settings.vectors), model, images)


def random_vectors(model: Model, images: int, seed: int) -> Vectors:
    """Frames that fill the range of each input.

    Args:
        model: the model.
        images: how many frames.
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    frames: dict[str, np.ndarray] = {}
    for each in model.host.inputs:
        codes = rng.integers(each.low, each.high + 1, (images, *each.shape))
        if not each.quantized:
            frames[each.name] = 2 * (codes > 0) - 1 if each.bipolar else codes
            continue
        # Real numbers on the quantizer's grid: both sides round them to the same code.
        real = ((codes - each.zero_point) * each.scale - each.offset) / each.gain
        frames[each.name] = real.astype(np.float32)
    return Vectors(frames)


def read_vectors(path: Path, model: Model, images: int) -> Vectors:
    """Frames from a NumPy archive (.npz): one array for each input of the model, by its name.

    Args:
        path: the file; an array called "labels" gives the classes.
        model: the model.
        images: how many frames to take.

    Raises:
        UserError: the file can't be read, lacks an input, or has too few frames.
    """
    try:
        # numpy.load would take other kinds of files, too.
        with (
            path.open("rb") as file,
            np.lib.npyio.NpzFile(file, allow_pickle=False) as archive,
        ):
            arrays = {name: archive[name][:images] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path} is no NumPy archive ({error})", "write it with np.savez"
        ) from error
    names = [each.name for each in model.host.inputs]
    missing = [name for name in names if name not in arrays]
    if missing:
        raise UserError(
            f"{path} has no array '{missing[0]}'", f"name its arrays {', '.join(names)}"
        )
    if any(len(arrays[name]) < images for name in names):
        raise UserError(
            f"{path} has {min(len(arrays[name]) for name in names)} frames, and {images} are to be "
            "simulated",
            "give more frames, or ask for fewer with --images",
        )
    return Vectors({name: arrays[name] for name in names}, arrays.get(_LABELS))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror})", "give another file") from error


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
