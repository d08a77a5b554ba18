"""From a policy to a hardware graph: Brevitas, QONNX, streamlining, RTL nodes, folding.

The only package that knows Brevitas and FINN's transformations.
"""
