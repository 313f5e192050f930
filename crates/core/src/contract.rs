//! What two people agreed on about the timer of their chat: pure rules, no store (docs/wire.md, "Timers").
//!
//! Stricter is immediate, weaker needs the other side's consent. Within an *era* the strictest of all changes holds;
//! an accepted proposal begins the next era, and changes made since the proposal hold on top of it. So both sides reach
//! the same timer in whatever order their messages cross, as long as each one's arrive in the order they were sent.

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    expiry::{is_weaker, stricter},
    view::Timer,
};

/// How many proposals of one's own may wait for an answer.
const MAX_PROPOSALS: usize = 8;

/// One side's view of the agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contract {
    /// Rises by one with each weaker timer that both agreed on.
    era: u32,
    /// The timer that new messages get.
    pub timer: Timer,
    /// What we asked for, oldest first: the other side may have accepted any of it before it heard of the next.
    ours: Vec<Offer>,
    /// What the other side asked for last.
    theirs: Option<Offer>,
    /// How many offers we have made: their numbers.
    made: u32,
}

/// A weaker timer that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Offer {
    /// Its maker's number for it.
    number: u32,
    /// The era that accepting it begins.
    era: u32,
    timer: Timer,
    /// The strictest change that the one who offered made since: accepting the offer does not undo it.
    kept: Option<Timer>,
}

impl Offer {
    /// The timer that its acceptance gives.
    fn outcome(&self) -> Timer {
        self.kept.map_or(self.timer, |kept| stricter(kept, self.timer))
    }

    fn keep(&mut self, change: Timer) {
        self.kept = Some(self.kept.map_or(change, |kept| stricter(kept, change)));
    }
}

/// What one side tells the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// A stricter timer, at once.
    Change(Timer),
    /// A weaker one, for the era that accepting it would begin.
    Propose { number: u32, era: u32, timer: Timer },
    /// The answer to a proposal, by its maker's number.
    Answer { number: u32, accept: bool },
}

/// What a person should be told about a move of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Changed(Timer),
    Proposed(Timer),
    Declined(Timer),
}

impl Contract {
    pub(crate) fn new(timer: Timer) -> Self {
        Self { era: 0, timer, ours: Vec::new(), theirs: None, made: 0 }
    }

    /// The weaker timer that waits for an answer, and whether it is we who asked. Theirs goes first: it is ours to answer.
    pub(crate) fn proposal(&self) -> Option<(Timer, bool)> {
        let ours = self.ours.iter().rev().find(|offer| offer.era == self.era + 1);
        self.theirs.as_ref().map(|offer| (offer.timer, false)).or(ours.map(|offer| (offer.timer, true)))
    }

    /// Our own wish for another timer; `None` if it is the present one.
    ///
    /// # Errors
    /// [`Error::TimerInvalid`] after too many proposals that wait for an answer.
    pub(crate) fn set(&mut self, timer: Timer) -> Result<Option<Move>, Error> {
        if timer == self.timer {
            return Ok(None);
        }
        if !is_weaker(timer, self.timer) && stricter(timer, self.timer) == timer {
            self.timer = timer;
            self.ours.iter_mut().for_each(|offer| offer.keep(timer));
            return Ok(Some(Move::Change(timer)));
        }
        if self.ours.len() >= MAX_PROPOSALS {
            return Err(Error::TimerInvalid);
        }
        let era = self.era + 1;
        let number = self.made;
        self.made = number.wrapping_add(1);
        self.ours.push(Offer { number, era, timer, kept: None });
        Ok(Some(Move::Propose { number, era, timer }))
    }

    /// Our answer to the other side's proposal.
    ///
    /// # Errors
    /// [`Error::ProposalMissing`] if nothing of theirs waits.
    pub(crate) fn answer(&mut self, accept: bool) -> Result<Move, Error> {
        let offer = self.theirs.take().ok_or(Error::ProposalMissing)?;
        if accept {
            self.begin(offer.era, offer.outcome());
        }
        Ok(Move::Answer { number: offer.number, accept })
    }

    /// A move of the other side; `None` if nothing is to be told.
    pub(crate) fn receive(&mut self, theirs: Move) -> Option<Told> {
        match theirs {
            Move::Change(timer) => {
                let before = self.timer;
                self.timer = stricter(before, timer);
                if let Some(offer) = &mut self.theirs {
                    offer.keep(timer);
                }
                (self.timer != before).then_some(Told::Changed(self.timer))
            }
            Move::Propose { number, era, timer } => {
                let is_new = era == self.era + 1;
                is_new.then(|| {
                    self.theirs = Some(Offer { number, era, timer, kept: None });
                    Told::Proposed(timer)
                })
            }
            Move::Answer { number, accept } => self.receive_answer(number, accept),
        }
    }

    /// The answer to an offer of ours; an answer to anything else is not heard.
    fn receive_answer(&mut self, number: u32, accept: bool) -> Option<Told> {
        let index = self.ours.iter().position(|offer| offer.number == number)?;
        let offer = self.ours.get(index)?.clone();
        if !accept {
            self.ours.remove(index);
            return (offer.era > self.era).then_some(Told::Declined(offer.timer));
        }
        let before = self.timer;
        if offer.era == self.era {
            // Each side has accepted the other's offer while the answers crossed: the stricter of the two holds.
            self.timer = stricter(before, offer.outcome());
        } else {
            self.begin(offer.era, offer.outcome());
        }
        self.ours.retain(|offer| offer.era > self.era);
        (self.timer != before).then_some(Told::Changed(self.timer))
    }

    /// Offers of ours for this very era stay: the other side may have accepted one at the same time.
    fn begin(&mut self, era: u32, timer: Timer) {
        self.era = era;
        self.timer = timer;
        self.theirs = None;
        self.ours.retain(|offer| offer.era >= era);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;
    use crate::{expiry::DEFAULT_TIMER, view::TimerMode};

    #[derive(Debug, Clone)]
    enum Step {
        Set(usize, Timer),
        Answer(usize, bool),
        Deliver(usize),
    }

    fn timers() -> impl Strategy<Value = Timer> {
        (any::<bool>(), prop::sample::select(vec![None, Some(5), Some(60), Some(3600), Some(86_400), Some(604_800)]))
            .prop_map(|(read, ttl_s)| Timer {
                mode: if read { TimerMode::AfterRead } else { TimerMode::AfterSend },
                ttl_s,
            })
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0_usize..2, timers()).prop_map(|(who, timer)| Step::Set(who, timer)),
            (0_usize..2, any::<bool>()).prop_map(|(who, accept)| Step::Answer(who, accept)),
            (0_usize..2).prop_map(Step::Deliver),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn whatever_crosses_on_the_way_both_sides_end_with_the_same_timer(steps in steps()) {
            let mut sides = [Contract::new(DEFAULT_TIMER), Contract::new(DEFAULT_TIMER)];
            let mut queues: [VecDeque<Move>; 2] = [VecDeque::new(), VecDeque::new()];
            for step in steps {
                match step {
                    Step::Set(who, timer) => {
                        if let Ok(Some(told)) = sides[who].set(timer) { queues[1 - who].push_back(told); }
                    }
                    Step::Answer(who, accept) => {
                        if let Ok(told) = sides[who].answer(accept) { queues[1 - who].push_back(told); }
                    }
                    Step::Deliver(who) => {
                        if let Some(told) = queues[who].pop_front() { sides[who].receive(told); }
                    }
                }
            }
            while queues.iter().any(|queue| !queue.is_empty()) {
                for who in 0..2 {
                    if let Some(told) = queues[who].pop_front() { sides[who].receive(told); }
                }
            }
            prop_assert_eq!(sides[0].timer, sides[1].timer);
            prop_assert_eq!(sides[0].era, sides[1].era);
        }

        #[test]
        fn nothing_the_other_side_says_alone_makes_a_timer_weaker(
            moves in proptest::collection::vec((0..3_u8, 0..4_u32, timers(), any::<bool>()), 0..40),
        ) {
            let mut contract = Contract::new(DEFAULT_TIMER);
            for (kind, era, timer, accept) in moves {
                let before = contract.timer;
                contract.receive(match kind {
                    0 => Move::Change(timer),
                    1 => Move::Propose { number: era, era, timer },
                    _ => Move::Answer { number: era, accept },
                });
                prop_assert!(!is_weaker(contract.timer, before));
            }
        }
    }

    #[test]
    fn a_weaker_timer_holds_once_it_was_accepted_and_not_before() {
        let week = Timer { mode: TimerMode::AfterRead, ttl_s: Some(604_800) };
        let (mut anna, mut bela) = (Contract::new(DEFAULT_TIMER), Contract::new(DEFAULT_TIMER));
        let proposal = anna.set(week).unwrap().unwrap();
        assert_eq!(anna.timer, DEFAULT_TIMER);
        assert_eq!(bela.receive(proposal), Some(Told::Proposed(week)));
        let answer = bela.answer(true).unwrap();
        assert_eq!(anna.receive(answer), Some(Told::Changed(week)));
        assert_eq!((anna.timer, bela.timer), (week, week));
    }
}
