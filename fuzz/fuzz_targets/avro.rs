//! Avro files of an Iceberg table: any bytes are manifests or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| stoke_quality::fuzz::avro(bytes));
