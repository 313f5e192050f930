//! One figure, and how it is printed.

use serde_json::json;

use crate::{bars, stopwatch::Samples};

/// The heads of the columns of [`Figure::row`].
pub const HEAD: &str = "figure                          value  unit  against                                           value    ratio  bar    holds";

/// A figure beside what it is measured against.
#[derive(Debug)]
pub struct Figure {
    name: &'static str,
    value_ms: f64,
    peer: &'static str,
    peer_ms: f64,
    ratio: f64,
}

impl Figure {
    /// The `share` quantile (0.5 is the median) of a series and of its peer's. The ratio is that of the two medians where
    /// the series were measured for themselves.
    pub fn of(name: &'static str, values: &Samples, peer: &'static str, peers: &Samples, share: f64) -> Self {
        let (value_ms, peer_ms) = (values.quantile(share), peers.quantile(share));
        Self { name, value_ms, peer, peer_ms, ratio: value_ms / peer_ms }
    }

    /// The same for a series whose samples were each taken beside one of the peer's: the quantile of their ratios, in
    /// which what the machine was busy with at that moment cancels out.
    pub fn paired(name: &'static str, values: &Samples, peer: &'static str, peers: &Samples, share: f64) -> Self {
        Self { ratio: values.ratios(peers).quantile(share), ..Self::of(name, values, peer, peers, share) }
    }

    fn bar(&self) -> Option<f64> {
        bars::BARS.iter().find(|bar| bar.figure == self.name).map(|bar| bar.most)
    }

    /// Whether the bar holds; a figure without one is only told.
    pub fn holds(&self) -> bool {
        self.bar().is_none_or(|most| self.ratio <= most)
    }

    /// One line for people.
    pub fn row(&self) -> String {
        let Self { name, value_ms, peer, peer_ms, ratio } = self;
        let (bar, holds) = match self.bar() {
            Some(most) => (format!("{most}"), if self.holds() { "yes" } else { "NO" }),
            None => ("-".to_owned(), "-"),
        };
        format!("{name:<28} {value_ms:>8.3}  ms    {peer:<46} {peer_ms:>8.3} {ratio:>8.2}  {bar:<6} {holds}")
    }

    /// One object for programs.
    pub fn json(&self) -> String {
        let Self { name, value_ms, peer, peer_ms, ratio } = self;
        json!({
            "figure": name, "value": value_ms, "unit": "ms", "peer": peer, "peer_value": peer_ms, "ratio": ratio,
            "bar": self.bar(), "holds": self.holds(),
        })
        .to_string()
    }
}
