"""Mappings of well-known exports, one TOML each; `ingestion.mapping` says how they are read."""
