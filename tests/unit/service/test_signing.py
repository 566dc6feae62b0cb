from typing import Any

import pytest

from rtcai_pulumi.service.signing import basic_token, check_sum
from tests.samples import load

VECTORS = load("vectors.json")


def named(kind: str) -> pytest.MarkDecorator:
    vectors = VECTORS[kind]["vectors"]
    return pytest.mark.parametrize("vector", vectors, ids=[vector["name"] for vector in vectors])


@named("checkSum")
def test_a_check_sum_is_the_published_one(vector: dict[str, Any]) -> None:
    assert check_sum(vector["appSecret"], vector["nonce"], vector["curTime"]) == vector["checkSum"]


@named("basicToken")
def test_a_basic_token_is_the_published_one(vector: dict[str, Any]) -> None:
    token = basic_token(
        vector["appKey"],
        vector["appSecret"],
        cname=vector["channelName"],
        uid=vector["uid"],
        ttl=vector["ttl"],
        now_ms=vector["curTimeMs"],
    )
    assert token == vector["token"]


@pytest.mark.parametrize("ttl", [0, 86_401])
def test_a_token_is_valid_for_a_second_to_a_day(ttl: int) -> None:
    with pytest.raises(ValueError, match="1 to 86400"):
        basic_token("key", "secret", cname="r", uid=1, ttl=ttl, now_ms=0)
