//! The node: pods as processes on this machine.
