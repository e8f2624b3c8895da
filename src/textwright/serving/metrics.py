"""`/metrics` for Prometheus, by vLLM's names, with `textwright:` in place of `vllm:`."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from starlette.responses import PlainTextResponse, Response

from textwright.engine import Engine, Job, ModelPool, Work

PREFIX = "textwright:"
TTFT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Counts what the engine does, as its `Observer`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._ttft = Histogram(
            f"{PREFIX}time_to_first_token_seconds",
            "From a request to its first token.",
            ["model_name"],
            buckets=TTFT_BUCKETS,
            registry=self.registry,
        )
        self._latency = Histogram(
            f"{PREFIX}e2e_request_latency_seconds",
            "From a request to its last token.",
            ["model_name"],
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self._ended = Counter(
            f"{PREFIX}request_success_total",
            "Texts that ended, by how: stop, length, cancelled or error.",
            ["model_name", "finished_reason"],
            registry=self.registry,
        )

    def first_token(self, job: Job) -> None:
        if job.submitted is not None and job.first_token is not None:
            self._ttft.labels(job.generator.name).observe(job.first_token - job.submitted)

    def ended(self, job: Work) -> None:
        name = job.generator.name
        self._ended.labels(name, job.outcome or "error").inc()
        if job.submitted is not None and job.ended is not None:
            self._latency.labels(name).observe(job.ended - job.submitted)

    def watch(self, engine: Engine, pool: ModelPool) -> None:
        """Add the gauges and counters that are read from these."""
        self.registry.register(_LiveCollector(engine, pool))


class _LiveCollector(Collector):
    """Reads what the engine and the pool count anyway, each time `/metrics` is scraped."""

    def __init__(self, engine: Engine, pool: ModelPool) -> None:
        self._engine, self._pool = engine, pool

    def describe(self) -> Iterator[Metric]:
        yield from ()

    def collect(self) -> Iterator[Metric]:
        for name, help_text, value in (
            ("num_requests_running", "Texts being written.", self._engine.running),
            ("num_requests_waiting", "Texts that wait for a slot.", self._engine.waiting),
        ):
            yield GaugeMetricFamily(PREFIX + name, help_text, value=value)
        loaded = GaugeMetricFamily(
            PREFIX + "model_loaded", "1 where a model is loaded.", labels=["model_name"]
        )
        for name, state in self._pool.statuses.items():
            loaded.add_metric([name], state.status == "Loaded")
        yield loaded
        for name, help_text, counts in (
            ("prompt_tokens", "Tokens of prompts read.", self._engine.prompt_tokens),
            ("prefix_cache_hits", "Tokens of prompts found.", self._engine.cached_tokens),
            ("generation_tokens", "Tokens written.", self._engine.generated_tokens),
        ):
            family = CounterMetricFamily(PREFIX + name, help_text, labels=["model_name"])
            for model, count in list(counts.items()):
                family.add_metric([model], count)
            yield family


def router(metrics: Metrics) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["operation"])

    @routes.get("/metrics", response_class=PlainTextResponse)
    async def show() -> Response:
        """Numbers for Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return routes
