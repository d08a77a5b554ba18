"""From a float PyTorch network to a verified mixed-precision FPGA accelerator.

A folder is a stage of a build, and data goes through them in this order: ``nets``, ``data``,
``train``, ``search``, ``lower``, ``rtl``, ``sim``, ``synth``, ``deploy``, ``report``.
What passes between them are the plain objects of ``flow``, ``board``, ``policy`` and ``run``.
"""

from importlib.metadata import version

__version__ = version("sdq-fpga")
