//! JSON lines: every event as it was recorded, one a line.

use std::io::Write;

use super::ExportError;
use crate::session::Session;

/// Writes every event as the JSON it was recorded as, those of unknown kinds too. Answers how many.
pub fn jsonl(session: &Session, mut out: impl Write) -> Result<u64, ExportError> {
    let mut count = 0;
    session.visit(|entry| {
        if entry.json.contains(&b'\n') {
            // A line break between JSON tokens may be a space; within a string it is always escaped.
            let line: Vec<u8> =
                entry.json.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect();
            out.write_all(&line)?;
        } else {
            out.write_all(entry.json)?;
        }
        out.write_all(b"\n")?;
        count += 1;
        Ok::<(), ExportError>(())
    })?;
    out.flush()?;
    Ok(count)
}
