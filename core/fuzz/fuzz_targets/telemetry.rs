//! What a worker reports, from any bytes; what is read can be written and read again.
#![no_main]

use collab_core::wire::{Telemetry, decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(report) = decode::<Telemetry>(bytes) {
        let frame = encode(&report).expect("it keeps to the limits");
        assert_eq!(decode::<Telemetry>(&frame[4..]), Ok(report));
    }
});
