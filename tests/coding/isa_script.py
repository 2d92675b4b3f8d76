"""Decodes an archive and prints the SHA-256 of the logits of some rows, one by one and together: FOLDER."""

import hashlib
import pathlib
import sys

import numpy as np

import tfar

folder = pathlib.Path(sys.argv[1])
dist, rows = tfar.load(folder / "frozen.keras"), np.load(folder / "rows.npy")
together = dist.conditionals(rows).params.numpy()
for number in range(3):
    assert np.array_equal(dist.conditionals(rows[number : number + 1]).params.numpy()[0], together[number])
for chunk_rows in (1, 64):
    assert np.array_equal(tfar.coding.decompress(dist, (folder / f"{chunk_rows}.tfar").read_bytes()), rows)
print(hashlib.sha256(together.tobytes()).hexdigest(), hashlib.sha256(tfar.coding.compress(dist, rows)).hexdigest())
