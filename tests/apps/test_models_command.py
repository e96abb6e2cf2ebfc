import argparse

import pytest

from apps import models_command
from streamvos.errors import InputError
from streamvos.models import catalogue


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMVOS_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens there


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="streamvos")
    models_command.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["models", *arguments])
    return args.run(args)


def test_list_shows_every_entry(capsys):
    assert run("list") == 0
    out = capsys.readouterr().out
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert set(catalogue.ENTRIES) <= set(rows)
    assert "yes" in rows["efficientnet-lite0"] and "18.8 MB" in rows["efficientnet-lite0"]
    assert "no" in rows["sam-hq-vit-tiny"].split()
    assert rows["sam-hq-vit-tiny"].endswith("streamvos models fetch sam-hq-vit-tiny")


def test_verify_what_is_here(capsys):
    assert run("verify", "efficientnet-lite0") == 0
    assert "efficientnet-lite0: ok" in capsys.readouterr().out


def test_verify_what_is_not_here(capsys):
    assert run("verify", "sam-hq-vit-b", "efficientnet-lite0") == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and "streamvos models fetch sam-hq-vit-b" in captured.err
    assert "efficientnet-lite0: ok" in captured.out, "one that is missing does not hide the others"


def test_fetch_without_a_network(capsys):
    assert run("fetch", "sam-hq-vit-tiny") == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "try again with: streamvos models fetch sam-hq-vit-tiny" in err


def test_unknown_name():
    with pytest.raises(InputError, match="did you mean 'edgetam'"):
        run("fetch", "edgetm")
