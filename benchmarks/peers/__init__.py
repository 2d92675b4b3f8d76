"""What others offer for the same models, each built as its own documentation says."""
