"""Long memory: episodes of a stream on disk, written by one, read by many."""

from memory_bank.episodes.moment import Moment, Sighting
from memory_bank.episodes.policies import EpisodeConfig
from memory_bank.episodes.reader import EpisodeReader
from memory_bank.episodes.writer import EpisodeMemory

__all__ = ["EpisodeConfig", "EpisodeMemory", "EpisodeReader", "Moment", "Sighting"]
