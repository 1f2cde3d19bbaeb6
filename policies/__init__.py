"""Deciding, without torch: the policy interface, exploration, baselines, saved policies."""
