"""Draws the pictures of the documentation from the masks of real models: `python docs/figures.py [FOLDER]`.

The pictures are committed in `docs/figures`. They depend only on the masks, the orders and the seeds below.
"""

import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

import tfar

FOLDER = pathlib.Path(__file__).parent / "figures"
DPI = 110
DEPENDS, NOT, ITSELF, UNSEEN = "#1f2a44", "#f4f1ea", "#d1495b", "#eda63a"

Panel = tuple[str, NDArray[np.bool_]]


def save(figure: Figure, folder: pathlib.Path, name: str) -> None:
    """Writes a picture without the version of the program that made it."""
    figure.savefig(folder / f"{name}.png", dpi=DPI, metadata={"Software": None}, bbox_inches="tight", pad_inches=0.08)


def new_figure(panels: int, side: float = 2.6) -> tuple[Figure, Any]:
    """Returns a figure with square panels side by side."""
    figure = Figure(figsize=(side * panels + 0.5, side + 0.5), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, panels, squeeze=False)[0]


def matrices(
    folder: pathlib.Path, name: str, panels: Sequence[Panel], across: str = "site j", down: str = "parameters of site i"
) -> None:
    """Draws bool matrices: entry (i, j) is dark if the parameters of site i depend on site j."""
    figure, axes = new_figure(len(panels))
    for ax, (title, matrix) in zip(axes, panels, strict=True):
        rows, columns = matrix.shape
        kinds = np.where(np.eye(rows, columns, columns - rows, dtype=bool), 2, matrix.astype(int))
        draw_cells(ax, kinds, title)
        ax.set_xlabel(across, fontsize=8)
    axes[0].set_ylabel(down, fontsize=8)
    save(figure, folder, name)


def draw_cells(ax: Any, kinds: NDArray[np.int64], title: str) -> None:
    """Draws one matrix with lines between its cells. Kinds: 0 no dependence, 1 dependence, 2 the site itself, 3 out of reach."""
    rows, columns = kinds.shape
    ax.imshow(kinds, cmap=ListedColormap([NOT, DEPENDS, ITSELF, UNSEEN]), vmin=0, vmax=3, interpolation="nearest")
    ax.set_title(title, fontsize=9)
    ax.set_xticks(range(0, columns, max(1, columns // 8)))
    ax.set_yticks(range(0, rows, max(1, rows // 8)))
    ax.tick_params(labelsize=7, length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if max(rows, columns) <= 30:
        ax.hlines(np.arange(rows + 1) - 0.5, -0.5, columns - 0.5, colors="white", linewidth=1)
        ax.vlines(np.arange(columns + 1) - 0.5, -0.5, rows - 0.5, colors="white", linewidth=1)


def numbers(folder: pathlib.Path, name: str, panels: Sequence[tuple[str, NDArray[np.int64]]]) -> None:
    """Draws grids of numbers, the earliest steps lightest."""
    figure, axes = new_figure(len(panels), 2.2)
    for ax, (title, grid) in zip(axes, panels, strict=True):
        ax.imshow(grid, cmap="Blues", vmin=0, vmax=1.8 * max(grid.max(), 1))
        ax.set_title(title, fontsize=9)
        ax.set_axis_off()
        for (row, column), number in np.ndenumerate(grid):
            ax.text(column, row, str(number), ha="center", va="center", fontsize=9)
    save(figure, folder, name)


# Concepts ------------------------------------------------------------------------------------------------------------


def draw_orders(folder: pathlib.Path) -> None:
    """Three orders of the same MADE."""
    panels = []
    for order in ("natural", "reverse", "random"):
        network = tfar.MADE([8], [32], order=order, seed=1).network
        label = "" if order == "natural" else " ".join(map(str, network.orders[0]))
        panels.append((f'order "{order}"' + (f": {label}" if order == "random" else ""), network.influences()))
    matrices(folder, "orders", panels)


def draw_schedules(folder: pathlib.Path) -> None:
    """The step that decides each site of an image of 4 x 4 pixels."""
    made = tfar.MADE([4, 4], [32], order="random", seed=0)
    pixels = tfar.PixelCNN([4, 4], filters=4, num_blocks=1)
    factorized = tfar.Factorized([4, 4])
    panels = [
        (title, dist.network.step_of_site[0].reshape(4, 4))
        for title, dist in (("PixelCNN: 16 steps", pixels), ("MADE, random order: 16 steps", made))
    ]
    panels.append(("Factorized: one step", factorized.network.step_of_site[0].reshape(4, 4)))
    numbers(folder, "schedules", panels)


def draw_members(folder: pathlib.Path) -> None:
    """The members of an ensemble."""
    network = tfar.MADE([8], [32], order="random", num_masks=3, seed=0).network
    matrices(folder, "members", [(f"member {k}", network.influences(member=k)) for k in range(3)])


def draw_complete(folder: pathlib.Path) -> None:
    """Which sites a completion depends on: an order that puts the observed sites first."""
    dist = tfar.OrderlessNADE([8], [16], seed=0)
    observed = np.array([0, 1, 1, 0, 0, 1, 0, 0], bool)
    own = dist.with_orders(1).law.orders[0]
    first = np.concatenate([own[observed[own]], own[~observed[own]]])
    panels = [
        ("order of the model: " + " ".join(map(str, own)), dist.network.influences(order=own)),
        ("1, 2, 5 observed: " + " ".join(map(str, first)), dist.network.influences(order=first)),
    ]
    matrices(folder, "complete", panels)


# Models --------------------------------------------------------------------------------------------------------------


def draw_made(folder: pathlib.Path) -> None:
    """Masks of few and of many hidden units, and another order."""
    few = tfar.MADE([12], [8], direct_connections=False, degrees="random", seed=2).network
    many = tfar.MADE([12], [64]).network
    other = tfar.MADE([12], [64], order="random", seed=2).network
    panels = [
        ("8 hidden units, no direct connections", few.influences()),
        ("64 hidden units", many.influences()),
        ("64 hidden units, a random order", other.influences()),
    ]
    matrices(folder, "made", panels)


def draw_nade(folder: pathlib.Path) -> None:
    """Every site depends on all earlier ones."""
    panels = [
        ("natural order", tfar.NADE([12], 16).network.influences()),
        ("a random order", tfar.NADE([12], 16, order="random", seed=2).network.influences()),
    ]
    matrices(folder, "nade", panels)
    matrices(folder, "rnade", [("RNADE, natural order", tfar.RNADE([12], 16).network.influences())])


def draw_doc_nade(folder: pathlib.Path) -> None:
    """Every word depends on all earlier ones."""
    matrices(folder, "doc_nade", [("DocNADE", tfar.DocNADE(4, 4, max_length=12).network.influences())])


def draw_recurrent_texts(folder: pathlib.Path) -> None:
    """Every word depends on all earlier ones, in a text and in a document of sentences."""
    text = tfar.RecurrentLanguageModel(4, 12, units=4, embedding_dim=4)
    matrices(folder, "recurrent_text", [("RecurrentLanguageModel", text.network.influences())])
    document = tfar.HierarchicalAutoencoder(4, max_sentences=3, max_words=4, units=4, embedding_dim=4)
    panels = [("HierarchicalAutoencoder, 3 sentences of 4 words", document.network.influences())]
    matrices(folder, "hierarchical_autoencoder", panels)


def draw_darn(folder: pathlib.Path) -> None:
    """The layers of the prior, and the steps of the encoder."""
    dist = tfar.DARN([12], [8, 4])
    panels = [("prior of 8 and 4 bits", dist.prior.network.influences())]
    panels.append(("encoder of 8 and 4 bits", dist.encoder.network.influences()))
    panels.append(("event given a latent", dist.decoder.network.influences()))
    matrices(folder, "darn", panels)


def draw_wavenet(folder: pathlib.Path) -> None:
    """The receptive fields of one and of two stacks."""
    arguments = {"num_layers": 3, "kernel_size": 2, "head": tfar.heads.Categorical(4)}
    panels = [
        (title, tfar.WaveNet([24], 4, skip_filters=4, num_stacks=count, **arguments).network.influences())
        for title, count in (("one stack of dilations 1, 2, 4", 1), ("two stacks", 2))
    ]
    matrices(folder, "wavenet", panels)


def draw_orderless_nade(folder: pathlib.Path) -> None:
    """One network under three orders."""
    dist = tfar.OrderlessNADE([12], [16], num_orders=3, seed=0)
    orders = dist.law.orders
    matrices(
        folder,
        "orderless_nade",
        [(f"order {k}", dist.network.influences(order=order)) for k, order in enumerate(orders)],
    )


def draw_any_order_transformer(folder: pathlib.Path) -> None:
    """The order of the model, that of a completion, and a random one."""
    network, known = tfar.AnyOrderTransformer([12], 8, num_layers=1, num_heads=2).network, [1, 4, 5, 9]
    orders = {
        "the order of the model": range(12),
        "sites 1, 4, 5 and 9 are observed": [*known, *(site for site in range(12) if site not in known)],
        "a random order": np.random.default_rng(0).permutation(12),
    }
    panels = [(title, network.influences(order=np.array(order))) for title, order in orders.items()]
    matrices(folder, "any_order_transformer", panels)


def draw_cf_nade(folder: pathlib.Path) -> None:
    """The natural order, and one that puts the rated items first."""
    network, rated = tfar.CFNADE(12, 16).network, [1, 4, 5, 9]
    order = [*rated, *(item for item in range(12) if item not in rated)]
    panels = [
        ("natural order", network.influences()),
        ("items 1, 4, 5 and 9 are rated", network.influences(order=order)),
    ]
    matrices(folder, "cf_nade", panels, "item j", "parameters of item i")


def draw_conv_nade(folder: pathlib.Path) -> None:
    """The pixels that one pixel depends on, with and without the fully connected branch."""
    arguments = {"filters": [4, 4], "kernel_sizes": [3, 3], "seed": 0}
    order = tfar.orders.random(144, seed=0)
    site = int(order[100])  # after 100 others
    earlier = np.isin(np.arange(144), order[:100])
    panels = []
    for title, units in (("convolutions alone", None), ("with the dense branch", [16])):
        network = tfar.ConvNADE([12, 12], hidden_units=units, **arguments).network
        seen = network.influences([site], order=order)[0]
        kinds = np.where(seen, 1, np.where(earlier, 3, 0))
        kinds[site] = 2
        panels.append((title, kinds.reshape(12, 12)))
    figure, axes = new_figure(2)
    for ax, (title, kinds) in zip(axes, panels, strict=True):
        draw_cells(ax, kinds, title)
    save(figure, folder, "conv_nade")


def draw_pixel_cnns(folder: pathlib.Path) -> None:
    """Receptive fields of the models over images."""
    shape, pixel = [15, 15], {"row": 9, "column": 6}
    arguments = {"filters": 4, "num_blocks": 3, "first_kernel_size": 3, "kernel_size": 3}
    plain, gated = tfar.PixelCNN(shape, **arguments), tfar.GatedPixelCNN(shape, **arguments)
    plus = tfar.PixelCNNPlusPlus([15, 15, 1], filters=4, num_blocks=1, num_levels=1)
    levels = tfar.PixelCNNPlusPlus([15, 15, 1], filters=4, num_blocks=1, num_levels=3)
    field = tfar.plots.receptive_field
    field({"PixelCNN": plain}, **pixel, path=folder / "pixel_cnn.png")
    field({"PixelCNN": plain, "GatedPixelCNN": gated}, **pixel, path=folder / "gated_pixel_cnn.png")
    field({"1 level": plus, "3 levels": levels}, **pixel, path=folder / "pixel_cnn_plus_plus.png")
    row = tfar.RowLSTM(shape, filters=4, num_layers=2, first_kernel_size=3)
    field({"RowLSTM, 2 layers": row}, **pixel, path=folder / "row_lstm.png")
    sizes = {"filters": 4, "first_kernel_size": 3}
    diagonal, open_spot = (
        tfar.DiagonalBiLSTM(shape, **sizes),
        tfar.DiagonalBiLSTM(shape, close_blind_spot=False, **sizes),
    )
    panels = {"close_blind_spot=False": open_spot, "DiagonalBiLSTM": diagonal}
    field(panels, **pixel, path=folder / "diagonal_bilstm.png")
    near, far = (tfar.SpatialLSTM(shape, units=4, num_layers=count) for count in (0, 1))
    field({"num_layers=0": near, "SpatialLSTM": far}, **pixel, path=folder / "spatial_lstm.png")
    colour = tfar.PixelCNN([7, 7, 3], filters=6, num_blocks=1, first_kernel_size=5)
    field({"green": colour}, row=3, column=3, channel=1, path=folder / "pixel_cnn_colour.png")


def draw_multiscale(folder: pathlib.Path) -> None:
    """The step that decides each pixel, at once and in patches."""
    panels = []
    for title, how in (
        ("upscaling A: 10 steps", {}),
        ("upscaling B, patches of 2 x 1", {"upscaling": "B", "patch_size": (2, 1)}),
    ):
        dist = tfar.MultiscalePixelCNN([8, 8], 4, base_size=2, num_blocks=1, **how)
        panels.append((title, dist.network.step_of_site[0].reshape(8, 8)))
    numbers(folder, "multiscale_pixel_cnn", panels)


def draw_video(folder: pathlib.Path) -> None:
    """The pixels of three frames that a pixel of the last one depends on, and those of its frame with two stacks."""
    site, frames = 2 * 225 + 7 * 15 + 7, {}
    for decoder in ("multiplicative", "gated"):
        dist = tfar.VideoPixelNetwork(
            [3, 15, 15],
            filters=2,
            num_encoder_blocks=0,
            num_decoder_blocks=2,
            first_kernel_size=3,
            decoder=decoder,
        )
        kinds = dist.network.influences([site])[0].astype(int)
        kinds[site] = 2
        frames[decoder] = kinds.reshape(3, 15, 15)
    panels = [*zip(("frame 1", "frame 2", "frame 3"), frames["multiplicative"], strict=True)]
    panels.append(("frame 3, two stacks", frames["gated"][2]))
    figure, axes = new_figure(4)
    for ax, (title, frame) in zip(axes, panels, strict=True):
        draw_cells(ax, frame, title)
    save(figure, folder, "video_pixel_network")


def draw_others(folder: pathlib.Path) -> None:
    """The models without a paper of their own in this table."""
    matrices(folder, "factorized", [("Factorized", tfar.Factorized([12]).network.influences())])
    degrees, hidden = [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5] * 2
    network = keras.Sequential(
        [
            keras.Input([6]),
            tfar.layers.MaskedDense(10, in_degrees=degrees, out_degrees=hidden, activation="relu"),
            tfar.layers.MaskedDense(6, in_degrees=hidden, out_degrees=degrees, strict=True),
        ]
    )
    own = tfar.Autoregressive(network, tfar.heads.Bernoulli(), event_shape=[6])
    measured = jacobian(own)
    panels = [("order of the sites", own.network.influences()), ("derivatives that are not 0", measured)]
    matrices(folder, "autoregressive", panels)
    decoder = tfar.MADE([8], [32], conditional_shape=[3], seed=0)
    joint = np.concatenate([jacobian(decoder, of_condition=True), decoder.network.influences()], axis=1)
    matrices(folder, "latent_variable", [("latents 0-2, then sites", joint)], across="latent or site j")
    sizes = {"filters": 4, "num_blocks": 0, "first_kernel_size": 3, "encoder_filters": [4], "output_filters": [4]}
    decoder = tfar.PixelVAE([4, 4], 3, **sizes).decoder
    joint = np.concatenate([jacobian(decoder, of_condition=True), decoder.network.influences()], axis=1)
    matrices(
        folder, "pixel_vae", [("latents 0-2, then the pixels of an image of 4 x 4", joint)], across="latent or site j"
    )
    decoder = tfar.SentenceVAE(4, 8, 3, units=4, embedding_dim=4).decoder
    joint = np.concatenate([jacobian(decoder, of_condition=True), decoder.network.influences()], axis=1)
    matrices(folder, "sentence_vae", [("latents 0-2, then the words of a text", joint)], across="latent or word j")


def jacobian(dist: tfar.Autoregressive, of_condition: bool = False) -> NDArray[np.bool_]:
    """Returns which parameters change with which sites, or entries of the condition, by differentiation for random weights."""
    for number, variable in enumerate(dist.trainable_variables):
        variable.assign(np.random.default_rng(number).uniform(0.1, 1.0, variable.shape))
    inputs = [tf.Variable(tf.ones([1, *dist.event_shape]))]
    if dist.conditional_shape is not None:
        inputs.append(tf.Variable(tf.ones([1, *dist.conditional_shape])))
    with tf.GradientTape() as tape:
        params = dist.network(*inputs)[0, :, 0]
    return tape.jacobian(params, inputs[-1 if of_condition else 0])[:, 0].numpy() != 0.0


DRAWINGS = (
    draw_orders,
    draw_schedules,
    draw_members,
    draw_complete,
    draw_made,
    draw_nade,
    draw_doc_nade,
    draw_recurrent_texts,
    draw_darn,
    draw_wavenet,
    draw_orderless_nade,
    draw_any_order_transformer,
    draw_cf_nade,
    draw_conv_nade,
    draw_pixel_cnns,
    draw_multiscale,
    draw_video,
    draw_others,
)


def main(folder: pathlib.Path = FOLDER) -> None:
    """Draws all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for draw in DRAWINGS:
        draw(folder)


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
