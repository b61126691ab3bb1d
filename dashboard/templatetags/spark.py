"""`{% spark values "label" %}`: a small trend line and its sentence."""

from __future__ import annotations

from django import template

from dashboard import spark

register = template.Library()

register.simple_tag(spark.spark, name="spark")
