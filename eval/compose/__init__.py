"""The composed benchmark: cut-outs moved through real backgrounds, with exact truth for everything that is drawn."""
