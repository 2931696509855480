from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from llmtrace_sdk.core.model import Channel, Finding, Severity
from llmtrace_sdk.core.policy import STRENGTH, CategoryRule, EnforcementOptions, Match, Override, Policy, Verdict

LIMITED = CategoryRule(finding_type="x", action="log", budget_ms=5)
PLACE = "enforcement.overrides[0]"
FACTS = ("tenant", "agent", "model", "user", "provider")
PATTERNS = ("tenant", "agent", "model", "channel", "user", "provider")


def override(match: dict[str, str], **values: Any) -> Override:
    return Override(match=Match(**match), **values)


def policy(*overrides: Override, **more: Any) -> Policy:
    options = EnforcementOptions(overrides=overrides, **more)
    assert options.problems() == []
    return Policy(options)


def finding(channel: Channel = "user", kind: str = "x", severity: Severity = Severity.HIGH) -> Finding:
    return Finding(kind, "r", severity, 0.9, 0, 1, channel=channel)


@pytest.mark.parametrize("fact", FACTS)
def test_each_fact_can_be_matched(fact: str) -> None:
    root = policy(override({fact: "a*"}, mode="block"))
    assert root.for_call(**{fact: "abc"}).decide([finding()]).action == "block"
    assert root.for_call(**{fact: "bc"}).decide([finding()]).action == "log"
    assert root.for_call().decide([finding()]).action == "log"
    assert root.decide([finding()]).action == "log"


def test_all_patterns_of_a_match_must_match() -> None:
    root = policy(override({"tenant": "acme", "model": "gpt-*"}, mode="block"))
    assert root.for_call(tenant="acme", model="gpt-5").options.mode == "block"
    assert root.for_call(tenant="acme", model="claude").options.mode == "log"
    assert root.for_call(tenant="acme").options.mode == "log"
    assert root.for_call(model="gpt-5").options.mode == "log"


def test_a_star_asks_for_a_label_all_the_same() -> None:
    root = policy(override({"user": "*"}, mode="flag"))
    assert root.for_call(user="").options.mode == "flag"
    assert root.for_call(tenant="acme").options.mode == "log"


def test_later_overrides_win_key_by_key() -> None:
    root = policy(
        override({"tenant": "acme"}, mode="block", min_confidence=0.5, fail_mode="closed"),
        override({"model": "*"}, mode="flag", unscanned="block"),
        min_severity="low",
    )
    options = root.for_call(tenant="acme", model="m").options
    assert (options.mode, options.min_confidence, options.fail_mode) == ("flag", 0.5, "closed")
    assert (options.unscanned, options.min_severity) == ("block", "low")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mode", "redact"),
        ("min_severity", "low"),
        ("min_confidence", 0.1),
        ("min_confidence", 0),
        ("shadow", True),
        ("unscanned", "flag"),
        ("monitoring_scope", "input_only"),
        ("fail_mode", "closed"),
        ("pseudonyms", "off"),
    ],
)
def test_every_key_can_be_overridden(key: str, value: object) -> None:
    options = policy(override({"agent": "a"}, **{key: value})).for_call(agent="a").options
    assert getattr(options, key) == value


def test_an_override_can_switch_shadow_off() -> None:
    root = policy(override({"tenant": "pilot"}, shadow=False), mode="block", shadow=True)
    assert not root.may_stop
    assert root.for_call(tenant="pilot").may_stop
    assert root.decide([finding()])[::3] == ("log", "block")
    assert root.for_call(tenant="pilot").decide([finding()])[::3] == ("block", "allow")


def test_categories_of_an_override_come_before_those_beneath() -> None:
    root = policy(
        override({"tenant": "*"}, categories=(CategoryRule(finding_type="x", action="redact"),)),
        override({"tenant": "acme"}, categories=(CategoryRule(finding_type="x", action="flag"),)),
        categories=tuple(CategoryRule(finding_type=kind, action="block", fail_mode="closed") for kind in "xy"),
    )
    acme, other = root.for_call(tenant="acme"), root.for_call(tenant="other")
    assert [each.decide([finding()]).action for each in (root, other, acme)] == ["block", "redact", "flag"]
    assert acme.decide([finding(kind="y")]).action == "block"
    # the first rule of a type is the only one of it, for failures too
    assert (acme.on_failure("x"), acme.on_failure("y")) == (None, Verdict("block", "y_failed", ()))


def test_thresholds_that_a_category_leaves_open_are_those_in_force() -> None:
    root = policy(
        override({"tenant": "acme"}, min_severity="low"), categories=(CategoryRule(finding_type="x", action="block"),)
    )
    found = [finding(severity=Severity.LOW)]
    assert root.decide(found).action == "log"
    assert root.for_call(tenant="acme").decide(found).action == "block"


def test_a_channel_is_judged_by_its_own_rules() -> None:
    root = policy(override({"channel": "tool"}, mode="block"), override({"channel": "d*"}, shadow=True), mode="flag")
    assert root.for_call(tenant="t") is root
    actions = {channel: root.decide([finding(channel)])[::3] for channel in get_args(Channel)}
    assert actions.pop("tool") == ("block", "allow")
    assert actions.pop("data") == ("log", "flag")
    assert set(actions.values()) == {("flag", "allow")}
    both = root.decide([finding("user"), finding("tool")])
    assert (both.action, both.findings) == ("block", (finding("tool"),))
    assert root.may_stop
    assert root.action("x", Severity.HIGH, 0.9, "tool") == "block"
    assert root.action("x", Severity.HIGH, 0.7, "tool") == "log"


def test_a_channel_that_nobody_knows_is_judged_by_the_whole_policy() -> None:
    root = policy(override({"channel": "*"}, mode="log"), mode="block")
    assert root.decide([finding("banana")]).action == "block"  # type: ignore[arg-type]
    assert not any(root.action("x", Severity.HIGH, 1, channel) == "block" for channel in get_args(Channel))
    assert not root.may_stop


def test_a_channel_may_be_one_pattern_among_others() -> None:
    root = policy(override({"channel": "tool", "tenant": "acme"}, mode="block"))
    assert root.for_call(tenant="acme").decide([finding("tool")]).action == "block"
    assert root.for_call(tenant="acme").decide([finding("user")]).action == "log"
    assert root.for_call(tenant="other").decide([finding("tool")]).action == "log"
    assert (root.may_stop, root.for_call(tenant="acme").may_stop) == (False, True)


def test_the_order_of_overrides_counts_with_and_without_a_channel() -> None:
    tool, acme = override({"channel": "tool"}, mode="block"), override({"tenant": "acme"}, mode="flag")
    assert policy(tool, acme).for_call(tenant="acme").decide([finding("tool")]).action == "flag"
    assert policy(acme, tool).for_call(tenant="acme").decide([finding("tool")]).action == "block"


def test_shadow_of_a_channel_does_not_hide_failures() -> None:
    root = policy(override({"channel": "*"}, shadow=True), fail_mode="closed", unscanned="block", mode="block")
    assert root.decide([finding()])[::3] == ("log", "block")
    assert root.on_failure("x") == Verdict("block", "x_failed", ())
    assert root.on_unscanned(["body_limit"]) == Verdict("block", "unscanned", ())
    assert root.may_stop


def test_policies_are_kept_and_shared() -> None:
    root = policy(override({"tenant": "acme"}, mode="block"))
    acme = root.for_call(tenant="acme", user="ann")
    assert root.for_call(tenant="acme", user="bob") is acme
    assert acme.for_call(tenant="acme") is acme
    assert policy().for_call(tenant="acme").options.mode == "log"


def test_many_callers_do_not_fill_the_memory() -> None:
    root = policy(override({"user": "u*7"}, mode="block"), override({"tenant": "t"}, mode="flag"))
    for number in range(2_000):
        expected = "block" if number % 10 == 7 else "log"
        assert root.for_call(user=f"u{number}").options.mode == expected
    assert root._calls is not None
    assert root._calls._known.cache_info().currsize <= 256
    assert root._calls._made.cache_info().currsize <= 3


def test_long_names_are_matched_and_not_kept() -> None:
    root = policy(override({"model": "*-mini"}, mode="block"))
    assert root.for_call(model="x" * 1_000_000 + "-mini").options.mode == "block"
    assert root.for_call(model="x" * 1_000_000).options.mode == "log"
    assert root._calls is not None
    assert root._calls._known.cache_info().currsize == 0


def test_labels_of_another_type_hurt_nobody() -> None:
    root = policy(override({"tenant": "4*"}, mode="block"))
    assert root.for_call(tenant=42).options.mode == "block"  # type: ignore[arg-type]
    assert root.for_call(tenant=["4"]).options.mode == "log"  # type: ignore[arg-type]
    assert root.for_call(tenant="\ud800").options.mode == "log"


@pytest.mark.parametrize(
    ("options", "sentences"),
    [
        ({"min_confidence": 1.5}, ["enforcement: min_confidence 1.5 is not between 0 and 1"]),
        ({"min_confidence": float("nan")}, ["enforcement: min_confidence nan is not between 0 and 1"]),
        ({"timeout_ms": 0}, ["enforcement: timeout_ms 0 is not between 1 and 600000"]),
        ({"mode": "blok"}, ["enforcement.mode: 'blok' is not one of log, flag, redact, block"]),
        ({"mode": None}, ["enforcement.mode: None is not one of log, flag, redact, block"]),
        ({"shadow": "yes"}, ["enforcement.shadow: 'yes' is not one of True, False"]),
        ({"block_status": 451}, ["enforcement.block_status: 451 is not one of 400, 403"]),
        (
            {"categories": (CategoryRule(finding_type="", action="hide", min_confidence=-1, budget_ms=0),)},  # type: ignore[arg-type]
            [
                "enforcement.categories[0].finding_type: '' is no name; give a text of at least one character",
                "enforcement.categories[0].action: 'hide' is not one of allow, log, flag, redact, block",
                "enforcement.categories[0].min_confidence: -1 is not between 0 and 1",
                "enforcement.categories[0].budget_ms: 0 is not between 1 and 600000",
            ],
        ),
        (
            {"overrides": (override({"tenant": "a"}, mode="flag"), override({"tenant": "b"}, min_confidence=1.5))},
            ["enforcement.overrides[1].min_confidence: 1.5 is not between 0 and 1"],
        ),
        (
            {"overrides": (override({}, mode="flag"),)},
            [
                f"enforcement.overrides[0].match: matches on nothing; give at least one of {', '.join(PATTERNS)}",
            ],
        ),
        (
            {"overrides": (override({"tenant": "a"}),)},
            ["enforcement.overrides[0]: changes nothing; give it a value to set, or leave it out"],
        ),
        (
            {"overrides": (override({"channel": "tols"}, mode="flag"),)},
            ["enforcement.overrides[0].match.channel: 'tols' matches none of user, assistant, system, tool, data"],
        ),
        (
            {
                "overrides": (
                    override(
                        {"channel": "tool"},
                        fail_mode="closed",
                        unscanned="flag",
                        monitoring_scope="hybrid",
                        pseudonyms="off",
                        categories=(CategoryRule(finding_type="x", action="log", fail_mode="open"),),
                    ),
                )
            },
            [
                f"enforcement.overrides[0].{key}: an override of a channel cannot set it; leave out match.channel"
                for key in ("unscanned", "monitoring_scope", "fail_mode", "pseudonyms", "categories[0].fail_mode")
            ],
        ),
        (
            {"overrides": (override({"user": "u"}, categories=(LIMITED,)),)},
            [f"{PLACE}.categories[0].budget_ms: cannot differ by call; set it in enforcement.categories"],
        ),
    ],
)  # fmt: skip
def test_problems_name_place_value_and_remedy(options: dict[str, Any], sentences: list[str]) -> None:
    assert EnforcementOptions(**options).problems() == sentences


def test_all_problems_at_once() -> None:
    wrong = (override({}, mode="blok"), override({"tenant": 7}, min_severity="worst"))  # type: ignore[dict-item]
    problems = EnforcementOptions(timeout_ms=0, min_confidence=2, overrides=wrong).problems()
    assert len(problems) == 6


def test_budgets_are_those_of_the_first_rules() -> None:
    rules = (("a", 5), ("b", None), ("b", 7), ("c", 9), ("c", 1))
    categories = tuple(CategoryRule(finding_type=t, action="log", budget_ms=b) for t, b in rules)
    assert EnforcementOptions(categories=categories).budgets == {"a": 5, "c": 9}


def test_a_configuration_file_can_say_it_all() -> None:
    tree = {
        "mode": "redact",
        "shadow": True,
        "timeout_ms": 50,
        "categories": [{"finding_type": "x", "action": "allow", "budget_ms": 5, "fail_mode": "closed"}],
        "overrides": [
            {"match": {"tenant": "acme", "channel": "tool"}, "categories": [{"finding_type": "x", "action": "redact"}]},
            {"match": {"model": "gpt-*"}, "pseudonyms": "session", "shadow": False},
        ],
    }
    options = TypeAdapter(EnforcementOptions).validate_python(tree)
    assert options.problems() == []
    assert options.overrides[1] == override({"model": "gpt-*"}, pseudonyms="session", shadow=False)
    assert Policy(options).for_call(tenant="acme", model="gpt-5").decide([finding("tool")]).action == "redact"


@pytest.mark.parametrize(
    "tree",
    [
        {"overrides": [{"match": {"tenent": "acme"}, "mode": "flag"}]},
        {"overrides": [{"mode": "flag"}]},
        {"overrides": [{"match": {"tenant": "acme"}, "on_block": "raise"}]},
    ],
)
def test_a_configuration_file_with_unknown_keys(tree: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="overrides"):
        TypeAdapter(EnforcementOptions).validate_python(tree)


actions = st.sampled_from(["log", "flag", "redact", "block"])
names = st.none() | st.sampled_from(["a", "b"])
patterns = st.none() | st.sampled_from(["a", "b", "*", "?", "[!a]"])
overrides = st.builds(
    Override,
    match=st.builds(Match, tenant=patterns, user=patterns, channel=st.none() | st.sampled_from(["user", "t*", "*"])),
    mode=st.none() | actions,
    min_severity=st.none() | st.sampled_from(["info", "high"]),
    shadow=st.none() | st.booleans(),
    categories=st.lists(
        st.builds(CategoryRule, finding_type=st.just("x"), action=st.sampled_from(list(STRENGTH))), max_size=1
    ).map(tuple),
)
findings = st.builds(
    finding, st.sampled_from(get_args(Channel)), st.sampled_from(["x", "y"]), st.sampled_from(list(Severity))
)


@given(st.lists(overrides, max_size=4), actions, st.booleans(), st.lists(findings, max_size=4), names, names)
def test_overrides_are_total_and_nothing_is_stronger_than_they_say(
    given_overrides: list[Override], mode: Any, shadow: bool, found: list[Finding], tenant: str | None, user: str | None
) -> None:
    kept = tuple(o for o in given_overrides if not EnforcementOptions(overrides=(o,)).problems())
    root = policy(*kept, mode=mode, shadow=shadow)
    effective = root.for_call(tenant=tenant, user=user)
    verdict = effective.decide(found)
    named = [*(o.mode for o in kept if o.mode), *(rule.action for o in kept for rule in o.categories)]
    assert STRENGTH[verdict.action] <= max(STRENGTH[action] for action in ("log", mode, *named))
    if shadow and not any(o.shadow is False for o in kept):
        assert verdict.action in ("allow", "log")
    if not effective.may_stop:
        assert verdict.action not in ("redact", "block")
    reversed_ = effective.decide(found[::-1])
    assert (reversed_.action, reversed_.shadowed) == (verdict.action, verdict.shadowed)
    single = [effective.action(f.type, f.severity, f.confidence, f.channel) for f in found]
    assert verdict.action == max(single, key=lambda action: STRENGTH[action], default="allow")
