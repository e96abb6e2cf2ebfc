"""The flags of the command line that do what a message of the library advises.

The library speaks of arguments and settings, as one who writes Python knows them.
"""

from __future__ import annotations

FLAGS = {
    "overwrite=True": "--overwrite",
    "resume=True": "--resume",
    "discover=True": "--discover",
    "leave out images=True": "leave out --images",
    "start_s: ": "--start: ",
    "end_s: ": "--end: ",
    "fps: ": "--fps: ",
    "runner='local'": "--runner local",
    "device='auto'": "--device auto",
    "(setting size)": "(--size)",
    "leave out the address": "leave out --address",
    "give prompts": "give prompts (--prompts, --first-mask, --box or --point)",
}


def name_flags(message: str) -> str:
    """The message with the flags in place of the arguments that they set."""
    for argument, flag in FLAGS.items():
        message = message.replace(argument, flag)
    return message
