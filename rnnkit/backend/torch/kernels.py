"""PyTorch's own kernels instead of a loop over time.

`torch.lstm`, `torch.gru`, `torch.rnn_tanh` and `torch.rnn_relu` are what `torch.nn.LSTM`, `GRU` and `RNN` call.

They know no mask. As a masked step changes nothing, the unmasked steps move to the front of their row, the kernel runs,
and every step gets the output of the last unmasked step up to it. What the kernel makes of the steps after these is not
read. That way, any mask will do.
"""

import math
from collections import Counter

import torch
from keras import ops
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnkit.backend.loop import Run

DTYPES = {
    "cpu": (torch.float32, torch.float64),
    "cuda": (torch.float32, torch.float64, torch.float16, torch.bfloat16),
}

AFTER_THE_END = {  # what is added to the gates after the last unmasked step, times a very large number
    "lstm": (-1, 1, 0, 0),  # i = 0 and f = 1: C stays as it is
    "rnn_relu": (-1,),  # h = 0: it might grow until it is no number any more
}


def against_kernels(loop):
    """Why no kernel of PyTorch can run a loop, in words; None if one can."""
    device, dtype = loop.sequences.device.type, loop.sequences.dtype
    if loop.no_kernel is not None:
        return loop.no_kernel
    if loop.equation is None:
        return f"PyTorch has no kernel for the equation of this {type(loop.cell).__name__}"
    if loop.equation.drops_states:
        return "PyTorch's kernels know no recurrent dropout"
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return "a compiler takes the loop apart"
    if dtype not in DTYPES.get(device, ()):
        return f"PyTorch's kernels are not for {str(dtype).removeprefix('torch.')} on the device {device!r}"
    return None


def run_kernel(loop):
    """Runs a loop by the kernel of its equation; returns a `Run`."""
    equation = loop.equation
    sequences = equation.drop(loop.sequences.transpose(0, 1)).transpose(0, 1)
    outputs, states = _run(equation, sequences, loop.states, loop.mask)
    return Run(
        equation.readout(outputs), states, f"the kernel torch.{equation.name}, which computes what its cell does"
    )


def _run(equation, sequences, states, mask):
    name, weights, states = equation.name, _weights(equation), [state.to(sequences.dtype) for state in states]
    if mask is None:
        return _kernel(name, sequences, states, weights)
    counted = mask.cumsum(1)
    lengths = counted[:, -1]
    rows = lengths.argsort(descending=True)  # the longest first
    back = rows.argsort()
    sequences = sequences[rows[:, None], torch.argsort(~mask, stable=True)[rows]]
    if name in AFTER_THE_END:
        sequences, weights[0] = _marked_after_the_end(name, sequences, weights[0], lengths[rows])
    run = _packed if _packing_pays(name, sequences) else _in_stretches
    outputs, last = run(name, sequences, [state[rows] for state in states], weights, lengths[rows])
    outputs = outputs[back[:, None], (counted - 1).clamp(min=0)]
    outputs = torch.where(counted.unsqueeze(-1) > 0, outputs, torch.zeros_like(outputs))
    h = torch.where(lengths[:, None] > 0, outputs[:, -1], states[0])
    return outputs, [h, *(state[back] for state in last[1:])]


def _packing_pays(name, sequences):
    """Whether packed sequences, which leave out all padding, take less time: without gradients, but never an LSTM's.

    Measured on one core. A packed LSTM has a kernel of its own, 2 to 5 times slower; and going back through packed
    sequences takes, for each step, time for all steps: 20 times longer at 1,000 steps.
    """
    return name != "lstm" and sequences.device.type == "cpu" and not torch.is_grad_enabled()


def _packed(name, sequences, states, weights, lengths):
    packed = pack_padded_sequence(sequences, lengths.clamp(min=1), batch_first=True)  # of an empty row, one step
    has_bias, layers, dropout, training, bidirectional = len(weights) == 4, 1, 0.0, False, False
    options = (has_bias, layers, dropout, training, bidirectional)
    outputs, last = getattr(torch, name)(packed.data, packed.batch_sizes, states[0].unsqueeze(0), weights, *options)
    return pad_packed_sequence(PackedSequence(outputs, packed.batch_sizes), batch_first=True)[0], [last[0]]


def _in_stretches(name, sequences, states, weights, lengths):
    """Runs the kernel over one stretch of time after another, each with the rows that have steps left by then."""
    outputs, (batch, time) = [], sequences.shape[:2]
    stretches = _stretches(lengths.tolist(), time) if sequences.device.type == "cpu" else {batch: time}
    parts = sequences[:, : sum(stretches.values())].split(list(stretches.values()), 1)
    for count, part in zip(stretches, parts, strict=True):
        steps, last = _kernel(name, part[:count], [state[:count] for state in states], weights)
        states = [torch.cat([new, old[count:]]) for new, old in zip(last, states, strict=True)]
        outputs.append(torch.nn.functional.pad(steps, (0, 0, 0, 0, 0, batch - count)))
    return torch.cat(outputs, 1), states


def _stretches(lengths, time):
    """The steps of each stretch by the number of its rows, in their order: up to 4 stretches, rows in eighths.

    More stretches would cost more time than they save. A few numbers of rows recur from batch to batch, and PyTorch has
    everything prepared for them.
    """
    batch, steps, stretches = len(lengths), math.ceil(time / 4), Counter()
    eighth = math.ceil(batch / 8)
    for start in range(0, time, steps):
        left = sum(length > start for length in lengths)
        if left or not start:
            count = min(batch, eighth * max(1, math.ceil(left / eighth)))
            stretches[count] += min(steps, time - start)
    return stretches


def _weights(equation):
    """The weights as PyTorch has them: transposed, the gates in its order, two biases or none."""
    kernel, recurrent_kernel, bias = equation.weights()
    weights = [ops.convert_to_tensor(kernel).T, ops.convert_to_tensor(recurrent_kernel).T]
    if bias is not None:
        bias = ops.convert_to_tensor(bias)
        weights += bias.unbind() if bias.ndim == 2 else [bias, torch.zeros_like(bias)]
    if equation.gates == "zrh":
        weights = [torch.cat([r, z, h]) for z, r, h in (weight.chunk(3) for weight in weights)]
    return weights


def _kernel(name, sequences, states, weights):
    states = [state.unsqueeze(0) for state in states]
    has_bias, layers, dropout, bidirectional, batch_first = len(weights) == 4, 1, 0.0, False, True
    options = (has_bias, layers, dropout, torch.is_grad_enabled(), bidirectional, batch_first)
    outputs, *last = getattr(torch, name)(sequences, states if name == "lstm" else states[0], weights, *options)
    return outputs, [state[0] for state in last]


def _marked_after_the_end(name, sequences, kernel, lengths):
    """The sequences with one more feature, 1 after the last unmasked step, and the kernel with its weights."""
    after = torch.arange(sequences.shape[1], device=lengths.device) >= lengths[:, None]
    sequences = torch.cat([sequences, after.unsqueeze(-1).to(sequences.dtype)], -1)
    signs = torch.tensor(AFTER_THE_END[name], dtype=kernel.dtype, device=kernel.device)
    column = signs.repeat_interleave(len(kernel) // len(signs)) * min(1e19, torch.finfo(kernel.dtype).max / 4)
    return sequences, torch.cat([kernel, column.unsqueeze(-1)], -1)
