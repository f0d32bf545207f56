"""Whether XLA can compile a step, and computes what TensorFlow computes."""

import tensorflow as tf
from keras import tree

from rnnkit.backend.loop import NeedsPlainLoop

# What the cells of most models consist of. XLA has them, with the same results, whatever their tensors are.
KNOWN = frozenset(
    """
    Abs Add AddN AddV2 All Any ArgMax ArgMin BatchMatMulV2 BatchMatMulV3 BiasAdd BiasAddGrad BroadcastGradientArgs
    BroadcastTo Cast ClipByValue ConcatV2 Const Cumsum DivNoNan Einsum Elu EluGrad Equal Erf Exp ExpandDims Expm1 Fill
    FloorDiv FloorMod Greater GreaterEqual Identity IdentityN InvertPermutation LeakyRelu LeakyReluGrad Less LessEqual
    Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max Maximum Mean Min Minimum Mul MulNoNan Neg NoOp
    NotEqual OneHot OnesLike Pack Placeholder Pow PreventGradient Prod ReadVariableOp RealDiv Reciprocal ReciprocalGrad
    Relu Relu6 Relu6Grad ReluGrad Reshape Rsqrt RsqrtGrad Select SelectV2 Selu SeluGrad Shape ShapeN Sigmoid SigmoidGrad
    Sign Size Slice Softmax Softplus SoftplusGrad Softsign SoftsignGrad Split SplitV Sqrt SqrtGrad Square
    SquaredDifference Squeeze StopGradient StridedSlice StridedSliceGrad Sub Sum Tanh TanhGrad Tile Transpose Unpack
    Xlogy ZerosLike
    """.split()
)
# What XLA leaves out or gives a size that it must guess.
DIFFERENT = frozenset(["CheckNumerics", "CheckNumericsV2", "DebugNumericSummaryV2", "DynamicPartition", "Where"])
# What calls other functions, whose operations are looked at anyway.
CALLS = frozenset(["Case", "If", "PartitionedCall", "StatefulPartitionedCall", "StatelessCase", "StatelessIf"])
LOOPS = frozenset(["While", "StatelessWhile"])
SIZE_OF_THE_UNKNOWN = 2


def check_compilable(step, arguments, is_known):
    """Checks that `step(*arguments)` can be compiled.

    Args:
        step: function of tensors that returns a nested structure of tensors, and is differentiated with respect to all.
        arguments: list of tensors like those that it takes; None stands for an unknown size.
        is_known: whether the step is one of ours, apart from its operations: then it is not asked of XLA if these are
            known.

    Raises:
        NeedsPlainLoop: it cannot be, or had other results, or none; the message says which operation is the reason.
    """

    def with_gradients(*arguments):
        results = [x for x in tree.flatten(step(*arguments)) if x.dtype.is_floating]
        return results, tf.gradients(results, [x for x in arguments if x.dtype.is_floating])

    specs = [tf.TensorSpec([SIZE_OF_THE_UNKNOWN if n is None else n for n in x.shape], x.dtype) for x in arguments]
    with tf.init_scope():
        program = tf.function(with_gradients, jit_compile=True, autograph=False)
        try:
            graph = program.get_concrete_function(*specs).graph
        except LookupError as error:
            raise NeedsPlainLoop(f"an operation of its step has no gradient ({error})") from None
        if graph.captures:
            raise NeedsPlainLoop("its cell reads a tensor that is neither state, input nor weight")
        unknown = _unknown_operations(graph)
        if unknown or not is_known:
            try:
                program.experimental_get_compiler_ir(*specs)(stage="hlo")
            except Exception as error:  # whatever XLA says: the plain loop says it better, or runs
                names = f" ({', '.join(unknown)})" if unknown else ""
                raise NeedsPlainLoop(f"XLA cannot compile its step{names}") from error


def _unknown_operations(graph):
    """The types of the operations in a graph, and in the functions that it calls, that are not known."""
    definition = graph.as_graph_def()
    functions = {function.signature.name for function in definition.library.function}
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    types = {node.op for node in nodes} - functions - KNOWN - CALLS
    for name in sorted(types - LOOPS):
        if name in DIFFERENT or graph.op_def_for_type(name).is_stateful:
            raise NeedsPlainLoop(f"XLA does not do what {name} does in its step")
    strings = {node.op for node in nodes if tf.string.as_datatype_enum in [a.type for a in node.attr.values()]}
    return sorted(types | strings)
