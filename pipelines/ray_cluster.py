"""The Ray cluster that a graph runs on: one on this machine, or one that is already there."""

from __future__ import annotations

import logging
import os
import signal
import threading

from streamvos.errors import InputError

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_worker_niceness", "0")  # Ray lets its processes yield to all others, our reader included

import ray  # noqa: E402  (reads the variables above when it is imported)

_OBJECT_STORE_BYTES = 512 * 1024 * 1024


class Cluster:
    """Starts or joins Ray when it is first needed; leaves alone what another part of the program started.

    Args:
        address: of a running cluster, such as "10.0.0.5:6379" or "auto"; None starts one on this machine, which
            listens on loopback only.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = address
        self._started = False

    @property
    def is_own(self) -> bool:
        """True where nobody else uses the cluster, so that its CPUs need not be reserved."""
        return self.address is None

    def start(self) -> None:
        """Connect, unless this process is connected already."""
        if ray.is_initialized():
            return
        handlers = {}
        if threading.current_thread() is threading.main_thread():
            handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if self.address is None:
                ray.init(
                    address="local",
                    include_dashboard=False,
                    object_store_memory=_OBJECT_STORE_BYTES,
                    _node_ip_address="127.0.0.1",
                    **quiet,
                )
            else:
                ray.init(address=self.address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = "on this machine" if self.address is None else f"at {self.address!r}"
            reason = " ".join(str(error).split())[:300]
            raise InputError(f"Ray cannot be reached {where} ({reason}); --runner local works without it") from error
        finally:
            for number, handler in handlers.items():  # Ray puts its own in place
                signal.signal(number, handler)
        self._started = True

    def resources(self) -> dict[str, float]:
        """What the cluster has in all, such as {"CPU": 2.0}."""
        return ray.cluster_resources()

    def close(self) -> None:
        """Leave the cluster, and end it where it was started here."""
        if self._started:
            self._started = False
            ray.shutdown()
