"""Logic synthesis without Vivado: Yosys maps a design to LUTs, flip-flops, DSPs and memories.

Yosys comes from PyPI as WebAssembly, which sees nothing but one scratch directory. It runs twice:
it elaborates, after which the netlist is checked and its attributes are put into the form that
Yosys knows (see ``netlist``), and it maps what is then in the netlist (see ``mapping``). Nodes that
are kept apart are mapped in several processes at the same time (see ``groups``).
"""

import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sdq_fpga.errors import StageError
from sdq_fpga.progress import Progress, SilentProgress
from sdq_fpga.shipped import shipped_dir
from sdq_fpga.synth.figures import Resources, SynthesisFigures
from sdq_fpga.synth.groups import Group, count_groups, in_groups
from sdq_fpga.synth.mapping import Family, mapping_of, settling_steps
from sdq_fpga.synth.mapping import Mapping as Steps
from sdq_fpga.synth.memories import DEEP_LUT_RAMS
from sdq_fpga.synth.netlist import Netlist, read_netlist
from sdq_fpga.synth.paths import LogicPaths, longest_paths
from sdq_fpga.synth.tool import YOSYS_CACHE, Yosys

__all__ = ["Family", "check_design", "family_of", "synthesise", "synthesise_nodes"]

_PRIMITIVES = "primitives.sv"
_TO_MAP = "to_map.il"
_MAPPED = "mapped.json"
_COUNT = "tee -q -o stat.json stat -json"
# One thread, as WebAssembly has none. FINN's axilite.sv uses a name before its declaration.
# Assertions would keep alive the logic that they read.
_READ = "read_slang -j 1 --ignore-assertions --allow-use-before-declare"

_OURS = re.compile(r"^\s*module\s+sdq_", re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\(\*(?!\s*\)).*?\*\)", re.DOTALL)
_INSTANCE = re.compile(r"\s*(\w+)\s+\w+\s*\(\s*\..*\)\s*", re.DOTALL)
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
    jobs: int | None = None,
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
        jobs: how many processes map at the same time, of up to 1 GB each; None for one a core.

    Returns:
        What the design takes in all, and for each module of which the top module has an instance.

    Raises:
        StageError: as for ``synthesise``; or there is nothing to keep apart.
    """
    with _files(work):
        return _Run(sources, top, family, work, memories, cache, progress).nodes(
            with_paths=with_paths, jobs=jobs
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
        self.tool = Yosys(work / "yosys.log", cache or YOSYS_CACHE, self.progress)
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
            mapping = self._to_map(folder, netlist, flatten=True)
            script = [
                *self._read_again(),
                *settling_steps(hierarchy=False),
                *mapping.steps(self.top),
                _COUNT,
            ]
            self._run(folder, script)
            cells = _counted(folder)
            advance(1)
        return self._figures(cells, (), begin)

    def nodes(self, *, with_paths: bool, jobs: int | None) -> SynthesisFigures:
        """Elaborates and maps the design, with its nodes kept apart."""
        begin = time.monotonic()
        nodes = self._instances()
        steps = 3 + count_groups(len(nodes))
        cells: dict[str, Mapping[str, int]] = {}
        paths: dict[str, LogicPaths] = {}
        with (
            self._scratch() as folder,
            self.progress.task(f"synthesise {self.top}", steps) as advance,
        ):
            self._elaborate(folder, ())
            advance(1)
            netlist = self._elaborate_apart(folder, nodes)
            advance(1)
            mapping = self._to_map(folder, netlist, flatten=False)
            settle = [*settling_steps(hierarchy=True), "write_rtlil settled.il"]
            self._run(folder, [*self._read_again(), *settle])
            advance(1)
            settled = (Path(folder) / "settled.il").read_text(encoding="utf-8")
            script = [*self._read_again(), *mapping.steps(self.top), _COUNT]
            if with_paths:
                script.append(f"write_json {_MAPPED}")
            for group, place in self._map_apart(folder, in_groups(settled, nodes), script, jobs):
                cells.update(_counted(place))
                if with_paths:
                    paths.update(_paths(place, group.modules))
                advance(1)
        figures = self._figures(cells, nodes, begin)
        return figures.model_copy(update={"paths": {node: paths[node] for node in nodes if paths}})

    def _map_apart(
        self, folder: str, groups: Sequence[Group], script: Sequence[str], jobs: int | None
    ) -> Iterator[tuple[Group, str]]:
        """Maps groups, several at a time; yields each with the directory of its results."""

        def work(place: Path, group: Group) -> list[tuple[str, str]]:
            place.mkdir()
            (place / _TO_MAP).write_text(group.text, encoding="utf-8")
            shutil.copyfile(Path(folder) / DEEP_LUT_RAMS, place / DEEP_LUT_RAMS)
            return self.tool.run(place, script)

        places = [Path(folder) / f"group{number}" for number in range(len(groups))]
        # The threads only wait for their processes.
        pool = ThreadPoolExecutor(jobs or os.cpu_count() or 1)
        try:
            waiting = [pool.submit(work, *each) for each in zip(places, groups, strict=True)]
            for group, place, future in zip(groups, places, waiting, strict=True):
                self._note(future.result())
                yield group, str(place)
        finally:
            pool.shutdown(cancel_futures=True)

    def _figures(
        self, cells: Mapping[str, Mapping[str, int]], nodes: Sequence[str], begin: float
    ) -> SynthesisFigures:
        found = {
            name: Resources.of_cells(_with_instances(name, cells)) for name in (self.top, *nodes)
        }
        return SynthesisFigures(
            **found[self.top].model_dump(),
            nodes={node: found[node] for node in nodes},
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

    def _read_again(self) -> list[str]:
        return [f"read_rtlil {_TO_MAP}", f"hierarchy -top {self.top}"]

    def _to_map(self, folder: str, netlist: Netlist, *, flatten: bool) -> Steps:
        """Writes a design for ``_read_again``; returns how it is mapped."""
        text = netlist.for_mapping()
        (Path(folder) / _TO_MAP).write_text(text, encoding="utf-8")
        return mapping_of(netlist, text, self.top, self.family, flatten=flatten)

    def _run(self, folder: str, script: Sequence[str]) -> None:
        self._note(self.tool.run(Path(folder), script))

    def _note(self, warnings: Sequence[tuple[str, str]]) -> None:
        for where, what in warnings:
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


def _counted(folder: str) -> dict[str, Mapping[str, int]]:
    """How many cells of each type each module has."""
    modules = json.loads((Path(folder) / "stat.json").read_text(encoding="utf-8"))["modules"]
    return {name.removeprefix("\\"): each["num_cells_by_type"] for name, each in modules.items()}


def _paths(folder: str, nodes: Sequence[str]) -> dict[str, LogicPaths]:
    modules = json.loads((Path(folder) / _MAPPED).read_text(encoding="utf-8"))["modules"]
    return {node: longest_paths(modules[node]) for node in nodes}


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
