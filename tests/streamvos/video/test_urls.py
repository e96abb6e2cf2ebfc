"""No secret of a URL is shown, however it is written; what is no secret stays readable."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from streamvos.errors import InputError
from streamvos.video.sources import open_source
from streamvos.video.urls import expand_environment, mask_secrets, name_of, scheme_of

ODD = " /?#@:%&=;[]\\+'\"{}|^~ü\t"
FRONT, BACK = "hushfront", "hushback"  # the two halves of a secret


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"U+{ord(odd):04X}")
@pytest.mark.parametrize(
    "form",
    [
        "rtsp://me:{}@127.0.0.1:9/live",
        "rtsp://{}:word@127.0.0.1:9/live",
        "rtsp://me:{}@127.0.0.1:9",
        "http://127.0.0.1:9/a.m3u8?token={}",
        "http://127.0.0.1:9/a.m3u8?size=3;sig={}&more=1",
        "http://127.0.0.1:9/a.m3u8#{}",
        "rtmp://me:{}@127.0.0.1:9/live",
        "rtsp:me:{}@127.0.0.1:9/live",
    ],
)
def test_a_secret_with_odd_letters_is_shown_nowhere(form: str, odd: str) -> None:
    for secret in (FRONT + odd + BACK, FRONT + quote(odd, safe="") + BACK):
        url = form.format(secret)
        said = [mask_secrets(url), name_of(url)]
        with pytest.raises(InputError) as caught:
            open_source(url)
        said.append(str(caught.value))
        assert not [text for text in said if FRONT in text or BACK in text], said


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("rtsp://cam.local:554/user=admin&password=hush&channel=1", "rtsp://cam.local:554/user=***&password=***&channel=1"),
        ("rtsp://cam.local/user=admin_password=hush_channel=1.sdp", "rtsp://cam.local/user=***"),
        ("rtsp://cam.local/live/access_token%3Dhush/1", "rtsp://cam.local/live/access_token%3D***/1"),
        ("https://host/live?hush", "https://host/live?***"),
        ("https://host/live?a%3Dhush", "https://host/live?a=***"),
        ("rtsp://me%3Ahush%40host/live", "rtsp://***@host/live"),
        ("rtsp://[hush:me@host/live", "rtsp://***@host/live"),
        ("https://host/@channel/clip.mp4", "https://host/@channel/clip.mp4"),
        ("https://host/monkey=3/clip.mp4", "https://host/monkey=3/clip.mp4"),
        ("rtsp://[::1]:8554/cam", "rtsp://[::1]:8554/cam"),
        ("rtsp://***@host/live?a=***", "rtsp://***@host/live?a=***"),
    ],
)  # fmt: skip
def test_what_is_masked_and_what_stays(url: str, masked: str) -> None:
    assert mask_secrets(url) == masked


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rtsp://me:hush@Cam.local:554/live.m3u8?token=1", "cam.local_live"),
        ("rtsp://me:hu/sh@cam.local/live", "cam.local_live"),
        ("https://host:8080", "host"),
        ("rtsp://[::1]:8554/a/b/cam", "1_cam"),
    ],
)
def test_names(url: str, name: str) -> None:
    assert name_of(url) == name


@pytest.mark.parametrize(
    "url", ["rtsp://me:hu/sh@host/live", "rtsp://[hush:me@host/live", "rtsp://me:hu\uff0fsh@host/"]
)
def test_a_url_that_cannot_be_read_says_how_to_write_the_password(url: str) -> None:
    with pytest.raises(InputError, match="in a password write / as %2F"):
        open_source(url)


def test_a_password_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "hu/sh")
    monkeypatch.setenv("PORT", "8554")
    assert scheme_of("rtsp://host:${PORT}/live") == "rtsp"
    assert expand_environment("rtsp://host:${PORT}/live") == "rtsp://host:8554/live"
    with pytest.raises(InputError, match=r"rtsp://\*\*\*@host/live.*in a password write / as %2F"):
        expand_environment("rtsp://me:${WORD}@host/live")
