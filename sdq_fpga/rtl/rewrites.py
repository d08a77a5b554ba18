"""Corrections to FINN's RTL library, applied to the copy that a build generates.

The installed library is never touched. A correction is a few short text replacements, bound to
the SHA-256 of the one upstream file for which it was worked out: a changed file is an error
until somebody has looked at it again, never a silent half-applied edit.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from sdq_fpga.errors import StageError

__all__ = ["FINN_PLUS", "REWRITES", "Rewrite", "corrected", "read_corrected", "rtllib_dir"]

FINN_PLUS = "1.6.1"
"""The finn-plus release whose RTL library the rewrites were worked out for."""


@dataclass(frozen=True)
class Rewrite:
    """One correction of one upstream file.

    Attributes:
        file: path of the file below ``finn-rtllib``, with forward slashes.
        sha256: of the upstream file's bytes.
        reason: what is wrong upstream, and why the replacement is right.
        replacements: (old, new) pairs; each ``old`` occurs exactly once.
    """

    file: str
    sha256: str
    reason: str
    replacements: tuple[tuple[str, str], ...]


_STARTUP_WATCH = (
    "\t\tinitial begin\n\t\t\t#100ns;\n\t\t\tDirty <= 0;\n\t\tend\n",
    "// synthesis translate_off\n"
    "\t\tinitial begin\n\t\t\t#100ns;\n\t\t\tDirty <= 0;\n\t\tend\n"
    "// synthesis translate_on\n",
)

REWRITES = (
    Rewrite(
        file="mvu/add_multi.sv",
        sha256="245c88f80677355afd487f9cb69d71b85c4873eceae5bb828b1dcac43ca71f94",
        reason=(
            "A function declared inside a generate block may not be called in a constant "
            "expression (IEEE 1800-2023 13.4.3). The block genTree now opens after the function "
            "instead of before it, which leaves the function, its type and the constant D in the "
            "module; nothing else uses their names. L >= 1 is the else branch of L < 1."
        ),
        replacements=(
            ("\telse begin : genTree\n", ""),
            (
                "endfunction : init_leaf_loads\n",
                "endfunction : init_leaf_loads\n\n\tif(L >= 1) begin : genTree\n",
            ),
        ),
    ),
    Rewrite(
        file="fifo/hdl/fifo.sv",
        sha256="88ad786a5885c7994c7e2d26e1ef2ffdf688310e941feaa0651332da49ec58c4",
        reason=(
            "Verilator can't evaluate an unpacked struct in a constant function. The only struct "
            "of the file holds two integers and is read by member alone, so packing it changes "
            "no value. `default_nettype may not stand inside a module (IEEE 1800-2023 22.8). It "
            "can only forbid implicit nets, of which there are none: with it upstream elaborates, "
            "and without it Verilator still treats one as an error here."
        ),
        replacements=(
            ("typedef struct {", "typedef struct packed {"),
            ("`default_nettype none\n", ""),
            ("`default_nettype wire\n", ""),
        ),
    ),
    Rewrite(
        file="dwc/hdl/vpc.sv",
        sha256="b0b2b20405d897212723e77067d7507778d8be0ecbe29836259e3b95daef626b",
        reason=(
            "`default_nettype may not stand inside a module, see fifo.sv; nothing else uses it."
        ),
        replacements=(("`default_nettype none\n", ""), ("`default_nettype wire\n", "")),
    ),
    Rewrite(
        file="thresholding/hdl/thresholding.sv",
        sha256="706ca3232e5daab15374b9645f4a3696bd39787e6578f2905aa697f059f57772",
        reason=(
            "In stage 0, where SN is M - 1, the part-select [M-1:SN+1] runs backwards, which is "
            "illegal even in the branch of a conditional operator that is never taken (IEEE "
            "1800-2023 11.5.1); Yosys refuses it. SCOPE_REDUCE is 0 in stage 0 (M is "
            "clog2(N + 1), so 2^(M-1) <= N <= 2^M - 1), and the branch is not taken. In every "
            "other stage the shift gives the same number, and the comparison is 32 bits wide "
            "either way. The output queue shifts its elements one by one, which Yosys takes for a "
            "memory with a port for each; assigned in one piece it is seen to be the shift "
            "register that it is. Its depth is 3 or more, so the slice is never empty."
        ),
        replacements=(
            ("p.ptr[M-1:SN+1] < 2**stage", "(p.ptr[M-1:0] >> (SN+1)) < 2**stage"),
            (
                "foreach(pipe[pe])  ADat[0][pe] <= pipe[pe][M].ptr;",
                "begin\n\t\t\t\t\tautomatic logic [PE-1:0][M-1:0]  a;\n"
                "\t\t\t\t\tforeach(pipe[pe])  a[pe] = pipe[pe][M].ptr;\n"
                "\t\t\t\t\tADat <= { a, ADat[0:A_DEPTH-2] };\n\t\t\t\tend",
            ),
            (
                "\t\t\t\tfor(int unsigned  i = 1; i < A_DEPTH; i++)  ADat[i] <= ADat[i-1];\n",
                "",
            ),
        ),
    ),
    Rewrite(
        file="mvu/mvu.sv",
        sha256="4c6c11482fe3e8b569b6249469a302f9cb9bf89978d007ff1d0153511762b068",
        reason=(
            "A delay and a non-blocking assignment in an initial block can't be synthesised, and "
            "Yosys refuses them. They end a watch that only an assertion reads; for synthesis the "
            "file already hides other code in this way, and a simulation sees no change."
        ),
        replacements=(_STARTUP_WATCH,),
    ),
    Rewrite(
        file="mvu/mvu_vvu_8sx9_dsp58.sv",
        sha256="31174b1c5fd374c06ae31e64793064e3b3cba2f9a33a37e541f546f45cf45acc",
        reason="The startup watch of mvu.sv is in this file as well.",
        replacements=(_STARTUP_WATCH,),
    ),
    Rewrite(
        file="mvu/mvu_vvu_axi.sv",
        sha256="f4c91ae7cbb2887c92b034c2364481e9d40e31313bbd1aff82491c1350388dab",
        reason=(
            "The output queue is too short and loses results under backpressure. Let D be the "
            "cycles from an input's last flag to its result. While inputs are accepted, at most "
            "one result waits (OPtr <= 0): with a result waiting, a refused output register sets "
            "the lock, and an accepted one takes the waiting result along. The lock is a "
            "register, so in the cycle that sets it one more input goes in, and the D + 1 inputs "
            "of that cycle and the D before it may each deliver a result with no output taken: "
            "OPtr reaches D + 1 if every cycle ends a dot product (SIMD == MW), and "
            "ceil((D + 1) * SIMD / MW) in general. MAX_IN_FLIGHT must therefore be D + 1; "
            "upstream has D at most. Upstream's D is wrong as well: mvu.sv has "
            "D = 4 + clog2(SIMD) + (SIMD == 1), which 3 + clog2(SIMD + 1) + (SIMD == 1) equals "
            "for powers of two only and else misses by one; and on DSP58 the formula of the INT8 "
            "core is used for mvu.sv too. The queue now covers the deeper of the two cores. A "
            "pumped core has half the SIMD and half the cycle, hence a smaller D.\n"
            "The cores refuse an accumulator that is narrower than a product, though all sums may "
            "fit a narrower one. They now get one that is wide enough, and the queue keeps the "
            "low bits of their sums."
        ),
        replacements=(
            (
                "typedef logic [PE-1:0][ACCU_WIDTH-1:0]  dsp_p_t;",
                "localparam int unsigned  PRODUCT_WIDTH = WEIGHT_WIDTH + ACTIVATION_WIDTH;\n"
                "\tlocalparam int unsigned  CORE_WIDTH = "
                "ACCU_WIDTH > PRODUCT_WIDTH? ACCU_WIDTH : PRODUCT_WIDTH;\n"
                "\ttypedef logic [PE-1:0][CORE_WIDTH-1:0]  dsp_p_t;",
            ),
            *(
                (
                    f".ACCU_WIDTH(ACCU_WIDTH),\n\t\t\t\t.SIGNED_ACTIVATIONS(SIGNED_ACTIVATIONS),{n}",
                    f".ACCU_WIDTH(CORE_WIDTH),\n\t\t\t\t.SIGNED_ACTIVATIONS(SIGNED_ACTIVATIONS),{n}",
                )
                for n in ("\n\t\t\t\t.SEGMENTLEN", " .NARROW_WEIGHTS")
            ),
            (
                "\t\tlogic signed [$clog2(MAX_IN_FLIGHT+1):0]  OPtr",
                "\t\toutput_t  sums;\n"
                "\t\tfor(genvar  pe = 0; pe < PE; pe++) begin : genSums\n"
                "\t\t\tassign\tsums[pe] = odat[pe][ACCU_WIDTH-1:0];\n"
                "\t\tend : genSums\n\n"
                "\t\tlogic signed [$clog2(MAX_IN_FLIGHT+1):0]  OPtr",
            ),
            ("OBuf <= { odat,", "OBuf <= { sums,"),
            (
                "3 + $clog2(SIMD+1) + (SIMD == 1);",
                "0;\n\t\tlocalparam int unsigned  MVU_PIPELINE_DEPTH = "
                "4 + $clog2(SIMD) + (SIMD == 1);",
            ),
            (
                "MAX_IN_FLIGHT = CORE_PIPELINE_DEPTH;",
                "MAX_IN_FLIGHT = 1 + (CORE_PIPELINE_DEPTH > MVU_PIPELINE_DEPTH? "
                "CORE_PIPELINE_DEPTH : MVU_PIPELINE_DEPTH);",
            ),
        ),
    ),
    Rewrite(
        file="swg/swg_common.sv",
        sha256="3dea68298aa7185bc7d71ed5bcf7b0b46fc24a61044f6b1adb39230054e3578b",
        reason=(
            "Verilator ends with an internal error where a slice of an unpacked array is assigned "
            "without blocking to a slice of the same array of wide words. A loop over the "
            "elements shifts the same words, and none if there is only one."
        ),
        replacements=(
            (
                "if (DEPTH > 1) Data[DEPTH-1:1] <= Data[DEPTH-2:0];",
                "for (int unsigned i = 1; i < DEPTH; i++) Data[i] <= Data[i-1];",
            ),
        ),
    ),
)
"""Every correction that a generated accelerator needs."""

_BY_FILE = {rewrite.file: rewrite for rewrite in REWRITES}


def corrected(path_below_rtllib: str, text: str) -> str:
    """Returns ``text``, the content of a file of FINN's RTL library, with its correction.

    Args:
        path_below_rtllib: the file's path below ``finn-rtllib``, such as "mvu/add_multi.sv".
        text: what the upstream file holds, read as UTF-8. A file without a registered rewrite is
            returned as it is.

    Raises:
        StageError: the file is not the one that its rewrite was made for.
    """
    rewrite = _BY_FILE.get(path_below_rtllib)
    return text if rewrite is None else _apply(rewrite, text)


def rtllib_dir() -> Path:
    """Returns the RTL library of the installed finn-plus, found without importing FINN.

    Raises:
        StageError: finn-plus is not installed.
    """
    spec = importlib.util.find_spec("finn")
    for package in map(Path, (spec and spec.submodule_search_locations) or []):
        library = package / "finn-rtllib"
        if library.is_dir():
            return library
    raise StageError("FINN's RTL library is missing", f"pip install finn-plus=={FINN_PLUS}")


def read_corrected(path_below_rtllib: str) -> str:
    """Returns one file of the installed RTL library, corrected.

    Raises:
        StageError: the file is missing, or is not the one that its rewrite was made for.
    """
    path = rtllib_dir() / path_below_rtllib
    try:
        # Bytes, so that no newline is translated before the file is hashed.
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(
            f"{path} can't be read ({error})", f"reinstall finn-plus=={FINN_PLUS}"
        ) from error
    return corrected(path_below_rtllib, text)


def _apply(rewrite: Rewrite, text: str) -> str:
    found = hashlib.sha256(text.encode("utf-8")).hexdigest()
    if found != rewrite.sha256:
        raise StageError(
            f"finn-rtllib/{rewrite.file} is not the file that its correction was made for "
            f"(SHA-256 {rewrite.sha256} expected, {found} found)",
            f"install finn-plus=={FINN_PLUS}",
        )
    for old, new in rewrite.replacements:
        count = text.count(old)
        if count != 1:
            raise StageError(
                f"finn-rtllib/{rewrite.file}: the correction replaces {old.strip()!r}, which "
                f"occurs {count} times instead of once",
                f"install finn-plus=={FINN_PLUS}, and report this",
            )
        text = text.replace(old, new)
    return text
