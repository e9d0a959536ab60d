"""Renders a chart with Helm's own engine: `render_chart.py CHART NAMESPACE VALUES`, values as JSON. Prints the objects as YAML, or fails."""

import json
import sys

import helm_python

chart, namespace, values = sys.argv[1:]
with helm_python.Chart.load(chart) as loaded:
    values = json.loads(values)
    loaded.validate_schema(values)
    files = loaded.render(values, name="pod-identity-webhook", namespace=namespace)
print("\n---\n".join(text for name, text in sorted(files.items()) if name.endswith(".yaml")))
