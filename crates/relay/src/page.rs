//! Where a page of events ends.

use crate::limits::Limits;

/// A page is never read beyond this many times [`Limits::page_bytes`].
const OVERRUN: u64 = 4;

/// Counts events, newest first, and says when the page is full.
///
/// A client asks for the next page with `until` at the oldest second that it has seen, and that
/// second comes again. So a page is cut only between two seconds, and its first second does not
/// count: however crowded a second is, every page brings something older.
/// A limit smaller than a page is meant as such, and is kept to the letter.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    most: usize,
    is_strict: bool,
    enough_bytes: u64,
    first: Option<u64>,
    last: Option<u64>,
    /// Events and bytes beyond the first second.
    counted: usize,
    bytes: u64,
    total: u64,
}

impl Page {
    /// A page for a filter with this limit.
    pub(crate) fn new(limit: Option<usize>, limits: &Limits) -> Self {
        let most = limit.unwrap_or(limits.page).min(limits.page);
        Self {
            most,
            is_strict: most < limits.page,
            enough_bytes: u64::try_from(limits.page_bytes).unwrap_or(u64::MAX),
            first: None,
            last: None,
            counted: 0,
            bytes: 0,
            total: 0,
        }
    }

    /// A page without end.
    pub(crate) fn endless() -> Self {
        Self {
            most: usize::MAX,
            is_strict: true,
            enough_bytes: u64::MAX,
            first: None,
            last: None,
            counted: 0,
            bytes: 0,
            total: 0,
        }
    }

    /// Whether the next event still belongs on the page, which then counts it.
    pub(crate) fn takes(&mut self, created_at: u64, length: u64) -> bool {
        let is_full = self.counted >= self.most || self.bytes >= self.enough_bytes;
        let may_finish = !self.is_strict && self.last == Some(created_at);
        let is_over = self.total >= self.enough_bytes.saturating_mul(OVERRUN);
        if (is_full && !may_finish) || is_over {
            return false;
        }
        let first = *self.first.get_or_insert(created_at);
        self.total = self.total.saturating_add(length);
        if self.is_strict || first != created_at {
            self.counted += 1;
            self.bytes = self.bytes.saturating_add(length);
        }
        self.last = Some(created_at);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(limit: Option<usize>, seconds: &[u64]) -> usize {
        let limits = Limits { page: 3, page_bytes: 1_000, ..Limits::default() };
        let mut page = Page::new(limit, &limits);
        let taken = seconds.iter().take_while(|second| page.takes(**second, 10));
        taken.count()
    }

    #[test]
    fn a_page_ends_between_seconds_and_its_first_second_is_free() {
        assert_eq!(taken(None, &[9, 9, 9, 9, 9, 8, 7, 6, 6, 5]), 9);
        assert_eq!(taken(None, &[9, 8, 8, 8, 8, 8, 7]), 6);
        assert_eq!(taken(Some(2), &[9, 9, 9]), 2);
        assert_eq!(taken(Some(0), &[9]), 0);
    }

    #[test]
    fn a_page_ends_when_it_is_heavy() {
        let limits = Limits { page_bytes: 100, ..Limits::default() };
        let mut page = Page::new(None, &limits);
        let taken = (0..50u64).rev().take_while(|second| page.takes(*second, 30));
        assert_eq!(taken.count(), 5);
    }
}
