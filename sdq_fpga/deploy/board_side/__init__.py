"""What runs on the board: plain Python 3.8 with NumPy, the driver, and nothing of this package.

``sdq_fpga.deploy.board_program`` packs this folder into one file that Python runs. It is given
``--root DIR --lock FILE COMMAND ARGUMENTS``, prints one JSON object, and exits with 0, or with 3
and ``{"error": ..., "fix": ..., "code": ...}``. Every command may be given again after a lost
connection: it takes up what it finds.

The root holds ``incoming`` (packages on their way, whole or not), ``packages`` (whole ones, by the
SHA-256 of their zip file) and ``jobs`` (what was asked, what came out).
"""
