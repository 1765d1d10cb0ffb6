"""The figures of /metrics, read back."""

from prometheus_client.parser import text_string_to_metric_families

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def to_figures(text: str) -> Figures:
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return {
        (sample.name, frozenset(sample.labels.items() - {("destination", "segment")})): sample.value
        for sample in samples
    }


def figure(figures: Figures, name: str, **labels: str) -> float:
    """0 where it is not there yet: then nothing was counted."""
    return figures.get((f"bridge_{name}", frozenset(labels.items())), 0.0)
