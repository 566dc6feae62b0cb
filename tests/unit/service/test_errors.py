import re

import rtcai_pulumi
from rtcai_pulumi.service import errors


def every_error(root: type[errors.RtcAiError]) -> set[type[errors.RtcAiError]]:
    return {root}.union(*(every_error(child) for child in root.__subclasses__()))


def test_the_drawn_tree_is_the_tree() -> None:
    drawn = set(re.findall(r"^ +(?:[│ ]*[├└]── )?(\w+)", errors.__doc__ or "", re.MULTILINE))
    assert drawn == {error.__name__ for error in every_error(errors.RtcAiError)}


def test_every_error_can_be_imported_under_the_name_that_the_engine_prints() -> None:
    for error in every_error(errors.RtcAiError):
        assert error.__module__ == "rtcai_pulumi"
        assert getattr(rtcai_pulumi, error.__name__) is error
