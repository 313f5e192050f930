//! All bars. A figure whose ratio is above its bar fails the run; loosening one needs a line in the changelog.

/// The largest ratio that a figure may have to its peer.
#[derive(Debug)]
pub struct Bar {
    /// The figure's name.
    pub figure: &'static str,
    /// The ratio.
    pub most: f64,
}

/// The bars, each with what it stands for.
pub const BARS: [Bar; 7] = [
    // A wipe is three writes that have to reach the disk, and little else: on a disk that takes 3 ms for one, 1.1 to 1.5
    // times those three. Where a cache takes them in 0.2 ms, two queries and the waking of a thread weigh more than the
    // disk. The aim is 2…
    Bar { figure: "wipe_1_p50", most: 10.0 },
    // …however much dies…
    Bar { figure: "wipe_1000_p50", most: 10.0 },
    // …a hundred thousand things included.
    Bar { figure: "wipe_100000_p50", most: 10.0 },
    // A key of its own for every item, wrapped under a leaf and found by it again, costs three times what the database
    // takes by itself: a twentieth of a millisecond. The aim is 2.5.
    Bar { figure: "insert_cpu_p50", most: 4.0 },
    // A screen full of messages derives fifty leaves and opens fifty wraps and bodies; it stays below a millisecond, which
    // no eye sees, where the database alone takes a thirtieth of one.
    Bar { figure: "newest_page_p50", most: 20.0 },
    // Opening a big vault is opening its database and one wipe, not a walk through its items.
    Bar { figure: "unlock_to_first_page_p50", most: 3.0 },
    // Between Send and the other's screen stand two signatures, a group's ratchet on both sides and two commits, beside the
    // bare event: on a disk that syncs at once they are most of it, on a slow one the disk is.
    Bar { figure: "send_to_shown_p50", most: 10.0 },
];
