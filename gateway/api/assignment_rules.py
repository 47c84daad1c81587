"""Assignment rules over REST: the operator's alone."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.assignment_rules import (
    Foreseen,
    ForeseenRow,
    apply_rules,
    change_rule,
    create_rule,
    delete_rule,
    describe_rule,
    find_rule,
    foresee_rules,
)
from gateway.models import AssignmentRule
from tenants.api import ApiView
from tenants.api.base import PageParameters
from tenants.api.fields import StrictBooleanField, StrictCharField, StrictIntegerField
from tenants.context import acting_as
from tenants.idempotency import make_once, row_of
from tenants.openapi import IDEMPOTENCY_KEY, IF_MATCH

SCOPE = "assignments:write"
LONGEST_PRIORITY = 1_000_000
GLOB = "a glob pattern for the whole text, in any case: * ? [a-z]"


class AssignmentRuleChangeSerializer(serializers.Serializer[Any]):
    name = StrictCharField(max_length=100, required=False)
    tenant = StrictCharField(max_length=40, required=False)
    priority = StrictIntegerField(
        min_value=0, max_value=LONGEST_PRIORITY, required=False, help_text="the lowest counts first; default 100"
    )
    account_id = StrictIntegerField(required=False, allow_null=True)
    program = StrictCharField(max_length=32, required=False, allow_null=True)
    config = StrictIntegerField(required=False, allow_null=True)
    config_name = StrictCharField(max_length=200, required=False, allow_null=True, help_text=GLOB)
    folder_path = StrictCharField(
        max_length=300,
        required=False,
        allow_null=True,
        help_text="this folder and all below it; FortiFlex tells no folders, so only what was created through here has one",
    )
    description = StrictCharField(max_length=200, required=False, allow_null=True, help_text=GLOB)
    enabled = StrictBooleanField(required=False)


class AssignmentRuleCreateSerializer(AssignmentRuleChangeSerializer):
    name = StrictCharField(max_length=100)
    tenant = StrictCharField(max_length=40)


class AssignmentRuleSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    tenant = serializers.CharField()
    priority = serializers.IntegerField()
    account_id = serializers.IntegerField(allow_null=True)
    program = serializers.CharField(allow_null=True)
    config = serializers.IntegerField(allow_null=True)
    config_name = serializers.CharField(allow_null=True)
    folder_path = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True)
    enabled = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class AssignmentRulePageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = AssignmentRuleSerializer(many=True)


class OtherRuleSerializer(serializers.Serializer[Any]):
    rule = serializers.CharField()
    tenant = serializers.CharField()


class RuleOutcomeSerializer(serializers.Serializer[Any]):
    serial_number = serializers.CharField()
    owner = serializers.CharField(allow_null=True, help_text="always null: rules touch only what nobody ever owned")
    account_id = serializers.IntegerField()
    program = serializers.CharField()
    config = serializers.IntegerField()
    config_name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    tenant = serializers.CharField(allow_null=True, help_text="null = it stays unassigned")
    rule = serializers.CharField(allow_null=True)
    other_rules = OtherRuleSerializer(many=True, help_text="those that match too and come later")
    from_day = serializers.DateField(allow_null=True)
    from_day_is = serializers.ChoiceField(choices=["first points", "start", "today"], allow_null=True)
    left_because = serializers.ChoiceField(
        choices=["no rule matches", "a tag names another tenant", "its creation is not settled"], allow_null=True
    )


class TenantCountSerializer(serializers.Serializer[Any]):
    tenant = serializers.CharField(allow_null=True, help_text="null = stays unassigned")
    entitlements = serializers.IntegerField()


class RuleOutcomesSerializer(serializers.Serializer[Any]):
    digest = serializers.CharField(help_text="what `apply` takes as `expect`")
    summary = TenantCountSerializer(many=True)
    results = RuleOutcomeSerializer(many=True)


class RuleApplySerializer(serializers.Serializer[Any]):
    expect = serializers.RegexField(
        r"^[0-9a-f]{64}$", required=False, help_text="the digest of a dry run: 409 if the outcome would differ by now"
    )


class RuleAppliedSerializer(serializers.Serializer[Any]):
    digest = serializers.CharField()
    summary = TenantCountSerializer(many=True)


class AssignmentRulesView(ApiView):
    scopes = {"GET": SCOPE, "POST": SCOPE}
    operator_methods = frozenset({"GET", "POST"})

    @extend_schema(
        operation_id="list_assignment_rules",
        parameters=[PageParameters],
        responses=AssignmentRulePageSerializer,
        summary="Assignment rules, in the order in which they count",
    )
    def get(self, request: Request) -> Response:
        self.read_query(paged=True)
        rows = AssignmentRule.objects.select_related("tenant")
        return Response(self.page(rows, keys=("priority", "id"), render=describe_rule))

    @extend_schema(
        operation_id="create_assignment_rule",
        parameters=[IDEMPOTENCY_KEY],
        request=AssignmentRuleCreateSerializer,
        responses={201: AssignmentRuleSerializer},
        summary="Enter a rule; it assigns nothing before rules are applied",
    )
    def post(self, request: Request) -> Response:
        body = self.read_body(AssignmentRuleCreateSerializer)
        rules = row_of(AssignmentRule.objects.select_related("tenant"))
        made = make_once(self.actor, self.read_key(), lambda: create_rule(self.actor, fields=body), subject=rules)
        return self.answer_made(made, describe_rule(made.thing), location=f"/api/v1/assignment-rules/{made.thing.id}")


class AssignmentRuleView(ApiView):
    scopes = {"GET": SCOPE, "PATCH": SCOPE, "DELETE": SCOPE}
    operator_methods = frozenset({"GET", "PATCH", "DELETE"})

    @extend_schema(
        operation_id="read_assignment_rule", responses=AssignmentRuleSerializer, summary="One assignment rule"
    )
    def get(self, request: Request, rule_id: UUID) -> Response:
        self.read_query()
        return Response(describe_rule(find_rule(rule_id)))

    @extend_schema(
        operation_id="change_assignment_rule",
        parameters=[IF_MATCH],
        request=AssignmentRuleChangeSerializer,
        responses=AssignmentRuleSerializer,
        summary="Change a rule; null takes a criterion away",
    )
    def patch(self, request: Request, rule_id: UUID) -> Response:
        with acting_as(self.actor):
            self.require_match(describe_rule(find_rule(rule_id)))
        rule = change_rule(self.actor, rule_id, fields=self.read_body(AssignmentRuleChangeSerializer))
        return Response(describe_rule(rule))

    @extend_schema(
        operation_id="delete_assignment_rule",
        request=None,
        responses={204: None},
        summary="Delete a rule; what it assigned stays",
    )
    def delete(self, request: Request, rule_id: UUID) -> Response:
        delete_rule(self.actor, rule_id)
        return Response(status=204)


class RulesDryRunView(ApiView):
    scopes = {"POST": SCOPE}
    operator_methods = frozenset({"POST"})

    @extend_schema(
        operation_id="try_assignment_rules",
        request=None,
        responses=RuleOutcomesSerializer,
        summary="What the rules would assign now, whole, and what would stay unassigned; writes nothing",
    )
    def post(self, request: Request) -> Response:
        self.read_body(serializers.Serializer)
        foreseen = foresee_rules(self.actor)
        return Response(_summary_of(foreseen) | {"results": [render_foreseen(row) for row in foreseen.rows]})


class RulesApplyView(ApiView):
    scopes = {"POST": SCOPE}
    operator_methods = frozenset({"POST"})

    @extend_schema(
        operation_id="apply_assignment_rules",
        request=RuleApplySerializer,
        responses=RuleAppliedSerializer,
        summary="Assign all that the rules match, all or nothing, in force at once",
    )
    def post(self, request: Request) -> Response:
        body = self.read_body(RuleApplySerializer)
        return Response(_summary_of(apply_rules(self.actor, expected=body.get("expect"))))


def _summary_of(foreseen: Foreseen) -> dict[str, Any]:
    counts: list[tuple[str | None, int]] = [*foreseen.count_by_tenant().items()]
    left = sum(foreseen.count_left().values())
    if left:
        counts.append((None, left))
    return {
        "digest": foreseen.digest,
        "summary": [{"tenant": tenant, "entitlements": number} for tenant, number in counts],
    }


def render_foreseen(row: ForeseenRow) -> dict[str, Any]:
    names = ("serial_number", "account_id", "program", "config", "config_name", "description")
    others = row.matching[1:] if row.rule is not None else row.matching
    return {name: getattr(row.candidate, name) for name in names} | {
        "owner": None,
        "tenant": row.tenant.slug if row.tenant else None,
        "rule": row.rule.name if row.rule else None,
        "other_rules": [{"rule": rule.name, "tenant": rule.tenant.slug} for rule in others],
        "from_day": row.from_day,
        "from_day_is": row.basis,
        "left_because": row.left_because,
    }
