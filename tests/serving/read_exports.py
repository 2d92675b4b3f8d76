"""Reads exports in a process of its own, with neither tfar nor TFP, and writes what their signatures give.

    python read_exports.py cpp|python|tflite jobs.json

A job has the paths `saved_model` and `tflite`; `signatures`, which maps a name to its inputs and its output, each a
name with the tensor that it is in the SavedModel; `inputs`, an npz with an array for `batch/input`; `runs`, pairs of a
signature and a batch; and `outputs`, the npz to write: `signature/batch` for the only output of a signature,
`signature/batch/output` for each of several, or `error/signature/batch` for what failed.
"""

import json
import sys

import numpy as np


def cpp(job):
    import savedmodel_runtime

    model = savedmodel_runtime.SavedModel(savedmodel_runtime.library(), job["saved_model"])

    def run(signature, inputs):
        names = job["signatures"][signature]
        feeds = {names["inputs"][key]: value for key, value in inputs.items()}
        return {key: model.run(feeds, output) for key, output in names["outputs"].items()}

    return run


def python(job):
    import tensorflow as tf

    model = tf.saved_model.load(job["saved_model"])

    def run(signature, inputs):
        outputs = model.signatures[signature](**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: output.numpy() for key, output in outputs.items()}

    return run


def tflite(job):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=job["tflite"])

    def run(signature, inputs):
        outputs = interpreter.get_signature_runner(signature)(**inputs)
        return {key: np.array(output) for key, output in outputs.items()}

    return run


def read(load, job):
    inputs, outputs = dict(np.load(job["inputs"])), {}
    try:
        run = load(job)
    except Exception as error:
        run = failing(error)
    for signature, batch in job["runs"]:
        given = {name: inputs[f"{batch}/{name}"] for name in job["signatures"][signature]["inputs"]}
        try:
            found = run(signature, given)
            for name, output in found.items():
                outputs[f"{signature}/{batch}" + (f"/{name}" if len(found) > 1 else "")] = output
        except Exception as error:
            outputs[f"error/{signature}/{batch}"] = np.array(str(error))
    np.savez(job["outputs"], **outputs)


def failing(error):
    def run(signature, inputs):
        raise error

    return run


def main():
    runtime, path = sys.argv[1:]
    with open(path) as file:
        jobs = json.load(file)
    for job in jobs:
        read({"cpp": cpp, "python": python, "tflite": tflite}[runtime], job)
    strangers = {"tfar", "tensorflow_probability", "keras"} & set(sys.modules) - (
        {"keras"} if runtime == "python" else set()
    )
    if strangers or (runtime != "python" and "tensorflow" in sys.modules):
        sys.exit(f"An export needs no {strangers or 'tensorflow'}; it was imported.")


if __name__ == "__main__":
    main()
