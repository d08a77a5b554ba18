"""``python -m sdq_fpga`` is the command ``sdq-fpga``."""

from sdq_fpga.cli import main

if __name__ == "__main__":
    main(prog_name="sdq-fpga")
