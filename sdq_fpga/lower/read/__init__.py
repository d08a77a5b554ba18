"""QONNX to the integer network: one file for each family of operators.

A tensor of the QONNX model is, at each point, integers that the hardware has (codes), and a real
function of them that it has not computed: ``value = tail(scale * code + offset)``. Linear
operators act on codes and multiply scales; element-wise ones only extend the function; a quantizer
turns the function into thresholds on the codes. No scale is ever moved through the graph.
"""
