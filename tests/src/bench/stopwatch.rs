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

/// An even beat, to put a load on something.
#[derive(Debug)]
pub struct Beat {
    start: Instant,
    every: Duration,
    count: u32,
}

impl Beat {
    /// Beats once in so many milliseconds from now on.
    pub fn new(every_ms: u64) -> Self {
        let Start(start) = Start::now();
        Self { start, every: Duration::from_millis(every_ms), count: 0 }
    }

    /// Waits for the next beat and gives the moment to measure from. That is the beat's own moment where the load is late
    /// for it by more than one beat: a stall counts for everybody who would have come meanwhile.
    pub fn wait(&mut self) -> Start {
        self.count += 1;
        let (beat, Start(now)) = (self.start + self.every * self.count, Start::now());
        if now > beat + self.every {
            return Start(beat);
        }
        std::thread::sleep(beat.saturating_duration_since(now));
        Start::now()
    }
}

/// Lets so many milliseconds pass.
pub fn rest(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
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

/// Two files to measure what the disk takes for writes that have reached it: the limit of whatever must be durable.
///
/// Two, because that is what a wipe writes to: a state, and both copies of the share in one file. A file system that
/// syncs a file's times with it does so for each.
#[derive(Debug)]
pub struct Disk([File; 2]);

impl Disk {
    const PAGE: [u8; 4_096] = [0x5a; 4_096];

    /// Fills and syncs files below `dir`, so that later writes only overwrite.
    ///
    /// # Errors
    /// Fails when they cannot be written.
    pub fn new(dir: &Path) -> io::Result<Self> {
        let disk = Self([File::create(dir.join("limit.0"))?, File::create(dir.join("limit.1"))?]);
        for file in &disk.0 {
            file.write_all_at(&[Self::PAGE, Self::PAGE].concat(), 0)?;
            file.sync_all()?;
        }
        Ok(disk)
    }

    /// Milliseconds for so many writes of 4 KiB in place, each synced before the next: of three, one goes to the first file
    /// and two to the other.
    ///
    /// # Errors
    /// Fails when the files cannot be written.
    pub fn write(&self, count: u64) -> io::Result<f64> {
        let [state, share] = &self.0;
        let start = Start::now();
        for index in 0..count {
            let (file, page) = match index % 3 {
                0 => (state, 0),
                1 => (share, 1),
                _ => (share, 0),
            };
            file.write_all_at(&Self::PAGE, page * 4_096)?;
            file.sync_data()?;
        }
        Ok(start.ms())
    }
}
