//! Compressed streams: where one may start, and what comes out of it, also when its end is torn off.

use std::fmt;
use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress};

/// How much of a stream is followed: more than any file of ours holds, and a bound for a bomb.
const INFLATED_BYTES: u64 = 64 << 20;

/// Where a zlib or gzip stream may start. One whose first two bytes lie within the first `seen` bytes
/// is left out: it was followed with the window before.
pub(super) fn starts(window: &[u8], seen: usize) -> Vec<usize> {
    let from = seen.saturating_sub(1);
    window
        .get(from..)
        .unwrap_or_default()
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| matches!(pair, [0x78, 0x01 | 0x5e | 0x9c | 0xda] | [0x1f, 0x8b]))
        .map(|(at, _)| from + at)
        .collect()
}

/// What comes out of the stream that starts where `input` starts.
///
/// Unlike an unpacker it gives all that can still be read: a stream that breaks off ends there,
/// without an error, and no checksum is asked for.
pub(super) fn inflate<'a>(mut input: impl BufRead + 'a) -> Box<dyn Read + 'a> {
    let is_gzip = input.fill_buf().is_ok_and(|head| head.first() == Some(&0x1f));
    if is_gzip && skip_gzip_header(&mut input).is_err() {
        return Box::new(io::empty());
    }
    Box::new(Inflate { input, state: Decompress::new(!is_gzip) }.take(INFLATED_BYTES))
}

struct Inflate<R> {
    input: R,
    state: Decompress,
}

impl<R> fmt::Debug for Inflate<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflate").finish_non_exhaustive()
    }
}

impl<R: BufRead> Read for Inflate<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let head = self.input.fill_buf()?;
            let (taken, given) = (self.state.total_in(), self.state.total_out());
            let step = self.state.decompress(head, out, FlushDecompress::None);
            let taken = usize::try_from(self.state.total_in() - taken).unwrap_or(0);
            let given = usize::try_from(self.state.total_out() - given).unwrap_or(0);
            self.input.consume(taken);
            // No progress means the end of the stream, a torn end, or bytes that never were one.
            if given > 0 || step.is_err() || taken == 0 {
                return Ok(given);
            }
        }
    }
}

/// RFC 1952, section 2.3.
fn skip_gzip_header(input: &mut impl BufRead) -> io::Result<()> {
    let mut head = [0; 10];
    input.read_exact(&mut head)?;
    let [_, _, _, flags, ..] = head;
    if flags & 4 != 0 {
        let mut length = [0; 2];
        input.read_exact(&mut length)?;
        skip(input, u64::from(u16::from_le_bytes(length)))?;
    }
    for field in [8, 16] {
        if flags & field != 0 {
            input.skip_until(0)?;
        }
    }
    skip(input, if flags & 2 == 0 { 0 } else { 2 })
}

fn skip(input: &mut impl BufRead, bytes: u64) -> io::Result<()> {
    io::copy(&mut input.by_ref().take(bytes), &mut io::sink()).map(drop)
}
