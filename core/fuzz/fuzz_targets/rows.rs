//! What stands in front of rows and probes, from any bytes; what is read can be written and read again.
#![no_main]

use collab_core::wire::{Probe, ProbeEcho, RowsHeader, StreamKind, decode, encode, frame_length};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(prefix) = bytes.first_chunk() {
        let _ = frame_length(*prefix);
        let _ = StreamKind::from_byte(prefix[0]);
    }
    if let Ok(header) = decode::<RowsHeader>(bytes) {
        assert!(!header.rows.is_empty());
        let frame = encode(&header).expect("it keeps to the limits");
        assert_eq!(decode::<RowsHeader>(&frame[4..]), Ok(header));
    }
    let _ = decode::<Probe>(bytes);
    let _ = decode::<ProbeEcho>(bytes);
});
