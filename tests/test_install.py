"""The package away from its checkout: everything that it ships is in the wheel."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]


@pytest.mark.skipif(
    not (CHECKOUT / "sdq_fpga").is_dir(), reason="the sources of the package are not here"
)
def test_installed_package_finds_what_it_ships(tmp_path):
    target = tmp_path / "site"
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
            "--target", str(target), str(CHECKOUT),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    script = (
        "import json, sdq_fpga\n"
        "from sdq_fpga.plain import shipped_names\nfrom sdq_fpga.shipped import shipped_dir\n"
        "from sdq_fpga.board import load_boards\n"
        "from sdq_fpga.flow import load_flow\n"
        "print(json.dumps({\n"
        "  'package': sdq_fpga.__file__, 'hw': str(shipped_dir('hw')),\n"
        "  'files': sorted(p.name for p in shipped_dir('hw').rglob('*') if p.is_file()),\n"
        "  'boards': [b.name for b in load_boards()],\n"
        "  'flows': [load_flow(n).name for n in shipped_names('flows')]}))\n"
    )
    away = tmp_path / "away"
    away.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=away,
        env={"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert Path(found["package"]).is_relative_to(target)
    assert Path(found["hw"]).is_relative_to(target)
    here = {path.name for path in (CHECKOUT / "hw").rglob("*") if path.is_file()}
    assert set(found["files"]) == here
    assert set(found["boards"]) == {path.stem for path in (CHECKOUT / "boards").glob("*.yaml")}
    assert set(found["flows"]) == {path.stem for path in (CHECKOUT / "flows").glob("*.yaml")}
    schemas = {path.name for path in (CHECKOUT / "sdq_fpga" / "schemas").glob("*.json")}
    assert schemas
    assert schemas == {path.name for path in (target / "sdq_fpga" / "schemas").glob("*.json")}
