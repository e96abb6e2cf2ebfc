"""Helpers of the detect stage: parts of a frame that are looked at once more, and which of them are worth it."""
