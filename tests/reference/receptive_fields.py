"""Which sites each site depends on, from the rules of the papers, in loops: slow, and independent of the package.

Features are sets of sites: a bool array `[H, W, groups, N]`, entry n of which says whether site n is in the set.

van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, section 3.4.
van den Oord et al. Conditional image generation with PixelCNN decoders. NIPS 2016, section 2.2 and figure 2.
Salimans et al. PixelCNN++. ICLR 2017, sections 2.3 and 2.4, figure 2.
"""

import numpy as np

from tests.reference.pixel_cnn import sees

Array = np.ndarray
Size = tuple[int, int]


def image(height: int, width: int, groups: int = 1) -> Array:
    """Each site is the set of itself."""
    num_sites = height * width * groups
    return np.eye(num_sites, dtype=bool).reshape(height, width, groups, num_sites)


def gather(x: Array, rows: range, columns: range, strides: int = 1) -> Array:
    """The union of the pixels at some offsets from each pixel; all groups see all groups."""
    height, width, groups, num_sites = x.shape
    out = np.zeros((-(-height // strides), -(-width // strides), groups, num_sites), bool)
    for i, j in np.ndindex(out.shape[:2]):
        for row in rows:
            for column in columns:
                r, c = strides * i + row, strides * j + column
                if 0 <= r < height and 0 <= c < width:
                    out[i, j] |= x[r, c].any(0)
    return out


def masked(x: Array, kernel_size: Size, mask: str) -> Array:
    """A masked convolution of PixelCNN."""
    height, width, groups, _ = x.shape
    out = np.zeros_like(x)
    for r, c, g_out, i, j, g_in in np.ndindex(height, width, groups, *kernel_size, groups):
        row, column = i - kernel_size[0] // 2, j - kernel_size[1] // 2
        inside = 0 <= r + row < height and 0 <= c + column < width
        if inside and sees(row, column, g_in, g_out, mask):
            out[r, c, g_out] |= x[r + row, c + column, g_in]
    return out


def pixel_cnn(x: Array, first: Size, kernel_size: Size, num_blocks: int) -> Array:
    """Of PixelCNN, `[N, N]`: a first convolution of mask A, blocks of mask B, and 1x1 convolutions of mask B."""
    x = masked(x, first, "A")
    for _ in range(num_blocks):
        x = x | masked(x, kernel_size, "B")
    return masked(x, (1, 1), "B").reshape(x.shape[-1], -1)


def gated_pixel_cnn(x: Array, first: Size, kernel_size: Size, num_blocks: int, condition: Array | None = None) -> Array:
    """Of Gated PixelCNN, `[N, N]`: the vertical stack sees whole rows of the kernel, the horizontal one the row before it.

    Both stacks of each block also see the entry of their pixel in a condition, a map of sets `[H, W, 1, N]`.
    """
    vertical, horizontal, skipped = x, x, np.zeros_like(x)
    for block in range(num_blocks + 1):
        rows, columns = kernel_size if block else first
        around = range(-(columns // 2), columns - columns // 2)
        vertical = gather(vertical, range(-(rows // 2), 1 if block else 0), around)
        vertical = vertical if condition is None else vertical | condition
        own = masked(horizontal, (1, columns), "B" if block else "A") | vertical
        skipped = skipped | masked(own, (1, 1), "B")
        horizontal = masked(own, (1, 1), "B") | (horizontal if block else False)
    return masked(skipped, (1, 1), "B").reshape(-1, x.shape[-1])


def expand(x: Array, rows: int, columns: range, size: Size) -> Array:
    """Each pixel contributes to the pixels of the larger image at and below twice its place."""
    out = np.zeros((*size, *x.shape[2:]), bool)
    for r, c in np.ndindex(x.shape[:2]):
        for row in range(rows):
            for column in columns:
                i, j = 2 * r + row, 2 * c + column
                if i < size[0] and 0 <= j < size[1]:
                    out[i, j] |= x[r, c]
    return out


def pixel_cnn_plus_plus(x: Array, kernel_size: Size, num_blocks: int, num_levels: int) -> Array:
    """Of PixelCNN++, `[N, N]`, sites being pixels."""
    rows, half = kernel_size[0], kernel_size[1] // 2
    above, left = (range(2 - rows, 1), range(-half, half + 1)), (range(-1, 1), range(-half, 1))
    vertical = gather(x, range(1 - rows, 0), range(-half, half + 1))
    horizontal = gather(x, range(-1, 0), range(-half, half + 1)) | gather(x, range(-1, 1), range(-half, 0))

    def block(v: Array, h: Array, old_v: Array | bool = False, old_h: Array | bool = False) -> tuple[Array, Array]:
        new = v | gather(gather(v, *above) | old_v, *above)
        return new, h | gather(gather(h, *left) | new | old_h, *left)

    def level(v: Array, h: Array, number: int) -> tuple[Array, Array]:
        passed = [(v, h)]
        for _ in range(num_blocks):
            passed.append(block(*passed[-1]))
        if number + 1 < num_levels:
            small = level(gather(passed[-1][0], *above, 2), gather(passed[-1][1], *left, 2), number + 1)
            v = expand(small[0], rows - 1, range(-half, half + 1), v.shape[:2])
            h = expand(small[1], 2, range(half + 1), h.shape[:2])
        else:
            v, h = passed.pop()
        while passed:
            v, h = block(v, h, *passed.pop())
        return v, h

    return level(vertical, horizontal, 0)[1].reshape(x.shape[-1], -1)
