"""Lossless codecs of images, in bits per dimension: `python -m benchmarks.peers.codecs` prints those of the test patches.

Patches are small, and a file's header weighs as much as some patches do. So each codec is measured twice: a file a patch, and
sheets of many patches, one below the other, where headers weigh nothing and a codec may learn from the patches before.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

SHEET_PATCHES = 500
FORMATS: dict[str, dict[str, Any]] = {
    "PNG": {"format": "PNG", "optimize": True},
    "WebP": {"format": "WEBP", "lossless": True, "quality": 100, "method": 6},
    "JPEG XL": {"format": "JXL", "lossless": True, "effort": 7},
}


def bits_per_dim(images: np.ndarray) -> dict[str, float]:
    """Bits per dimension of images `[N, H, W, 3]` of whole numbers, by codec and how the patches were filed.

    JPEG XL is measured where `pillow-jxl-plugin` is installed. Its license is GPL-3.0-or-later, so neither tfar nor its
    extras depend on it; install it yourself to measure JPEG XL.
    """
    images = np.asarray(images, np.uint8)
    sheets = [np.concatenate(list(part)) for part in np.array_split(images, -(-len(images) // SHEET_PATCHES))]
    found = {}
    for name, options in FORMATS.items():
        if not available(name):
            continue
        for label, files in (("a file a patch", list(images)), ("sheets", sheets)):
            size = sum(len(encoded(file, options)) for file in files)
            found[f"{name}, {label}"] = round(8.0 * size / images.size, 4)
    return found


def available(name: str) -> bool:
    """Whether a codec can be used."""
    if name != "JPEG XL":
        return True
    try:
        import pillow_jxl  # noqa: F401
    except ImportError:
        return False
    return True


def encoded(image: np.ndarray, options: dict[str, Any]) -> bytes:
    """The file of one image `[H, W, 3]`."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, **options)
    return buffer.getvalue()


def main() -> int:
    """Prints what each codec needs."""
    from benchmarks import data

    images = data.load("photo_patches_32").test.reshape(-1, 32, 32, 3)
    for name, bits in bits_per_dim(images).items():
        print(f"{name}: {bits:.4f} bits per dimension")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
