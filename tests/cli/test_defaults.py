"""`edgeres.toml`: where it is found, what it sets, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.edgeres import CLIPS, REPOSITORY, edgeres, lines, sentence

FOUND = {"EDGERES_CONFIG": ""}  # as where it is not set
LEFT = '[listen]\nsources = ["demo:"]\nformat = "jsonl"\nthreshold = ["*=1.0", "left=0.5"]\n'


def labels(*arguments: str | Path, folder: Path, **env: str) -> set[str]:
    """The labels that `edgeres listen` hears."""
    told = lines(edgeres(*arguments, folder=folder, env={**FOUND, "XDG_CONFIG_HOME": str(folder / "config"), **env}))
    return {event["label"] for event in told}


def test_arguments_lists_and_texts_of_the_file_in_this_folder_are_defaults(tmp_path: Path) -> None:
    (tmp_path / "edgeres.toml").write_text(LEFT)
    assert labels("listen", folder=tmp_path) == {"left"}
    done = edgeres("listen", folder=tmp_path, env=FOUND)
    assert "edgeres: defaults from [listen] of edgeres.toml" in done.stderr.decode().splitlines()


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "edgeres.toml").write_text(LEFT)
    assert labels("listen", "--threshold", "*=1.0", "--threshold", "right=0.5", folder=tmp_path) == {"right"}
    assert labels("listen", CLIPS / "yes-0.flac", folder=tmp_path) == set()  # not the demo


def test_switches_numbers_and_paths(tmp_path: Path) -> None:
    text = '[listen]\nscores = true\nthreads = 2\nhealth-file = "health.json"\ngive_up = 3\nformat = "jsonl"\n'
    (tmp_path / "edgeres.toml").write_text(text)
    done = edgeres("listen", "demo:", folder=tmp_path, env=FOUND)
    assert any("scores" in line for line in lines(done))
    assert ", 2 threads" in done.stderr.decode()
    assert (tmp_path / "health.json").exists()


def test_a_named_file_goes_before_this_folders_and_that_before_the_users(tmp_path: Path) -> None:
    def with_label(path: Path, label: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(LEFT.replace("left", label))
        return path

    with_label(tmp_path / "config" / "edgeres" / "edgeres.toml", "up")
    assert labels("listen", folder=tmp_path) == {"up"}
    with_label(tmp_path / "edgeres.toml", "down")
    assert labels("listen", folder=tmp_path) == {"down"}
    named = with_label(tmp_path / "other.toml", "right")
    assert labels("listen", folder=tmp_path, EDGERES_CONFIG=str(named)) == {"right"}
    assert labels("--config", with_label(tmp_path / "one.toml", "go"), "listen", folder=tmp_path) == {"go"}
    with_none = edgeres("listen", "demo:", folder=tmp_path, env={"EDGERES_CONFIG": "/dev/null"})
    assert b"defaults from" not in with_none.stderr


def test_of_a_file_that_the_user_names_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[info]\njson = true\n")
    assert edgeres("--config", tmp_path / "a.toml", "info").stderr == b""


def test_a_table_is_its_commands_alone(tmp_path: Path) -> None:
    (tmp_path / "edgeres.toml").write_text('[record]\nthreads = "wrong, but of another command"\n[info]\njson = true\n')
    done = edgeres("info", folder=tmp_path, env=FOUND)
    assert lines(done)[0]["name"] == "default"


def test_a_required_option_may_stand_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "edgeres.toml").write_text('[record]\nfolder = "clips"\nlabel = "yes"\nsource = "none.wav"\n')
    done = edgeres("record", folder=tmp_path, env=FOUND)
    assert done.returncode == 3
    assert "none.wav" in done.stderr.decode()


def test_defaults_about_another_machine_do_not_ask_for_one(tmp_path: Path) -> None:
    (tmp_path / "edgeres.toml").write_text('[profile]\nssh = "ssh -p 2222"\ninstall = true\n')
    refused = edgeres("profile", "none.edgeres", folder=tmp_path, env=FOUND)
    assert "There is no bundle" in sentence(refused)
    assert "name it: --host" in sentence(edgeres("profile", "--ssh", "ssh -p 2222"))


def test_the_help_shows_the_files_defaults(tmp_path: Path) -> None:
    (tmp_path / "edgeres.toml").write_text('[listen]\nmodel = "mine.edgeres"\n')
    assert "[default: mine.edgeres]" in edgeres("listen", "--help", folder=tmp_path, env=FOUND).stdout.decode()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("= 1", "The defaults file a.toml is not TOML: "),
        ("[listen]\nmodel = '\xff'", "The defaults file a.toml is not TOML: 'utf-8' codec"),
        ('model = "x"', "a.toml: model stands outside of a table; move it below its command, such as [listen]."),
        ("[lisen]", "a.toml: [lisen] is not a command; use one of listen, record, "),
        ("[profile-row]", "a.toml: [profile-row] is not a command; "),
        (
            "[listen]\nmodle = 1",
            "a.toml: [listen] modle is not an option of this command; use one of channel, ",
        ),
        ("[listen]\nmodel = 1", "a.toml: [listen] model is 1, expected a string."),
        ("[listen]\nhealth-file = true", "a.toml: [listen] health-file is True, expected a string."),
        ("[listen]\nthreads = '2'", "a.toml: [listen] threads is '2', expected a whole number."),
        ("[listen]\nthreads = 2.5", "a.toml: [listen] threads is 2.5, expected a whole number."),
        ("[listen]\nthreads = true", "a.toml: [listen] threads is True, expected a whole number."),
        ("[listen]\nthreads = 1000", "a.toml: [listen] threads: 1000 is not in the range 1<=x<=256."),
        ("[listen]\ngive-up = nan", "a.toml: [listen] give-up: nan is not a number."),
        ("[listen]\nscores = 1", "a.toml: [listen] scores is 1, expected true or false."),
        ("[listen]\nmode = 'both'", "a.toml: [listen] mode is 'both', expected one of step, window."),
        ("[listen]\nthreshold = 'yes=1'", "a.toml: [listen] threshold is 'yes=1', expected a list, each a string."),
        ("[listen]\nsources = [1]", "a.toml: [listen] sources is 1, expected a string."),
        ("[listen.model]", "a.toml: [listen] model is {}, expected a string."),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence_with_the_file_and_the_key(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "a.toml").write_bytes(text.encode("latin-1"))
    done = edgeres("--config", "a.toml", "listen", "demo:", folder=tmp_path)
    assert done.returncode == 2
    assert sentence(done).startswith(told)


def test_the_file_in_the_docs_is_right(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "how-to" / "defaults.md").read_text(encoding="utf-8")
    (tmp_path / "a.toml").write_text(page.partition("```toml\n")[2].partition("```")[0])
    for name in ("listen", "profile"):
        done = edgeres("--config", "a.toml", name, "--help", folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    done = edgeres("--config", "none.toml", "listen", "demo:", folder=tmp_path)
    assert done.returncode == 2
    assert sentence(done) == "The defaults file none.toml cannot be read: No such file or directory."
