"""The gateway: data plane, control plane, storage and command line."""
