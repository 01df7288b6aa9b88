#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| authsome::fuzzing::authority(input));
