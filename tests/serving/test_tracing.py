"""Traces reach a collector that speaks OTLP over HTTP."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from serving.tracing import Tracing

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector(monkeypatch):
    """The spans that are sent to a local server, which the environment names."""
    spans: list[Span] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            sent = ExportTraceServiceRequest.FromString(body)
            spans.extend(
                span for of in sent.resource_spans for s in of.scope_spans for span in s.spans
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    yield spans
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_request_goes_on_with_its_callers_trace(collector, shop):
    with shop.server(shop.policy("p")) as client:
        client.post(
            "/v1/decisions",
            json={"user_id": "u", "candidates": ["i0"]},
            headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
        ).raise_for_status()
    by_name = {span.name: span for span in collector}
    request, decide = by_name["POST /v1/decisions"], by_name["decide"]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    said = {a.key: a.value for a in request.attributes}
    assert said["http.response.status_code"].int_value == 200
    assert [link.span_id for link in decide.links] == [request.span_id]
    for part in ("draw", "commit"):
        assert by_name[part].parent_span_id == decide.span_id


def test_without_a_collector_nothing_is_traced():
    with Tracing().span("decide", requests=1) as span:
        assert span is None
    assert Tracing().context() is None
