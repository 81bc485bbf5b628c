//! Which pod goes to the node, and why one does not fit.
