//! Bytes waiting to be sent to one client.

/// A queue of bytes with a high and a low mark.  The service that fills it stops when it [is
/// full](Buffer::is_full), and goes on when the loop calls again because it has
/// [drained](Buffer::is_low).  One response line may overshoot the mark; nothing is ever cut.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    /// How many of `bytes` are already sent: `start <= bytes.len()`.
    start: usize,
    /// How many bytes were sent in all.
    taken: u64,
}

impl Buffer {
    pub const fn new() -> Buffer {
        Buffer {
            bytes: Vec::new(),
            start: 0,
            taken: 0,
        }
    }

    /// Where responses are written, always at the end.  The vector also holds bytes that are
    /// already sent: its length tells nothing, and nothing before its end may be changed.
    pub fn writer(&mut self) -> &mut Vec<u8> {
        if self.start >= COMPACT && self.start >= self.bytes.len() - self.start {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        &mut self.bytes
    }

    /// The bytes still to be sent.
    pub fn pending(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Drops the first `count` pending bytes: they are sent.
    pub fn consume(&mut self, count: usize) {
        let before = self.start;
        self.start = self.start.saturating_add(count).min(self.bytes.len());
        self.taken += (self.start - before) as u64;
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// How many bytes have been sent since the buffer was made.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// How many bytes are still to be sent.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nothing more should be added now.
    pub fn is_full(&self) -> bool {
        self.len() >= HIGH
    }

    /// Enough has been sent that it pays to add more.
    pub fn is_low(&self) -> bool {
        self.len() <= LOW
    }

    /// How many bytes may still be added before the buffer is full.
    pub fn room(&self) -> usize {
        HIGH.saturating_sub(self.len())
    }

    /// Gives the memory back if the buffer is empty: an idle client costs none.
    pub fn release(&mut self) {
        if self.is_empty() {
            self.bytes = Vec::new();
            self.start = 0;
        }
    }
}

/// A buffer with this much in it is full.
pub const HIGH: usize = 128 * 1024;

/// A buffer that drained to this wants more.
pub const LOW: usize = 32 * 1024;

/// Sent bytes are moved away only when they are at least this many and at least half.
const COMPACT: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_comes_out_in_order_however_it_is_consumed() {
        let mut buffer = Buffer::new();
        let mut expected = Vec::new();
        let mut seen = Vec::new();
        for round in 0..200_usize {
            let piece = vec![round as u8; 977 * (round % 7)];
            expected.extend_from_slice(&piece);
            buffer.writer().extend_from_slice(&piece);
            let count = buffer.len().min(1 + 613 * (round % 5));
            seen.extend_from_slice(&buffer.pending()[..count]);
            buffer.consume(count);
        }
        seen.extend_from_slice(buffer.pending());
        assert!(seen == expected);
    }

    #[test]
    fn the_marks_say_when_to_stop_and_when_to_go_on() {
        let mut buffer = Buffer::new();
        assert!(buffer.is_low() && !buffer.is_full());
        buffer.writer().resize(HIGH, 0);
        assert!(buffer.is_full() && buffer.room() == 0);
        buffer.consume(HIGH - LOW - 1);
        assert!(!buffer.is_full() && !buffer.is_low());
        buffer.consume(1);
        assert!(buffer.is_low());
    }

    #[test]
    fn an_empty_buffer_gives_its_memory_back() {
        let mut buffer = Buffer::new();
        buffer.writer().resize(HIGH, 0);
        buffer.release();
        assert_eq!(buffer.len(), HIGH);
        buffer.consume(HIGH + 5);
        buffer.release();
        assert_eq!(buffer.writer().capacity(), 0);
    }
}
