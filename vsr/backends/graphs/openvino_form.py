"""Frame graphs as OpenVINO runs them fastest, with every code as it was.

The graphs of a package suit all runtimes. TensorRT has no whole numbers between layers, so planes become bytes at the very
end there, and samples of more than 8 bits travel as pairs of bytes. OpenVINO need not carry either.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import openvino


def in_openvino_form(model: openvino.Model, planes: Collection[str], bytes_per_sample: int) -> None:
    """Change a frame graph in place.

    planes: the names of its planes; the outputs are called the same with "_out", the planes of its memory with "_before".
    Samples are rounded before they are put in their places, which moves a quarter of the memory. Planes of byte pairs become
    planes of uint16, of half the width: the same bytes. A graph whose rounding `vsr.models.graphs.planes` did not make stays as
    it is.
    """
    from openvino import Type, opset13

    made = {name: port for node in model.get_ordered_ops() for port in node.outputs() for name in port.names}
    parameters = {parameter.output(0).get_any_name(): parameter for parameter in model.get_parameters()}
    ends = [f"{plane}/raised" for plane in planes]
    deep = bytes_per_sample == 2
    taken = [name for name in parameters if name in planes or name.endswith("_before")] if deep else []
    if not made.keys() >= {*ends, *(f"{name}/codes" for name in taken), "max_code"}:
        return
    results = {result.input_value(0).get_any_name(): result for result in model.get_results()}
    for name in taken:
        codes = made[f"{name}/codes"]
        whole = opset13.parameter(codes.partial_shape, Type.u16, name)
        whole.output(0).set_names({name})
        same = opset13.convert(whole, Type.f32).output(0)
        for reader in codes.get_target_inputs():
            reader.replace_source_output(same)
        model.add_parameters([whole])
        model.remove_parameter(parameters[name])
    for plane in planes:
        unrounded = made[f"{plane}/raised"].get_node().input_value(0)
        shuffle = unrounded.get_node()
        packed = shuffle.get_type_name() == "DepthToSpace"
        raised = opset13.add(shuffle.input_value(0) if packed else unrounded, np.float32(0.5))
        limited = opset13.minimum(opset13.maximum(opset13.floor(raised), np.float32(0)), made["max_code"])
        rounded = opset13.convert(limited, Type.u16 if deep else Type.u8)
        if packed:
            settings = shuffle.get_attributes()
            rounded = opset13.depth_to_space(rounded, settings["mode"], settings["block_size"])
        rounded.output(0).set_names({f"{plane}_out"})
        results[f"{plane}_out"].input(0).replace_source_output(rounded.output(0))
    model.validate_nodes_and_infer_types()
