//! Who made it and what was shown of it: keys, signatures, in-toto statements, provenance, their verification.
