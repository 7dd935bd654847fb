"""Objectives as data, and what Prometheus and Grafana are told of them, generated from that."""
