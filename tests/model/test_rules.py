"""Each rule is needed: without it, the model finds a sequence that breaks a promise."""

import pytest

from tests.model.rules import AN_EDIT_WITH_THREE_FAULTS, ANY_TWO, LOST_EDITED_REVERTED, RULES, Rule
from tests.model.scenarios import Scenario

TRIED = (ANY_TWO, AN_EDIT_WITH_THREE_FAULTS, LOST_EDITED_REVERTED)
"""The scenarios that `test_promises` tries in any case."""


@pytest.mark.shows("safety model-each-rule")
@pytest.mark.parametrize(
    "rule",
    [pytest.param(rule, id=rule.name, marks=[pytest.mark.exhaustive] if rule.exhaustive else []) for rule in RULES],
)
def test_without_a_rule_a_promise_breaks(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule.place, rule.function, rule.without)
    assert rule.shown_by.explored().broken is not None


@pytest.mark.exhaustive
@pytest.mark.parametrize("scenario", dict.fromkeys(rule.shown_by for rule in RULES if rule.shown_by not in TRIED))
def test_with_all_rules_no_promise_breaks(scenario: Scenario) -> None:
    broken = scenario.explored().broken
    assert broken is None, str(broken)
