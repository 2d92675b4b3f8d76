"""Writes the next version of a trained model where a server looks for it, and a TFLite file if asked.

python export/export_model.py made.keras models/made
"""

import argparse
from pathlib import Path

import tfar


def main() -> None:
    """Exports what the command line names and prints the paths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a .keras file that tfar saved")
    parser.add_argument("base_path", type=Path, help="folder of all versions, which the server watches")
    parser.add_argument("--version", type=int, help="number of the version (default: one more than the highest)")
    parser.add_argument("--tflite", type=Path, help="a .tflite file to write besides")
    arguments = parser.parse_args()
    dist = tfar.load(arguments.model)
    print(tfar.serving.export_saved_model(dist, arguments.base_path, arguments.version))
    if arguments.tflite is not None:
        print(tfar.serving.export_tflite(dist, arguments.tflite))


if __name__ == "__main__":
    main()
