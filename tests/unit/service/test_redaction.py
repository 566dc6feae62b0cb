from rtcai_pulumi.service.redaction import redact, texts_in


def test_the_longest_secret_goes_first() -> None:
    assert redact("a secret-word here", ["secret", "secret-word"]) == "a [secret] here"


def test_short_strings_do_not_tear_a_text_apart() -> None:
    assert redact("a text", ["a", "te"]) == "a text"


def test_texts_are_found_at_any_depth() -> None:
    assert sorted(texts_in({"a": "x", "b": [{"c": "y"}, 3, None], "d": True})) == ["x", "y"]
