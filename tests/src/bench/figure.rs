//! One figure, and how it is printed.

use serde_json::json;

use crate::{
    bars::{BARS, Bar},
    stopwatch::Samples,
};

/// The heads of the columns of [`Figure::row`].
pub const HEAD: &str = "figure                            value  unit   against                                               value    ratio  bar            holds  signal";

/// A figure beside what it is measured against.
#[derive(Debug)]
pub struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    peer: &'static str,
    peer_value: f64,
    ratio: f64,
    signal: Option<f64>,
}

impl Figure {
    /// The `share` quantile (0.5 is the median) of a series of milliseconds and of its peer's. The ratio is that of the
    /// two quantiles.
    pub fn of(name: &'static str, values: &Samples, peer: &'static str, peers: &Samples, share: f64) -> Self {
        Self::single(name, values.quantile(share), "ms", peer, peers.quantile(share))
    }

    /// The same for a series whose samples were each taken beside one of the peer's: the quantile of their ratios, in
    /// which what the machine was busy with at that moment cancels out.
    pub fn paired(name: &'static str, values: &Samples, peer: &'static str, peers: &Samples, share: f64) -> Self {
        Self { ratio: values.ratios(peers).quantile(share), ..Self::of(name, values, peer, peers, share) }
    }

    /// One value beside another, in whatever unit.
    pub fn single(name: &'static str, value: f64, unit: &'static str, peer: &'static str, peer_value: f64) -> Self {
        Self { name, value, unit, peer, peer_value, ratio: value / peer_value, signal: None }
    }

    /// Puts beside it what the same took, or left, through the package that Signal's desktop app keeps its messages with.
    #[must_use]
    pub fn beside_signal(self, signal: Option<f64>) -> Self {
        Self { signal, ..self }
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn bar(&self) -> Option<&'static Bar> {
        BARS.iter().find(|bar| bar.figure == self.name)
    }

    /// Whether the bar holds; a figure without one is only told.
    pub fn holds(&self) -> bool {
        self.bar().is_none_or(|bar| bar.holds(self.value, self.ratio))
    }

    /// One line for people.
    pub fn row(&self) -> String {
        let Self { name, value, unit, peer, peer_value, ratio, signal } = self;
        let (bar, holds) = match self.bar() {
            Some(bar) => (bar.words(unit), if self.holds() { "yes" } else { "NO" }),
            None => ("-".to_owned(), "-"),
        };
        let signal = signal.map_or("-".to_owned(), |value| format!("{value:.3}"));
        format!(
            "{name:<30} {value:>8.3}  {unit:<5}  {peer:<50} {peer_value:>8.3} {ratio:>8.2}  {bar:<14} {holds:<5}  {signal}"
        )
    }

    /// One object for programs.
    pub fn json(&self) -> String {
        let Self { name, value, unit, peer, peer_value, ratio, signal } = self;
        let bar = self.bar();
        json!({
            "figure": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio,
            "bar": bar.and_then(|bar| bar.ratio), "bar_value": bar.and_then(|bar| bar.value), "holds": self.holds(),
            "signal": signal,
        })
        .to_string()
    }
}
