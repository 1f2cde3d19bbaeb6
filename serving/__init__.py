"""The policy server: decides under guardrails over HTTP, keeps users' states, writes the log."""
