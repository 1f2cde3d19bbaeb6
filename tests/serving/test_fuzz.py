"""Requests drawn from the server's own OpenAPI description, good and bad: none gets a 5xx, and
every answer is as the description says."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

AS_DESCRIBED = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
PHASES = (Phase.explicit, Phase.generate)
CHECKS = list(HealthCheck)


@pytest.mark.parametrize(
    ("kind", "examples"),
    [
        ("shop", 2),
        pytest.param("shop", 60, marks=pytest.mark.slow),
        pytest.param("postgresql_shop", 20, marks=pytest.mark.slow),
    ],
)
def test_answers_are_as_described_and_none_is_a_server_error(kind, examples, request):
    shop = request.getfixturevalue(kind)
    with shop.server(shop.policy("p")) as client:
        schema = schemathesis.openapi.from_asgi("/openapi.json", client.app)
        results = list(schema.get_all_operations())
        operations = [result.ok() for result in results if isinstance(result, Ok)]
        assert len(operations) == len(results)
        assert len(operations) > 25
        for operation in operations:

            @settings(
                max_examples=examples, phases=PHASES, deadline=None, database=None,
                derandomize=True, suppress_health_check=CHECKS,
            )  # fmt: skip
            @given(case=operation.as_strategy())
            def as_described(case):
                answer = case.call()
                assert answer.status_code < 500, (case.as_curl_command(), answer.text)
                case.validate_response(answer, checks=AS_DESCRIBED)

            as_described()
