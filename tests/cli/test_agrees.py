"""What an option does on the command line, a keyword does in Python: both build the same configuration.

tests/support/forms.py has each option and argument of each command as words and as keywords. One that is added to a command,
and a keyword or field that is added to its form in Python, fails until the other has it too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from tests.support.forms import FORMS, PRINTING, WITHOUT_FORM, names_of
from vsr import api
from vsr.backends.tensorrt.store import EngineStore
from vsr.cli.app import vsr
from vsr.live.session import Session
from vsr.training import trainer
from vsr.training.config import TrainConfig


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Generator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield " ".join(path), command
    if not isinstance(command, click.Group):
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from leaves(child, (*path, name))


COMMANDS = dict(leaves(vsr))


class Reached(BaseException):
    """The work would begin here. Not an Exception: nothing on the way catches it."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What the functions that do the work were asked to do; none does any."""
    monkeypatch.chdir(tmp_path)
    told: list[Any] = []

    def stand_in(function: Callable[..., object], *, goes_on: bool = False) -> Callable[..., object]:
        signature = inspect.signature(function)

        def record(*args: Any, **kwargs: Any) -> object:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            told.append(
                (function.__qualname__, {name: plain(value) for name, value in bound.arguments.items()})
            )
            if goes_on:
                return SimpleNamespace(as_dict=dict)
            raise Reached

        return record

    for name in "demo find_model export_model export_onnx import_model build_engine verify_engine".split():
        monkeypatch.setattr(api, name, stand_in(getattr(api, name)))
    for name in "probe preview".split():
        monkeypatch.setattr(api, name, stand_in(getattr(api, name), goes_on=True))
    for name in "evaluate compare try_out benchmark tune read_bench_result".split():
        monkeypatch.setattr(api, name, stand_in(getattr(api, name)))
    for name in "list_jobs find_job export_job remove_jobs".split():
        monkeypatch.setattr(api, name, stand_in(getattr(api, name)))
    many = stand_in(api.upscale_many)
    monkeypatch.setattr(api, "upscale_many", many)
    monkeypatch.setattr("vsr.jobs.many.upscale_many", many)
    monkeypatch.setattr(trainer, "train", stand_in(trainer.train))
    for kind, method in (
        (Session, "__init__"),
        (EngineStore, "manifests"),
        (EngineStore, "named"),
        (EngineStore, "key"),
    ):
        monkeypatch.setattr(kind, method, stand_in(getattr(kind, method)))
    return told


def plain(value: Any) -> Any:
    """The part of an argument that is compared: no callbacks, and of an object only its fields."""
    if callable(value) or isinstance(value, api.JobControl | Session):
        return None
    if isinstance(value, EngineStore):
        return value.folder
    if isinstance(value, TrainConfig):
        left_out = FORMS["train"].python_own
        return {name: getattr(value, name) for name in names_of(TrainConfig) - left_out.keys()}
    return value


def reached(asked: list[Any], call: Callable[[], object]) -> list[Any]:
    asked.clear()
    with suppress(Reached):
        call()
    assert asked, "no work was reached"
    return list(asked)


def on_the_command_line(command: str, *words: str) -> Callable[[], object]:
    line = [*command.split(), *(word for part in words for word in part.split())]
    return lambda: vsr.main(args=line, prog_name="vsr", standalone_mode=False)


def test_every_command_has_a_form_in_python_or_a_reason() -> None:
    assert COMMANDS.keys() == FORMS.keys() | WITHOUT_FORM.keys()


@pytest.mark.parametrize("command", FORMS)
def test_every_option_has_a_keyword_and_every_keyword_an_option(command: str) -> None:
    form = FORMS[command]
    options = {parameter.name for parameter in COMMANDS[command].params} - PRINTING
    cases = {name.partition(",")[0] for name in form.cases}
    assert options == cases | (form.own.keys() & options)
    keywords = {name for case in form.cases.values() for name in case.keywords}
    assert form.offers == keywords | form.keywords.keys() | form.python_own.keys()


@pytest.mark.parametrize(
    ("command", "option"), [(command, option) for command, form in FORMS.items() for option in form.cases]
)
def test_both_build_the_same(command: str, option: str, asked: list[Any]) -> None:
    form = FORMS[command]
    case = form.cases[option]
    words, keywords = case.base or (form.words, form.keywords)
    by_words = reached(asked, on_the_command_line(command, words, case.words))
    by_keywords = reached(asked, lambda: form.python(**{**keywords, **case.keywords}))
    assert by_words == by_keywords
    if case.words:
        assert by_words != reached(asked, on_the_command_line(command, words)), "the option changes nothing"
    else:
        assert by_words != reached(asked, on_the_command_line(command, form.words))


@pytest.mark.parametrize("command", FORMS)
def test_both_build_the_same_of_nothing(command: str, asked: list[Any]) -> None:
    form = FORMS[command]
    by_words = reached(asked, on_the_command_line(command, form.words))
    assert by_words == reached(asked, lambda: form.python(**form.keywords))
