"""Laws: the mathematics of a distribution on flat batches."""
