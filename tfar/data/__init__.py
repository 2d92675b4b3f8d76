"""Data sets: named sets and files."""

from tfar.data.audio import AudioSplits, from_audio
from tfar.data.audio_chunks import AudioChunks
from tfar.data.dequantized import dequantize
from tfar.data.files import from_files
from tfar.data.load import load, names
from tfar.data.mu_law import inverse_mu_law, mu_law
from tfar.data.recordings import signal_of, write_audio
from tfar.data.rows import FileRows, open_rows
from tfar.data.splits import DataSplits
from tfar.data.text_batches import DocumentBatches
from tfar.data.text_rows import TextRows, open_texts
from tfar.data.texts import TextSplits, from_texts
from tfar.data.vocabulary import Vocabulary

__all__ = [
    "AudioChunks",
    "AudioSplits",
    "DataSplits",
    "DocumentBatches",
    "FileRows",
    "TextRows",
    "TextSplits",
    "Vocabulary",
    "dequantize",
    "from_audio",
    "from_files",
    "from_texts",
    "inverse_mu_law",
    "load",
    "mu_law",
    "names",
    "open_rows",
    "open_texts",
    "signal_of",
    "write_audio",
]
