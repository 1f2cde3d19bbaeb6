"""OpenTelemetry traces, where `OTEL_EXPORTER_OTLP_ENDPOINT` says where to send them.

A request's span goes on with the caller's trace (W3C `traceparent`); a group of decisions, which
several requests share, has a span of its own that links to theirs, with the parts of its work.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from mdp.errors import BadSetting
from serving.settings import trace_name

Context = Any
"""What a span is known by in another thread; None without traces."""


class Tracing:
    """Spans, which cost next to nothing where there are no traces."""

    def __init__(self, provider: Any = None) -> None:
        """provider: of OpenTelemetry's SDK; None: no traces."""
        self._provider = provider
        self._tracer = None if provider is None else provider.get_tracer("pushwise")

    def close(self) -> None:
        """Send what waits."""
        if self._provider is not None:
            self._provider.shutdown()

    def request(self, scope: Scope) -> AbstractContextManager[Any | None]:
        """The span of an HTTP request; None in its place without traces."""
        if self._tracer is None:
            return nullcontext()
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        return self._tracer.start_as_current_span(
            scope["method"], context=extract(Headers(scope=scope)), kind=SpanKind.SERVER
        )

    def span(
        self, name: str, links: Sequence[Context] = (), **attributes: Any
    ) -> AbstractContextManager[Any | None]:
        """A span of some work. links: contexts of the requests that it is done for."""
        if self._tracer is None:
            return nullcontext()
        from opentelemetry.trace import Link

        linked = [Link(context) for context in links if context is not None]
        return self._tracer.start_as_current_span(name, links=linked, attributes=attributes)

    def context(self) -> Context:
        """Of the current span."""
        if self._tracer is None:
            return None
        from opentelemetry.trace import get_current_span

        return get_current_span().get_span_context()


def open_tracing() -> Tracing:
    """Tracing as the environment has it; raises `BadSetting` where what it needs is missing."""
    name = trace_name()
    if name is None:
        return Tracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise BadSetting(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and the exporter is not installed: run "
            "pip install 'pushwise[trace]'"
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)
