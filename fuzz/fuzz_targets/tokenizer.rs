#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| interplay_fuzz::tokenizer(data));
