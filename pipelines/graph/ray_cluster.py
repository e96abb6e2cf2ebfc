"""The Ray cluster that a graph runs on: one on this machine, or one that is already there."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from streamvos.errors import InputError

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_worker_niceness", "0")  # Ray lets its processes yield to all others, our reader included

import ray  # noqa: E402  (reads the variables above when it is imported)
from ray._private import ray_constants  # noqa: E402
from ray.job_config import JobConfig  # noqa: E402

_PACKAGES = Path(__file__).resolve().parents[2]  # the folder that holds ours
_CONNECT_S = 5.0
_OBJECT_STORE_BYTES = 512 * 1024 * 1024


class _WorkerPath(list[str]):
    """Where the processes of the graph import from: our own packages alone.

    Ray puts the folders of the calling script and of the terminal in front of everything else, and a `pipelines` or
    `numpy.py` of the user's own there would be taken for ours.
    """

    def extend(self, paths: Iterable[str]) -> None:
        """Leave out what Ray adds."""


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

    def check(self) -> None:
        """Raise `InputError` where nothing listens at the address; Ray itself would try for minutes."""
        if self.address is None or self.address == "auto":
            return
        host, colon, port = self.address.removeprefix("ray://").rpartition(":")
        if not colon or not port.isdecimal():
            raise InputError(f"address {self.address!r}: expected HOST:PORT of a Ray cluster, or auto")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
        except (OSError, OverflowError) as error:
            raise InputError(
                f"no Ray cluster answers at {self.address!r} ({error}); leave out the address to start one here"
            ) from None

    def start(self) -> None:
        """Connect, unless this process is connected already."""
        if ray.is_initialized():
            return
        self.check()
        handlers = {}
        if threading.current_thread() is threading.main_thread():
            handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        if not (self.address or "").startswith("ray://"):  # a client's job is made by the server
            quiet["job_config"] = JobConfig(_py_driver_sys_path=_WorkerPath([str(_PACKAGES)]))
        try:
            if self.address is None:
                with _loopback_only():
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
            message = f"Ray cannot be reached {where} ({_reason(error)}); runner='local' works without it"
            raise InputError(message) from error
        except OSError as error:
            raise InputError(
                f"Ray cannot start here ({_reason(error)}): it needs folders that it can write, with short names; set "
                "RAY_TMPDIR to one, and HOME where yours cannot be written; or take runner='local', which needs neither"
            ) from error
        except Exception as error:
            if type(error) is not Exception:  # Ray raises a bare one where one of its processes does not start
                raise
            raise InputError(f"Ray cannot start here ({_reason(error)}); runner='local' works without it") from error
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


@contextmanager
def _loopback_only() -> Iterator[None]:
    """Let Ray start without a port that other machines can reach.

    On Linux it replaces 127.0.0.1 by the machine's own address and listens on all interfaces; what keeps it from
    that elsewhere (macOS, Windows) is this switch, read from the variable by every process that it starts.
    """
    before, variable = ray_constants.ENABLE_RAY_CLUSTER, ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    kept = os.environ.get(variable)
    ray_constants.ENABLE_RAY_CLUSTER = False
    os.environ[variable] = "0"
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        os.environ.pop(variable)
        if kept is not None:
            os.environ[variable] = kept


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
