#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| interplay_formats_fuzz::layout(data));
