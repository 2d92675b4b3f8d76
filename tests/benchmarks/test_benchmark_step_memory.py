"""The memory of train steps: what is counted, what is measured, and the table."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import tfar
from benchmarks import machine, results, step_memory


def source(tensor):
    """The tensor whose memory a tensor shares."""
    while tensor.op.type == "Reshape":
        tensor = tensor.op.inputs[0]
    return tensor


def kept_numbers(dist, batch_size=7):
    """Numbers a pixel that the gradients take of the forward pass, counted in the graph."""

    @tf.function
    def count(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(dist.training_loss(x, seed=0))
        graph = tf.compat.v1.get_default_graph()
        forward = {op.name for op in graph.get_operations()}
        tape.gradient(loss, dist.trainable_variables)
        backward = [op for op in graph.get_operations() if op.name not in forward and "Shape" not in op.type]
        taken = {source(t).ref() for op in backward for t in op.inputs if t.op.name in forward}
        features = [t for t in (ref.deref() for ref in taken) if t.dtype == tf.float32 and t.shape.rank]
        return tf.add_n([tf.size(t) for t in features if t.shape[0] == batch_size])

    x = np.zeros([batch_size, *dist.event_shape], np.float32)
    if dist.network.awaits_data:
        dist.initialize(x)
    return int(count(x)) / x.size


@pytest.mark.parametrize(
    ("make", "formula", "sizes"),
    [
        (tfar.PixelCNN, step_memory.pixel_cnn_numbers, {"filters": 16, "num_blocks": 5, "output_filters": [8, 8]}),
        (
            tfar.GatedPixelCNN,
            step_memory.gated_pixel_cnn_numbers,
            {"filters": 16, "num_blocks": 5, "output_filters": [8]},
        ),
        pytest.param(
            tfar.PixelCNNPlusPlus,
            step_memory.pixel_cnn_plus_plus_numbers,
            {"filters": 16, "num_blocks": 2, "num_levels": 2},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_formulas_count_what_the_graph_keeps(make, formula, sizes):
    image = [20, 20, 1] if make is tfar.PixelCNNPlusPlus else [20, 20]
    counted = kept_numbers(make(image, **sizes))
    assert formula(**sizes) == pytest.approx(counted, rel=0.15)


def test_measured_here_and_the_table(monkeypatch, tmp_path, capsys):
    asked = []

    def measure(case, batch_size, mode):
        asked.append((case.name, batch_size, mode))
        return {"peak_mib": 500.0 + 3.0 * batch_size, "built_mib": 400.0}

    monkeypatch.setattr(step_memory, "measure", measure)
    monkeypatch.setattr(step_memory, "assigned_mib", lambda case, batch_size: 10.0 + 2.0 * batch_size)
    assert step_memory.main(["--case", "pixel-cnn-7x64", "--json", str(tmp_path)]) == 0
    assert asked == [("pixel-cnn-7x64", size, mode) for mode in ("XLA", "tf.function") for size in (1, 16)]
    assert "| PixelCNN 7 x 64 | 16 | XLA | 548 | 400 | 3,072 | 42 | 2,048 | 3,822 |" in capsys.readouterr().out
    (path,) = tmp_path.glob("*.json")
    result = results.read(path)
    assert path.name == "memory-pixel-cnn-7x64.json"
    assert result.figures["modes"]["XLA"]["one_row_peak_mib"] == 503.0
    assert str(tmp_path) not in json.dumps(result.command)


@pytest.mark.slow(ci=True)
def test_a_process_measures_its_own_steps(monkeypatch):
    monkeypatch.setattr(
        step_memory.machine, "set_tensorflow_threads", lambda: None
    )  # TensorFlow may have started already
    found = step_memory.measure_here(step_memory.QUICK, 2, "tf.function")
    assert found["peak_mib"] > 100 and found["built_mib"] > 100


@pytest.mark.skipif(
    not pathlib.Path("/proc/self/clear_refs").exists(), reason="only Linux lets a process forget its peak"
)
def test_a_peak_can_be_forgotten():
    machine.forget_peak_memory()  # that of the tests before, which may lie far above what is resident now
    before = machine.peak_memory_mib()
    taken = np.ones(2**26)
    assert machine.peak_memory_mib() > before + 300
    del taken
    machine.forget_peak_memory()
    assert machine.peak_memory_mib() < before + 300


def test_the_buffers_are_those_of_the_largest_dump(monkeypatch):
    def measure(case, batch_size, mode, *, xla_flags):
        folder = pathlib.Path(xla_flags.split("--xla_dump_to=")[1].split()[0])
        for number, size in enumerate((3, 7)):
            name = f"module_{number}.a_inference_one_step_on_data_1.cpu_after_optimizations-buffer-assignment.txt"
            (folder / name).write_text(f"BufferAssignment:\nTotal bytes used: {size * 2**20} (?MiB)\n")

    monkeypatch.setattr(step_memory, "measure", measure)
    assert step_memory.assigned_mib(step_memory.QUICK, 4) == 7.0
    monkeypatch.setattr(step_memory, "measure", lambda *args, **kwargs: None)
    with pytest.raises(RuntimeError, match="Expected XLA to dump its buffers of quick"):
        step_memory.assigned_mib(step_memory.QUICK, 4)
    with pytest.raises(RuntimeError, match="Expected a line 'Total bytes used"):
        step_memory.total_bytes("BufferAssignment:")


@pytest.mark.slow
def test_xla_dumps_its_buffers():
    assert 0.01 < step_memory.assigned_mib(step_memory.QUICK, 4) < 50


def test_a_process_that_fails_says_why():
    case = dataclasses.replace(step_memory.QUICK, name="unknown")
    with pytest.raises(RuntimeError, match="No memory figure for unknown: KeyError: 'unknown'"):
        step_memory.measure(case, 1, "XLA")


def test_unknown_cases_are_errors():
    with pytest.raises(ValueError, match="Expected a case out of"):
        step_memory.main(["--case", "pixel-cnn"])
