//! Measuring time, in milliseconds; the one place beside the clocks that may.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

/// A moment to measure from.
#[derive(Debug, Clone, Copy)]
pub struct Start(Instant);

impl Start {
    /// This moment.
    pub fn now() -> Self {
        #[allow(clippy::disallowed_methods)] // A benchmark measures the time that really passes.
        Self(Instant::now())
    }

    /// Milliseconds since.
    pub fn ms(self) -> f64 {
        #[allow(clippy::disallowed_methods)] // As above.
        millis(self.0.elapsed())
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1_000.0
}

/// Milliseconds of processor time that this process has used, all threads together.
pub fn cpu_ms() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    millis(Duration::try_from(used).unwrap_or_default())
}

/// A series of measurements.
#[derive(Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds one.
    pub fn add(&mut self, ms: f64) {
        self.0.push(ms);
    }

    /// The smallest sample that so large a share of all does not exceed: 0.5 is the median, 1.0 the worst.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let smaller = sorted.iter().zip(1_u32..).find(|(_, rank)| f64::from(*rank) >= share * f64::from(self.count()));
        smaller.map_or(f64::NAN, |(sample, _)| *sample)
    }

    /// Each sample by the one that was taken beside it.
    pub fn ratios(&self, peers: &Self) -> Self {
        Self(self.0.iter().zip(&peers.0).map(|(sample, peer)| sample / peer).collect())
    }

    fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
}

/// A file to measure what the disk takes for a write that has reached it: the limit of whatever must be durable.
#[derive(Debug)]
pub struct Disk(File);

impl Disk {
    const PAGE: [u8; 4_096] = [0x5a; 4_096];

    /// Fills and syncs a file below `dir`, so that later writes only overwrite.
    ///
    /// # Errors
    /// Fails when the file cannot be written.
    pub fn new(dir: &Path) -> io::Result<Self> {
        let disk = Self(File::create(dir.join("limit"))?);
        disk.write(4)?;
        disk.0.sync_all()?;
        Ok(disk)
    }

    /// Milliseconds for so many writes of 4 KiB in place, each synced before the next.
    ///
    /// # Errors
    /// Fails when the file cannot be written.
    pub fn write(&self, count: u64) -> io::Result<f64> {
        let start = Start::now();
        for index in 0..count {
            self.0.write_all_at(&Self::PAGE, index % 4 * 4_096)?;
            self.0.sync_data()?;
        }
        Ok(start.ms())
    }
}
