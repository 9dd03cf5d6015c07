//! Any bytes: opening, seeking, stepping and exporting must end with a value or an error, never a panic, and
//! never with more memory than the format's limits. Run with `cargo +nightly fuzz run read`, seeded with a
//! recorded session in `corpus/read`.
#![no_main]

use std::io::Cursor;

use collab_core::time::Micros;
use collab_sessions::{Session, export};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(session) = Session::read("fuzz", Cursor::new(bytes.to_vec())) else { return };
    let _ = export::jsonl(&session, std::io::sink());
    let _ = export::perfetto(&session, std::io::sink());
    for to in [Micros(0), Micros(session.length().0 / 2), Micros(u64::MAX)] {
        if let Ok(mut cursor) = session.seek(to) {
            let _ = (cursor.step_back(), cursor.step(), cursor.seek(Micros(0)));
        }
    }
});
