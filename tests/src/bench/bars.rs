//! All bars. A figure above its bar fails the run; loosening one needs a line in the changelog.

/// The most that a figure may be.
#[derive(Debug)]
pub struct Bar {
    /// The figure's name.
    pub figure: &'static str,
    /// As a ratio to its peer, which was measured on the same machine in the same moment.
    pub ratio: Option<f64>,
    /// In the figure's own unit: where a person, not a machine, is the measure. Where both stand, one is enough.
    pub value: Option<f64>,
}

impl Bar {
    const fn ratio(figure: &'static str, most: f64) -> Self {
        Self { figure, ratio: Some(most), value: None }
    }

    const fn value(figure: &'static str, most: f64) -> Self {
        Self { figure, ratio: None, value: Some(most) }
    }

    const fn either(figure: &'static str, value: f64, ratio: f64) -> Self {
        Self { figure, ratio: Some(ratio), value: Some(value) }
    }

    /// Whether a figure is below it.
    pub fn holds(&self, value: f64, ratio: f64) -> bool {
        self.ratio.is_some_and(|most| ratio <= most) || self.value.is_some_and(|most| value <= most)
    }

    /// The bar in words.
    pub fn words(&self, unit: &str) -> String {
        let (ratio, value) =
            (self.ratio.map(|most| format!("{most} x")), self.value.map(|most| format!("{most} {unit}")));
        [value, ratio].into_iter().flatten().collect::<Vec<_>>().join(" or ")
    }
}

/// The bars, each with what it stands for.
pub const BARS: &[Bar] = &[
    // A wipe is three writes that have to reach the disk, and little else…
    Bar::ratio("wipe_1_p99", 2.0),
    // …however much dies…
    Bar::ratio("wipe_1000_p99", 2.0),
    // …a hundred thousand things…
    Bar::ratio("wipe_100000_p99", 2.0),
    // …or a million.
    Bar::ratio("wipe_1000000_p99", 2.0),
    // On no disk that a person has should it take longer than a blink.
    Bar::value("wipe_1_p50", 50.0),
    Bar::value("wipe_1000_p50", 50.0),
    Bar::value("wipe_100000_p50", 50.0),
    Bar::value("wipe_1000000_p50", 50.0),
    // The keys of a million things go in the time of one thing's.
    Bar::ratio("wipe_1000000_beside_1_p50", 1.5),
    // Whoever writes while a hundred thousand rows are cleared away behind it waits a moment, or not much longer than ever.
    Bar::either("writers_in_a_wipe_p99", 20.0, 5.0),
    // Whoever reads does not notice.
    Bar::value("readers_in_a_wipe_p99", 2.0),
    // A key of its own for every item, wrapped under a leaf: that is the price of dying at once.
    Bar::ratio("insert_cpu_p50", 2.5),
    // A screen full of messages derives fifty leaves and opens fifty wraps and bodies, in less than any eye sees.
    Bar::value("newest_page_p50", 1.0),
    // Who has to be quick has a blink.
    Bar::value("panic_worst", 200.0),
    // Opening a big vault is opening its database and one wipe, not a walk through its items.
    Bar::value("unlock_to_first_page_p50", 100.0),
    // A state file holds that much from the start, so that no full disk can stop a wipe.
    Bar::value("state_largest", 256.0),
    // Nothing that died is readable: from the files as they are…
    Bar::value("dead_in_the_files", 0.0),
    // …with all keys that are left, today's and those of any share…
    Bar::value("dead_with_every_key", 0.0),
    // …with an older image of everything but the share file…
    Bar::value("dead_in_an_older_image", 0.0),
    // …while the same search finds everything as long as it lives.
    Bar::value("unfound_before_death", 0.0),
    // Between Send and the other's screen stand two signatures, a group's ratchet on both sides and two commits, beside the
    // bare event: on a disk that syncs at once they are most of it, on a slow one the disk is.
    Bar::ratio("send_to_shown_p50", 10.0),
];
