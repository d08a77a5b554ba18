"""Width converters and FIFOs on the edges of a folded graph."""

from finn.util.basic import getHWCustomOp
from onnx import NodeProto, TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.board import Board
from sdq_fpga.ops import DOMAIN

__all__ = ["LEAST_DEPTH", "insert_streams", "set_depths"]

LEAST_DEPTH = 2  # of finn-rtllib/fifo/hdl/fifo.sv
_SHIFT_WORDS = 257  # beyond this, the FIFO is a memory


def insert_streams(model: ModelWrapper) -> ModelWrapper:
    """Puts a width converter where two nodes disagree about the beats, and a FIFO on every edge.

    Args:
        model: the folded graph.

    Returns:
        A new graph, in order of the data. FIFOs have the least depth and are called "fifo_N",
        converters "dwc_N".
    """
    return _Inserter(model).result()


class _Inserter:
    def __init__(self, model: ModelWrapper) -> None:
        self.model = model
        self.nodes: list[NodeProto] = []
        self.fifos = self.converters = 0

    def result(self) -> ModelWrapper:
        graph = self.model.graph
        makers = {
            name: (node, index) for node in graph.node for index, name in enumerate(node.output)
        }
        outputs = {each.name for each in graph.output}
        for node in list(graph.node):
            inst = getHWCustomOp(node)
            for index, name in enumerate(node.input):
                if self.model.get_initializer(name) is not None:
                    continue
                wanted = inst.get_folded_input_shape(index)
                have = wanted
                if name in makers:
                    maker, port = makers[name]
                    have = getHWCustomOp(maker).get_folded_output_shape(port)
                datatype = inst.get_input_datatype(index).name
                node.input[index] = self._edge(name, have, wanted, datatype, node)
            self.nodes.append(node)
            for index, name in enumerate(node.output):
                if name in outputs:
                    self._output(node, index, name)
        del graph.node[:]
        graph.node.extend(self.nodes)
        return self.model

    def _edge(
        self,
        stream: str,
        have: tuple[int, ...],
        wanted: tuple[int, ...],
        datatype: str,
        reader: NodeProto,
    ) -> str:
        if have[-1] != wanted[-1]:
            stream = self._converter(stream, have, wanted, datatype, reader.doc_string)
        return self._fifo(stream, wanted, datatype, reader.doc_string)

    def _shape(self, folded: tuple[int, ...]) -> list[int]:
        return [*(int(each) for each in folded[:-2]), int(folded[-2] * folded[-1])]

    def _declare(self, name: str, shape: list[int], datatype: str) -> None:
        self.model.graph.value_info.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        )
        self.model.set_tensor_datatype(name, DataType[datatype])

    def _converter(
        self, stream: str, have: tuple[int, ...], wanted: tuple[int, ...], datatype: str, layer: str
    ) -> str:
        bits = int(DataType[datatype].bitwidth())
        name = f"dwc_{self.converters}"
        self.converters += 1
        out = f"{name}_out"
        self._declare(out, self._shape(wanted), datatype)
        self._append(
            "StreamingDataWidthConverter_rtl",
            name,
            stream,
            out,
            layer,
            inShape=self._shape(have),
            outShape=self._shape(wanted),
            inWidth=int(have[-1]) * bits,
            outWidth=int(wanted[-1]) * bits,
            dataType=datatype,
        )
        return out

    def _fifo(
        self,
        stream: str,
        folded: tuple[int, ...],
        datatype: str,
        layer: str,
        out: str | None = None,
    ) -> str:
        """Adds a FIFO, whose output is ``out`` where that is declared already."""
        name = f"fifo_{self.fifos}"
        self.fifos += 1
        if out is None:
            out = f"{name}_out"
            self._declare(out, self._shape(folded), datatype)
        self._append(
            "StreamingFIFO_rtl",
            name,
            stream,
            out,
            layer,
            depth=LEAST_DEPTH,
            folded_shape=[int(each) for each in folded],
            normal_shape=self._shape(folded),
            dataType=datatype,
            impl_style="rtl",
            ram_style="auto",
        )
        return out

    def _output(self, node: NodeProto, index: int, name: str) -> None:
        """A FIFO before the port keeps the sink's TREADY out of the last node."""
        inst = getHWCustomOp(node)
        folded = tuple(int(each) for each in inst.get_folded_output_shape(index))
        datatype = inst.get_output_datatype(index).name
        inner = f"{name}_inner"
        self._declare(inner, self._shape(folded), datatype)
        node.output[index] = inner
        self._fifo(inner, folded, datatype, node.doc_string, out=name)

    def _append(
        self, op: str, name: str, stream: str, out: str, layer: str, **attributes: object
    ) -> None:
        node = helper.make_node(
            op, [stream], [out], name=name, domain=DOMAIN, backend="fpgadataflow", **attributes
        )
        node.doc_string = layer
        self.nodes.append(node)


def set_depths(model: ModelWrapper, depths: dict[str, int], board: Board) -> None:
    """Sets the depth of FIFOs, by name, and what they are made of.

    Deep ones are block RAM unless the part has UltraRAM, which fifo.sv takes by itself.
    """
    for node in model.get_nodes_by_op_type("StreamingFIFO_rtl"):
        depth = depths.get(node.name, LEAST_DEPTH)
        inst = getHWCustomOp(node)
        inst.set_nodeattr("depth", depth)
        block = depth > _SHIFT_WORDS and not board.budget.uram
        inst.set_nodeattr("ram_style", "block" if block else "auto")
