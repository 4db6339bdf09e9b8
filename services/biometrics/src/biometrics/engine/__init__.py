"""The fingerprint engine behind its port, and the gate that captures pass before it."""
