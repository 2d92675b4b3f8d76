"""Generates audio with an exported WaveNet, chunk by chunk: through TF Serving or in this process with LiteRT.

    python export/generate_audio.py --rest localhost:8501 --model speech --rate 8000 --out speech.wav
    python export/generate_audio.py --grpc localhost:8500 --model speech --rate 8000 --out speech.wav
    python export/generate_audio.py --tflite speech.tflite --rate 8000 --out speech.wav

The signature `start` gives the state before the first sample, and each call of `step_chunk` takes the state, draws the next
samples and returns the new state, so any length needs constant memory and the server keeps nothing. Equal seeds give equal audio.
With `--encoding mu-law` the model is over mu-law levels, with `--encoding pcm` over 16-bit samples. `--condition` is an .npz
file of the conditional inputs of `start`, an array `[1, ...]` for each. Over REST the state travels as JSON, which is larger and
slower than over gRPC.
"""

import argparse
import math
import sys
import wave
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from command_line import positive, reason, row_seeds
from numpy.typing import NDArray

ENCODINGS = ("mu-law", "pcm")
PREFIX = "state_"


class Client(Protocol):
    """Runs a signature of a model: `RestClient`, `GrpcClient` or `LiteRT`."""

    def predict(self, inputs: Mapping[str, Any], signature: str) -> Any: ...


class LiteRT:
    """Runs the signatures of a .tflite file in this process.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(path))

    def predict(self, inputs: Mapping[str, Any], signature: str) -> dict[str, NDArray]:
        """Returns the outputs of a signature by their names."""
        return self._interpreter.get_signature_runner(signature)(**inputs)


def stream(client: Client, seed: int, condition: Mapping[str, NDArray] | None = None) -> Iterator[NDArray[np.float32]]:
    """Yields chunks of one sequence, `[k]`, without an end.

    Args:
        client: what runs the signatures.
        seed: int. Equal seeds give equal sequences.
        condition: None, or the conditional inputs of `start`, each with a batch of one.
    """
    seeds, previous, index = row_seeds(seed, 1), np.zeros([1], np.float32), 0
    state = client.predict({"seed": seeds, **(condition or {})}, "start")
    while True:
        inputs = {**state, "index": np.full([1], index, np.int32), "previous": previous, "seed": seeds}
        drawn = client.predict(inputs, "step_chunk")
        chunk = drawn["value"]
        yield chunk[0]
        state = {name: value for name, value in drawn.items() if name.startswith(PREFIX)}
        previous, index = chunk[:, -1], index + chunk.shape[1]


def pcm(values: NDArray, encoding: str) -> NDArray[np.int16]:
    """Returns 16-bit samples from mu-law levels 0 .. 255, or from values that are 16-bit samples already."""
    if encoding == "mu-law":
        companded = 2.0 * values / 255.0 - 1.0
        values = 32768.0 * np.sign(companded) * np.expm1(np.abs(companded) * np.log(256.0)) / 255.0
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)


def write_wav(path: Path, samples: NDArray[np.int16], rate: int) -> None:
    """Writes a wav file of one channel. The file gets its name after it is complete."""
    part = path.with_name(f".{path.name}.part")
    with wave.open(str(part), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    part.replace(path)


def generate(
    client: Client, num_samples: int, seed: int, condition: Mapping[str, NDArray] | None
) -> NDArray[np.float32]:
    """Returns the first values of a stream, `[num_samples]`.

    Raises:
        ValueError: If a value is NaN, as after the end of a condition of frames.
    """
    chunks: list[NDArray[np.float32]] = []
    for chunk in stream(client, seed, condition):
        chunks.append(chunk)
        if sum(map(len, chunks)) >= num_samples:
            break
    values = np.concatenate(chunks)[:num_samples]
    if np.isnan(values).any():
        known = int(np.argmax(np.isnan(values)))  # the first NaN
        raise ValueError(
            f"Expected {num_samples} samples; received {known}, then NaN. Do the frames cover the time asked for?"
        )
    return values


def client_of(arguments: argparse.Namespace) -> Client:
    """Returns the client that the arguments name."""
    if arguments.tflite is not None:
        return LiteRT(arguments.tflite)
    if arguments.grpc is not None:
        from grpc_client import GrpcClient

        return GrpcClient(arguments.grpc, arguments.model)
    from rest_client import RestClient

    return RestClient(arguments.rest, arguments.model)


def main() -> None:
    """Runs the command line. An error is one line and exit status 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--rest", metavar="HOST:PORT", help="REST interface of TF Serving")
    where.add_argument("--grpc", metavar="HOST:PORT", help="gRPC interface of TF Serving")
    where.add_argument("--tflite", type=Path, metavar="FILE", help="a .tflite file, run in this process")
    parser.add_argument("--model", default="speech", help="name of the served model (default: speech)")
    parser.add_argument("--rate", type=positive, required=True, help="samples per second")
    parser.add_argument("--seconds", type=float, default=1.0, help="length (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="equal seeds give equal audio")
    parser.add_argument("--condition", type=Path, help=".npz file of the conditional inputs")
    parser.add_argument("--encoding", choices=ENCODINGS, default="mu-law", help="what the values are (default: mu-law)")
    parser.add_argument("--out", type=Path, required=True, help="wav file to write")
    arguments = parser.parse_args()
    try:
        condition = None if arguments.condition is None else dict(np.load(arguments.condition))
        num_samples = math.ceil(arguments.seconds * arguments.rate)
        values = generate(client_of(arguments), num_samples, arguments.seed, condition)
        write_wav(arguments.out, pcm(values, arguments.encoding), arguments.rate)
    except Exception as error:
        sys.exit(reason(error))
    print(f"Wrote {num_samples:,} samples to {arguments.out}.")


if __name__ == "__main__":
    main()
