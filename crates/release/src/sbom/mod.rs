//! What is in an image or a directory: packages of the operating system, of Python, of Java, as CycloneDX and SPDX.
