"""What passes between a hospital's site and the coordinator: keys, envelopes, refusals.

Nothing here trusts the other side. Messages are canonical JSON, weights are safetensors, signatures
are Ed25519 (RFC 8032); nothing is ever unpickled.
"""
