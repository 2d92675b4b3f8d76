"""Laws: the mathematics of a distribution on flat batches, in plain operations."""

from tfar.laws.autoregressive import AutoregressiveLaw

__all__ = ["AutoregressiveLaw"]
