//! The few MCAP records a session is read from, as fields that are checked against the bytes there are.
//!
//! The crate `mcap` parses records too, but trusts the lengths of strings and takes memory for them first.

/// A record's opcode and its length come before its body.
pub(crate) const HEAD: u64 = 9;

/// Opcodes of the MCAP specification.
pub(crate) mod opcode {
    pub(crate) const HEADER: u8 = 0x01;
    pub(crate) const FOOTER: u8 = 0x02;
    pub(crate) const CHANNEL: u8 = 0x04;
    pub(crate) const MESSAGE: u8 = 0x05;
    pub(crate) const CHUNK: u8 = 0x06;
    pub(crate) const CHUNK_INDEX: u8 = 0x08;
    pub(crate) const DATA_END: u8 = 0x0f;
}

/// What is left of a record's body. Every method answers `None` where the bytes end.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.bytes(2)?.try_into().ok()?))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes(4)?.try_into().ok()?))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes(8)?.try_into().ok()?))
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.u32()?).ok()?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }
}

/// A record's opcode and the length of its body.
pub(crate) fn head(bytes: &[u8]) -> Option<(u8, u64)> {
    let mut fields = Fields(bytes);
    let opcode = fields.bytes(1)?[0];
    Some((opcode, fields.u64()?))
}

/// A message's channel, log time in ns and data.
pub(crate) fn message(body: &[u8]) -> Option<(u16, u64, &[u8])> {
    let mut fields = Fields(body);
    let channel = fields.u16()?;
    let (_sequence, log_time, _publish_time) = (fields.u32()?, fields.u64()?, fields.u64()?);
    Some((channel, log_time, fields.0))
}

/// A channel's number, topic and message encoding.
pub(crate) fn channel(body: &[u8]) -> Option<(u16, &str, &str)> {
    let mut fields = Fields(body);
    let (channel, _schema) = (fields.u16()?, fields.u16()?);
    Some((channel, fields.text()?, fields.text()?))
}

/// How a chunk is compressed.
pub(crate) fn compression(body: &[u8]) -> Option<&str> {
    let mut fields = Fields(body);
    let (_start, _end, _size, _crc) = (fields.u64()?, fields.u64()?, fields.u64()?, fields.u32()?);
    fields.text()
}

/// A chunk index's first log time in ns, offset and length of its chunk.
pub(crate) fn chunk_index(body: &[u8]) -> Option<(u64, u64, u64)> {
    let mut fields = Fields(body);
    let (start, _end) = (fields.u64()?, fields.u64()?);
    Some((start, fields.u64()?, fields.u64()?))
}

/// Where a footer says the summary starts; 0 is nowhere.
pub(crate) fn footer(body: &[u8]) -> Option<u64> {
    Fields(body).u64()
}

/// A header's profile.
pub(crate) fn profile(body: &[u8]) -> Option<&str> {
    Fields(body).text()
}
