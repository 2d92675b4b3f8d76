"""Exports the next version of a trained model for a server, and optionally a TFLite file.

python export/export_model.py made.keras models/made
"""

import argparse
from pathlib import Path

import tfar


def main() -> None:
    """Exports the model of the command line and prints the paths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help=".keras file that tfar saved")
    parser.add_argument("base_path", type=Path, help="folder of all versions that the server watches")
    parser.add_argument("--version", type=int, help="number of the version (default: one more than the highest)")
    parser.add_argument("--tflite", type=Path, help=".tflite file to write as well")
    arguments = parser.parse_args()
    dist = tfar.load(arguments.model)
    print(tfar.serving.export_saved_model(dist, arguments.base_path, arguments.version))
    if arguments.tflite is not None:
        print(tfar.serving.export_tflite(dist, arguments.tflite))


if __name__ == "__main__":
    main()
