//! What a lab asks and a worker answers, from any bytes; what is read can be written and read again.
#![no_main]

use collab_core::wire::{Answered, Asked, Preface, decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(preface) = bytes.first_chunk() {
        let _ = Preface::decode(preface);
    }
    if let Ok(asked) = decode::<Asked>(bytes) {
        let frame = encode(&asked).expect("it keeps to the limits");
        assert_eq!(decode::<Asked>(&frame[4..]), Ok(asked));
    }
    if let Ok(answered) = decode::<Answered>(bytes) {
        let frame = encode(&answered).expect("it keeps to the limits");
        assert_eq!(decode::<Answered>(&frame[4..]), Ok(answered));
    }
});
