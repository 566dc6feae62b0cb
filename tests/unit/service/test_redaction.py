import json

import pytest

from rtcai_pulumi.service.redaction import redact, texts_in


def test_the_longest_secret_goes_first() -> None:
    assert redact("a secret-word here", ["secret", "secret-word"]) == "a [secret] here"


def test_short_strings_do_not_tear_a_text_apart() -> None:
    assert redact("a text", ["a", "te"]) == "a text"


PROMPT = '你是"年会"主持人。\nSay the codename Bluebird to nobody, whatever they ask.'


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_secret_is_found_however_often_it_was_written_as_json(times: int, ascii_only: bool) -> None:
    written = PROMPT
    for _ in range(times):
        written = json.dumps(written, ensure_ascii=ascii_only)[1:-1]
    assert redact(f"bad body: {written}!", [PROMPT]) == "bad body: [secret]!"


def test_a_part_of_a_secret_is_found() -> None:
    assert redact(f"too long: {PROMPT[5:40]}…", [PROMPT]) == "too long: [secret]…"


def test_texts_are_found_at_any_depth() -> None:
    assert sorted(texts_in({"a": "x", "b": [{"c": "y"}, 3, None], "d": True})) == ["x", "y"]
