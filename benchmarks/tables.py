"""Writes docs/benchmarks.md from the last results of each benchmark. No figure in it is typed by hand.

python benchmarks/tables.py
"""

import json
import statistics
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "benchmarks" / "results"
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def main():
    PAGE.write_text(page(), encoding="utf-8")


def page():
    sections = [introduction, recurrent, padded_batches, many_models, word2vec, decoding, sequences, crf, entities]
    sections += [columns, int8, gpu]
    return "\n".join(filter(None, (section() for section in sections)))


def introduction():
    return """\
# Benchmarks

This page is generated: `make tables` writes it from `benchmarks/results/`, where each benchmark stores its last run
with the machine and the versions of the libraries. `make bench` measures again; each script says at its top what is
timed and how. Contenders take turns in one process, and every ratio was measured within one run. Above 1, rnnkit is
faster.
"""


# ---------------------------------------------------------------------------------------------------- recurrent layers


def recurrent():
    rows = results("recurrent_tensorflow")["rows"]
    drop_ins, others = layers_with_masks(rows), layers_without_masks(rows)
    ratios = [row["ratio"] for row in rows if row["layer"] in drop_ins]
    memory = results("recurrent_tensorflow")["peak_megabytes"]
    return f"""\
## Recurrent layers against Keras's

{ran("recurrent.py", "recurrent_tensorflow")}

How many times as fast as `keras.layers.LSTM`, `GRU` and `SimpleRNN` ours are with the same weights: one batch inside
`model.fit` and `model.predict`. The first number is for rows without padding, the second for rows padded on the right.

{speed_table(rows, drop_ins)}
The smallest of these {len(ratios)} ratios is {min(ratios):.2f}, the largest {max(ratios):.1f}.

The same cell in `layers.Recurrent` and in `keras.layers.RNN`, without padding. The custom cell is the minimal gated
unit of the script:

{speed_table(rows, others)}
All backends, as the geometric mean (smallest to largest) over the shapes and masks. On PyTorch, `torch.nn` gets packed
sequences where rows are padded:

{summary_table()}
Training an LSTM at 32 × 1000 × 64 × 128 adds {memory["rnnkit"]} MB to the peak memory of the process, compiling
included; with Keras it adds {memory["keras"]} MB.

How each backend runs the loop:

- **TensorFlow.** The loop over time and the loop backward are one program each, compiled by XLA, for any cell;
  `layer.explain()` says whether that ran. For rnnkit's cells, both halves of a batch run at the same time, because such
  a loop keeps only one core busy. The gain is largest where a step is small; where a step is large, both libraries are
  close to what the processor's matrix products can do. Where the number of steps is not known in advance, as with
  batches of different lengths, TensorFlow's own loop runs, as it does in Keras: one program per length would cost more
  than it gains in a short training.
- **JAX.** The loop backward is written by hand in the same way. Where nothing asks for gradients, the inputs are
  projected a few megabytes at a time, or step by step where a cell reads them in parts, as the GRU does: projecting
  them all at once needs fresh memory in each call, which takes longer than the product itself. XLA compiles nearly the
  same loop from Keras's layers, which is why inference gains little.
- **PyTorch.** Its own kernels run. What inference loses to `torch.nn` is mostly what Keras does around a call and, with
  a mask, moving the unmasked steps to the front of their rows, which allows masks of any shape.
"""


def layers_with_masks(rows):
    return list(dict.fromkeys(row["layer"] for row in rows if row["mask"]))


def layers_without_masks(rows):
    return [layer for layer in dict.fromkeys(row["layer"] for row in rows) if layer not in layers_with_masks(rows)]


def speed_table(rows, layers):
    """One line per shape: the ratios of training and of inference of each layer, without and with a mask."""
    works = ("training", "inference")
    header = [f"{layer_name(layer)}: {works[0]} | {works[1]}" for layer in layers]
    lines = []
    for shape in distinct(rows, "shape"):
        cells = [ratios(only(rows, layer=layer, shape=shape, work=work)) for layer in layers for work in works]
        lines.append([times(shape), *cells])
    return table(["batch × time × features × units", *header], lines)


def summary_table():
    lines = []
    for backend, name in BACKENDS.items():
        rows = results(f"recurrent_{backend}")["rows"]
        for layer, contender in dict.fromkeys((row["layer"], row["contender"]) for row in rows):
            cells = [f"{name}: {layer_name(layer)}", "Keras" if contender == "keras" else contender]
            for work in ("training", "inference"):
                found = [row["ratio"] for row in only(rows, layer=layer, contender=contender, work=work)]
                cells.append(f"{statistics.geometric_mean(found):.1f} ({min(found):.2f} to {max(found):.1f})")
            lines.append(cells)
    return table(["", "against", "training", "inference"], lines)


def layer_name(layer):
    return "custom cell" if layer == "own cell" else layer


def padded_batches():
    found = results("padded_batches")
    lines = []
    for row in found["rows"]:
        step, whole = row["milliseconds"], row["seconds_of_three_epochs"]
        ratio = f"{step['keras'] / step['rnnkit']:.2f}"
        seconds = [f"{whole[library]:.1f}" for library in ("rnnkit", "keras")]
        lines.append([row["layer"], f"{step['rnnkit']:.1f}", f"{step['keras']:.1f}", ratio, *seconds])
    heads = [
        "",
        "step, rnnkit (ms)",
        "step, Keras (ms)",
        "times as fast",
        "3 epochs, rnnkit (s)",
        "3 epochs, Keras (s)",
    ]
    return f"""\
## Batches padded to their own length

{ran("padded_batches.py", "padded_batches")}

How text is trained: the time axis is unknown, and each batch of 32 rows is as long as its longest row, 20 to 60
steps (64 features, 64 units, with a mask). One step of `model.fit` (medians), and the first three epochs of
{found["batches"]} batches as a whole, with all tracing and compiling. The compiled loop serves all lengths with one
program for each of the lengths 16, 64, 128, 256 and so on that occurs, and takes no step in the padding. What compiling
costs, a training of some hundred steps does not earn back; longer ones do.

{table(heads, lines)}"""


def many_models():
    if not (RESULTS / "many_models.json").is_file():
        return ""
    found = results("many_models")
    lines = [[row["layer"], f"{row['rnnkit']:.2f}", f"{row['keras']:.2f}"] for row in found["rows"]]
    return f"""\
## Models that come and go

{ran("many_models.py", "many_models")}

{found["models"]} models of as many sizes, one after the other: each is built, compiled, fitted, asked for
predictions and deleted. What a model leaves behind in the memory of the process, in MB:

{table(["", "rnnkit", "Keras"], lines)}"""


# ------------------------------------------------------------------------------------------------------------ word2vec


def word2vec():
    found = results("word2vec")
    larger, added = found["larger_text"], found["megabytes_added_by_training"]
    sizes = found["rnnkit_words_per_second_by_words_of_the_text"]
    speeds = [[f"{int(size):,}", *(f"{sizes[name][size]:,.0f}" for name in sizes)] for size in sizes["CBOW"]]
    memory, subwords, small = results("word2vec_memory"), results("word2vec_subwords"), results("word2vec_small")
    megabytes = [
        [row["library"], f"{row['million_words']} million", f"{row['added_megabytes']:.0f}"] for row in memory["rows"]
    ]
    return f"""\
## word2vec against gensim

{ran("word2vec.py", "word2vec")}

106 Wikipedia articles, {found["epochs"]} epochs, {found["seeds"]} seeds, each library with two threads:
the whole `fit`, in words of the corpus per second (medians), and the scores of gensim's own evaluation (means, gensim /
rnnkit). CBOW appears twice: against gensim with its own first learning rate (0.025), and with the 0.05 that rnnkit and
word2vec.c use.

{word2vec_table(found["results"])}
The same on {larger["copies"]} copies of the text, {larger["epochs"]} epochs:

{word2vec_table(larger["results"])}
gensim with two workers gives different vectors on each run; rnnkit gives the same ones, bit for bit. Its words per
second by the size of the text, in equal epochs:

{table(["words in the text", *sizes], speeds)}
With sub-words of 3 to 6 letters, against gensim's FastText, in {subwords["epochs"]} epochs, {subwords["seeds"]} seeds
(`python benchmarks/word2vec.py --subwords`):

{word2vec_table(subwords["results"])}
Small vocabularies whose similarities are known; the scores are Spearman's rho, the median of {small["texts"]} texts
(`python benchmarks/word2vec_small.py`). rnnkit takes smaller batches there, which costs speed:

{small_table(small["rows"])}
A text may be larger than memory: it is read once for the vocabulary and once per epoch. What training CBOW with
{memory["dimensions"]} dimensions adds to the memory of a process that has loaded both libraries
(`python benchmarks/word2vec_memory.py`):

{table(["", "words", "MB"], megabytes)}
Skip-gram on the articles adds {added["rnnkit"]:.0f} MB, gensim's {added["gensim"]:.0f} MB:
each of rnnkit's two threads has its own blocks to work in.
"""


def small_table(rows):
    lines = []
    for row in rows:
        scores, speeds = (
            [statistics.median(run[what] for run in row[library]) for library in ("gensim", "rnnkit")]
            for what in ("rho", "words_per_second")
        )
        cells = [f"{score:.3f}" for score in scores] + [f"{speeds[1] / speeds[0]:.2f}"]
        lines.append([f"{row['words']:,}", row["setting"], *cells])
    return table(["words", "", "rho of gensim", "rho of rnnkit", "words per second, ratio"], lines)


def word2vec_table(found):
    libraries = ("gensim", "rnnkit")
    lines = []
    for name, runs in found.items():
        speed = {library: statistics.median(run["words_per_second"] for run in runs[library]) for library in libraries}
        scores = [
            " / ".join(f"{statistics.mean(run[score] for run in runs[library]):.3f}" for library in libraries)
            for score in ("wordsim353_rho", "analogies")
        ]
        speeds = [f"{speed[library]:,.0f}" for library in libraries]
        lines.append([name, *speeds, f"{speed['rnnkit'] / speed['gensim']:.2f}", *scores])
    return table(["", *libraries, "ratio of medians", "WordSim-353 rho", "analogies"], lines)


# ------------------------------------------------------------------------------------------------- decoding, sequences


def decoding():
    rows = results("decoding")["rows"]
    batches = distinct(rows, "batch")
    lines = []
    for name in distinct(rows, "contender"):
        of_name = [only(rows, contender=name, batch=batch)[0] for batch in batches]
        cells = [cell for row in of_name for cell in (f"{1000 * row['seconds']:,.1f}", f"{row['ratio']:.2f}")]
        lines.append([name, *cells])
    header = [cell for batch in batches for cell in (f"{batch} row{'s' if batch > 1 else ''}, ms", "ratio")]
    return f"""\
## Decoding against a loop over predict

{ran("decoding.py", "decoding")}

An LSTM of 256 units writes 100 of 1,000 tokens, alone or with attention to a memory of 30; medians. The ratios are to
greedy search with the same decoder, or, where a beam search is controlled, to the one that is not: here, smaller is
faster.

{table(["", *header], lines)}"""


def sequences():
    sounds, sentences = results("pronunciations"), results("translation")
    phonemes, words = (f"{100 * sounds[f'{kind} error rate']:.1f} %" for kind in ("phoneme", "word"))
    return f"""\
## Pronunciations and translations

{ran("pronunciations.py", "pronunciations")}

The model of lesson 07, trained for {minutes(sounds)} on {sounds["words learned"]:,} words of the pronunciation
dictionary. On {sounds["words tested"]:,} words that it has not seen, {phonemes} of the phonemes and {words} of the
words are wrong.

{ran("translation.py your-pairs.tsv", "translation")}

The same model on your own pairs of sentences. The last run learned {sentences["pairs learned"]:,} pairs of
`{sentences["file"]}` in {minutes(sentences)};
its BLEU on {sentences["sentences tested"]:,} other sentences is {sentences["BLEU"]:.1f}.
"""


def minutes(result):
    return f"{result['seconds of training'] / 60:.0f} minutes"


# ------------------------------------------------------------------------------------------------------ CRF, entities


def crf():
    rows = results("crf")["rows"]
    backends, works = ("torch", "tensorflow"), ("training", "decoding")
    lines = [
        [
            times(shape),
            *(ratios(only(rows, shape=shape, backend=backend, work=work)) for backend in backends for work in works),
        ]
        for shape in distinct(rows, "shape")
    ]
    header = [f"{BACKENDS[backend]}: {works[0]} | {works[1]}" for backend in backends]
    return f"""\
## The CRF against pytorch-crf

{ran("crf.py", "crf")}

How many times as fast as pytorch-crf rnnkit is, for rows without padding / rows padded on the right. A training step is
the likelihood and its gradients. pytorch-crf always runs on PyTorch.

{table(["batch × time × tags", *header], lines)}"""


def entities():
    found = results("ner")
    seeds = max(len(row["each"]) for row in found["rows"])
    lines = []
    for row in found["rows"]:
        spread = f"{min(row['each']):.1f} to {max(row['each']):.1f}" if len(row["each"]) > 1 else ""
        lines.append([row["contender"], f"{row['F1']:.1f}", spread, f"{row['seconds']:.1f}"])
    return f"""\
## Named entities against sklearn-crfsuite

{ran("ner.py", "ner")}

F1 of whole entities in the last {found["sentences tested"]} sentences of Wikigold,
learned from the first {found["sentences learned"]:,} without any vectors from outside;
{seeds} seeds for the networks, and the seconds of the median run. sklearn-crfsuite has the features of its tutorial.

{table(["", "F1", "seeds", "seconds"], lines)}"""


def columns():
    found = results("columns")
    lines = [[row["reader"], f"{row['seconds']:.1f}", f"{row['added_megabytes']:,.0f}"] for row in found["rows"]]
    return f"""\
## Files in columns against a plain reader

{ran("columns.py", "columns")}

Reading {found["megabytes"]} MB, {found["tokens"]:,} tokens in {found["sentences"]:,} sentences: medians of the seconds,
and what it adds to the peak memory of the process. The plain reader splits lines at white space, and loses or mixes up
what ours keeps or refuses. Equal tokens are one string in ours, which saves memory; `iter_conll` reads a megabyte at a
time.

{table(["", "seconds", "MB"], lines)}"""


def int8():
    found = results("int8")
    lines = [
        [
            row["stage"],
            f"{row['F1']:.1f}",
            f"{min(row['each']):.1f} to {max(row['each']):.1f}",
            f"{row['LSTMs']:.0f}",
            f"{row['file']:,.0f}",
        ]
        for row in found["rows"]
    ]
    return f"""\
## A tagger in eight bits

{ran("int8.py", "int8")}

F1 of whole entities in {found["sentences tested"]} sentences of lesson 08's corpus, learned from
{found["sentences learned"]:,}, before and after `model.quantize("int8")`; {len(found["rows"][0]["each"])} seeds. Sizes
are in kilobytes: the weights of both LSTMs, and the file of the whole model, most of which is embeddings.

{table(["", "F1", "seeds", "LSTMs", "file"], lines)}"""


def gpu():
    return """\
## GPUs

`benchmarks/gpu.py` is for GPUs. It has not been run on one, and there is no table.
"""


# -------------------------------------------------------------------------------------------------------------- helpers


def results(benchmark):
    return json.loads((RESULTS / f"{benchmark}.json").read_text(encoding="utf-8"))


def ran(command, benchmark):
    """The line on how a benchmark was run last: command, machine, versions, rounds."""
    found = results(benchmark)
    about = dict(found["machine"])
    processor, cores = about.pop("processor"), about.pop("cores")
    versions = ", ".join(f"{name} {version}" for name, version in about.items())
    rounds = f", {found['rounds']} rounds" if "rounds" in found else ""
    return f"`python benchmarks/{command}`: {processor}, {cores} cores{rounds}; {versions}."


def distinct(rows, key):
    return list({json.dumps(row[key]): row[key] for row in rows}.values())


def only(rows, **values):
    return [row for row in rows if all(row[key] == value for key, value in values.items())]


def ratios(rows):
    """The ratios without and with a mask."""
    return " / ".join(f"{row['ratio']:.1f}" for row in sorted(rows, key=lambda row: row["mask"]))


def times(shape):
    return " × ".join(map(str, shape))


def table(header, lines):
    columns = " | ".join(header).count("|") + 1
    lines = [" | ".join(cells) for cells in [header, ["---"] * columns, *lines]]
    return "".join(f"| {line} |\n" for line in lines)


if __name__ == "__main__":
    main()
