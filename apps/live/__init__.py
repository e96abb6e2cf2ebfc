"""The live demo: a page on which a video plays while it is processed, is pointed at and asked about.

One `Player` for each page runs the same `record` loop as `streamvos run`, fed through a `Gate` that a person opens and
closes. Gradio makes the page and its forms; pictures, state and clicks go through one websocket beside it
(`connection.py`), because a frame through Gradio's queue is a file written and fetched.
"""
