"""StreamVOS: streaming video perception with bounded memory."""
