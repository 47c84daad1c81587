"""What a body or a query may not hold is refused as such, and never an error of ours."""

from typing import Any

import pytest

from tenants.context import acting_as
from tenants.models import Tenant
from tests.people import SETUP, People

DIGITS = "9" * 5000  # more than Python turns into a number


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"billing_profile": {"taxes": {}}}, "/billing_profile/taxes"),
        ({"billing_profile": {"tax": {"category": "S", "rate": "19", "vat/id": "x"}}}, "/billing_profile/tax/vat~1id"),
        ({"limits": {"points": "1"}}, "/limits/points"),
    ],
)
def test_an_unknown_field_is_refused_at_any_depth(people: People, change: dict[str, Any], pointer: str) -> None:
    answer = people.operator.patch("tenants/acme", change)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer)


def test_an_unknown_field_in_a_list_of_objects_is_named_by_its_place(people: People) -> None:
    parameters = [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT", "name": "Service"}]
    answer = people.acme.post("configs", {"program": "P", "name": "n", "product_type_id": 1, "parameters": parameters})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/parameters/1/name")


@pytest.mark.parametrize(
    "body",
    [
        '{"account_ids": [9223372036854775808]}',
        '{"limits": {"entitlements": 9223372036854775808}}',
        f'{{"account_ids": [{DIGITS}]}}',
    ],
)
def test_a_number_that_nobody_can_keep_is_refused(people: People, body: str) -> None:
    answer = people.operator.send("PATCH", "tenants/acme", body.encode())
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


@pytest.mark.parametrize(
    "body",
    [b'{"\xed\xa0\x80": 1}', '{"\ud800": 1}'.encode("utf-16", "surrogatepass"), '{"name": "n"}'.encode("utf-32")],
)
def test_json_is_utf_8_and_nothing_that_looks_like_it(people: People, body: bytes) -> None:
    answer = people.operator.send("PATCH", "tenants/acme", body)
    assert (answer.status_code, answer.json()["detail"]) == (400, "The body is not JSON in UTF-8.")


def test_a_page_size_of_thousands_of_digits_is_refused(people: People) -> None:
    answer = people.acme.get(f"entitlements?limit={DIGITS}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "?limit")


def test_an_empty_cursor_is_no_cursor_of_this_list(people: People) -> None:
    answer = people.acme.get("entitlements?cursor=")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "?cursor")


@pytest.mark.parametrize("rate", ["1e1", " 19", "-0", "+19", "1_9", "１９", "", ".5", True])
def test_a_number_as_text_is_plain(people: People, rate: Any) -> None:
    answer = people.operator.patch("tenants/acme", {"billing_profile": {"tax": {"category": "S", "rate": rate}}})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/billing_profile/tax/rate")


@pytest.mark.parametrize("rate", ["19", "19.000", 19])
def test_a_plain_number_is_kept_exactly(people: People, rate: Any) -> None:
    people.operator.patch("tenants/acme", {"billing_profile": {"tax": {"category": "S", "rate": rate}}})
    with acting_as(SETUP):
        assert Tenant.objects.get(slug="acme").billing_profile["tax"]["rate"] == "19.000"


def test_limits_are_shown_to_their_tenant_as_they_are_set(people: People) -> None:
    people.operator.patch("tenants/acme", {"limits": {"entitlements": 5, "points_per_day": "12.5"}})
    assert people.acme.get("whoami").json()["limits"] == {"entitlements": 5, "points_per_day": "12.5000"}
