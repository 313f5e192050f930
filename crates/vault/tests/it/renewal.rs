//! The key tree and the database's key are renewed while things live and die, and nobody notices but a thief.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use mayfly_vault::forensics::attack;
use mayfly_vault::{ChatId, Error, ItemId, Life, Step, Urgency, Vault};

use crate::adversary::Loot;
use crate::home::{Home, block_on, body, create_chat, insert, insert_as, open_database, random_id, wipe, write};

/// Far enough that its second keeps a hole open in the tree.
const FAR_MS: i64 = 86_400_000;

/// In little what 128 KiB are: a handful of early deaths above what a tree without any takes.
const CROWDED: usize = 9_000;

/// Numbers that look random and are the same for the same seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

/// Lets everything that waits in the background have its turn.
fn let_the_background_run(vault: &Vault, turns: usize) {
    for _ in 0..turns {
        vault.write_blocking(Urgency::Background, |_| Ok::<_, Error>(())).unwrap();
    }
}

fn wipe_by_hand(vault: &Vault, id: ItemId) {
    assert!(write(vault, move |w| w.wipe(id)).unwrap());
}

/// How many trees the state on the disk has.
fn trees(home: &Home) -> usize {
    let read = |path: PathBuf| std::fs::read(path).unwrap();
    let states = [read(home.place.profile.join("state.0")), read(home.place.profile.join("state.1"))];
    let share = read(home.place.share.join("share"));
    let dumps = attack(&[&states[0], &states[1]], &[&share], None);
    dumps.iter().max_by_key(|dump| dump.epoch()).unwrap().generations().len()
}

#[test]
fn a_thousand_early_deaths_leave_a_small_state_and_nothing_else_changes() {
    let home = Home::new();
    let vault = home.create();
    let chat = create_chat(&vault);
    let mut living = Vec::new();
    for n in 0..300 {
        let life = [Life::Record, Life::Held { limit: None }, Life::Until(vault.now().plus_ms(FAR_MS))][n % 3];
        let text = format!("lives {n}").into_bytes();
        living.push((insert(&vault, [None, Some(chat)][n % 2], life, &text).unwrap(), text));
    }
    let mut largest = 0;
    for round in 0..20 {
        for n in 0..50 {
            let death = vault.now().plus_ms(FAR_MS + 7_919_000 * (n + 50 * round));
            let id = insert(&vault, Some(chat), Life::Until(death), b"dies early").unwrap();
            wipe_by_hand(&vault, id);
        }
        wipe(&vault);
        largest = largest.max(vault.tree_bytes());
        block_on(vault.moved()).unwrap();
    }
    let_the_background_run(&vault, 20);
    assert!(largest > 128 * 1024 && largest < 256 * 1024, "{largest} bytes at most, of 256 KiB");
    wipe(&vault);
    assert!(vault.tree_bytes() < 128 * 1024, "{} bytes at the end", vault.tree_bytes());
    for (id, text) in &living {
        assert_eq!(body(&vault, *id).as_ref(), Some(text));
    }
    drop(vault);
    let vault = home.open();
    assert!(living.iter().all(|(id, text)| body(&vault, *id).as_ref() == Some(text)));
}

/// Moves everything, wipes some of it by hand while the older tree still stands, and robs the vault: how many of these
/// came back by an image of before the move.
pub fn stolen_while_it_moves() -> usize {
    let home = Home::new();
    let vault = home.create();
    let chat = create_chat(&vault);
    let far = vault.now().plus_ms(FAR_MS);
    let soon = vault.now().plus_ms(20_000);
    let lives = [Life::Record, Life::Held { limit: None }, Life::Until(far), Life::Held { limit: Some(soon) }];
    let text = |n: usize| format!("canary {n}").into_bytes();
    let ids: Vec<ItemId> =
        (0..120).map(|n| insert(&vault, [None, Some(chat)][n % 2], lives[n % 4], &text(n)).unwrap()).collect();
    wipe(&vault);
    let mut profiles = vec![home.copy(&home.place.profile, "before")];
    vault.move_from_bytes(100);
    vault.stop_wipes_after(Some(Step::Moved));
    wipe(&vault);
    // Once is enough: no tree is as small as that.
    vault.move_from_bytes(1 << 20);
    let_the_background_run(&vault, 10);
    assert_eq!(trees(&home), 2, "the older tree still stands");
    profiles.push(home.copy(&home.place.profile, "moved"));
    // A third dies by hand, the timer of some starts, some are replaced, and some reach their limit.
    let is_dead = |n: usize| n.is_multiple_of(3) || n % 4 == 3 || (n % 5 == 1 && n % 4 == 1);
    for (n, id) in ids.iter().copied().enumerate() {
        if n.is_multiple_of(3) {
            wipe_by_hand(&vault, id);
        } else if n % 5 == 1 && n % 4 == 1 {
            write(&vault, move |w| w.start_timer(id, soon)).unwrap();
        }
    }
    wipe(&vault);
    home.clock.advance(25_000);
    wipe(&vault);
    assert_eq!(trees(&home), 2, "and is what the thief finds");
    let shares = [home.copy(&home.place.share, "the thief's share")];
    profiles.push(home.copy(&home.place.profile, "after"));
    let found = Loot::gather(&profiles, &shares, &vault.raw_key().unwrap().key).everything();
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(body(&vault, *id), (!is_dead(n)).then(|| text(n)), "item {n} of life {}", n % 4);
        assert!(is_dead(n) || found.contains(&text(n)), "the living open, or the thief sees nothing");
    }
    vault.stop_wipes_after(None);
    wipe(&vault);
    block_on(vault.moved()).unwrap();
    assert_eq!(trees(&home), 1, "the older tree is left out");
    (0..ids.len()).filter(|n| is_dead(*n) && found.contains(&text(*n))).count()
}

#[test]
fn what_dies_while_all_moves_to_a_younger_tree_comes_back_from_neither() {
    assert_eq!(stolen_while_it_moves(), 0);
}

/// What must be there, by id: its text.
type Model = BTreeMap<ItemId, (Option<ChatId>, Vec<u8>, Option<i64>)>;

struct Random {
    home: Home,
    vault: Vault,
    chats: Vec<ChatId>,
    living: Model,
    dead: Vec<Vec<u8>>,
    number: usize,
}

impl Random {
    fn step(&mut self, dice: &mut Dice) {
        let ids: Vec<ItemId> = self.living.keys().copied().collect();
        let any = (!ids.is_empty()).then(|| ids[dice.below(ids.len().max(1))]);
        match (dice.below(12), any) {
            (0..=4, _) | (_, None) => self.insert(dice),
            (5, Some(id)) => {
                self.number += 1;
                let text = format!("text {} again", self.number).into_bytes();
                let sealed = text.clone();
                write(&self.vault, move |w| w.replace(id, &sealed)).unwrap();
                let old = std::mem::replace(&mut self.living.get_mut(&id).unwrap().1, text);
                self.dead.push(old);
            }
            (6, Some(id)) => {
                let deadline = self.vault.now().plus_ms(1 + 500 * i64::try_from(dice.below(60)).unwrap());
                if let Ok(promised) = write(&self.vault, move |w| w.start_timer(id, deadline)) {
                    self.living.get_mut(&id).unwrap().2 = Some(promised.0);
                }
            }
            (7, Some(id)) => {
                wipe_by_hand(&self.vault, id);
                self.dead.push(self.living.remove(&id).unwrap().1);
            }
            (8, _) if dice.below(6) == 0 => {
                let chat = self.chats.swap_remove(dice.below(self.chats.len()));
                write(&self.vault, move |w| w.wipe_chat(chat)).unwrap();
                self.chats.push(create_chat(&self.vault));
                let gone: Vec<ItemId> =
                    self.living.iter().filter(|(_, i)| i.0 == Some(chat)).map(|(id, _)| *id).collect();
                self.dead.extend(gone.iter().map(|id| self.living.remove(id).unwrap().1));
            }
            (9, _) => {
                self.home.clock.advance(dice.below(6_000) as u64);
                wipe(&self.vault);
            }
            (10, _) if dice.below(4) == 0 => self.restart(),
            _ => drop(block_on(self.vault.wipe())),
        }
        let now = self.vault.now().0;
        let due: Vec<ItemId> =
            self.living.iter().filter(|(_, i)| i.2.is_some_and(|due| due <= now)).map(|(id, _)| *id).collect();
        self.dead.extend(due.iter().map(|id| self.living.remove(id).unwrap().1));
    }

    fn insert(&mut self, dice: &mut Dice) {
        self.number += 1;
        let text = format!("text {}", self.number).into_bytes();
        let chat = [None, Some(self.chats[0]), Some(self.chats[1])][dice.below(3)];
        let until = self.vault.now().plus_ms(1_000 + 1_000 * i64::try_from(dice.below(90)).unwrap());
        let far = self.vault.now().plus_ms(FAR_MS + 977_000 * i64::try_from(dice.below(900)).unwrap());
        let life = [
            Life::Record,
            Life::Held { limit: None },
            Life::Held { limit: Some(until) },
            Life::Until(until),
            Life::Until(far),
        ][dice.below(5)];
        let id = random_id();
        insert_as(&self.vault, id, chat, life, &text).unwrap();
        let round_up = |at: i64| (at + 999).div_euclid(1_000) * 1_000;
        let due = match life {
            Life::Until(at) | Life::Held { limit: Some(at) } => Some(round_up(at.0)),
            _ => None,
        };
        self.living.insert(id, (chat, text, due));
    }

    /// As after a power cut: nothing is said to the vault.
    fn restart(&mut self) {
        let nobody = Home::new();
        let vault = std::mem::replace(&mut self.vault, nobody.create());
        drop(vault);
        self.vault = self.home.open();
        self.vault.move_from_bytes(CROWDED);
    }
}

#[test]
fn over_random_lives_and_many_trees_nothing_is_lost_and_nothing_returns() {
    for seed in 0..6 {
        let mut dice = Dice(seed);
        let home = Home::new();
        let vault = home.create();
        vault.move_from_bytes(CROWDED);
        let chats = vec![create_chat(&vault), create_chat(&vault)];
        let mut random = Random { home, vault, chats, living: Model::new(), dead: Vec::new(), number: 0 };
        let mut profiles = Vec::new();
        for step in 0..260 {
            random.step(&mut dice);
            if step % 60 == 30 {
                profiles.push(random.home.copy(&random.home.place.profile, &format!("profile {step}")));
            }
        }
        random.home.clock.advance(2_000);
        random.step(&mut dice);
        wipe(&random.vault);
        let now = random.vault.now().0;
        random.living.retain(|_, item| item.2.is_none_or(|due| due > now));
        for (id, (_, text, _)) in &random.living {
            assert_eq!(body(&random.vault, *id).as_ref(), Some(text), "seed {seed}");
        }
        let shares = [random.home.copy(&random.home.place.share, "the thief's share")];
        profiles.push(random.home.copy(&random.home.place.profile, "last"));
        let key = random.vault.raw_key().unwrap().key;
        let found = Loot::gather(&profiles, &shares, &key).everything();
        let returned: Vec<_> = random.dead.iter().filter(|text| found.contains(*text)).collect();
        assert!(returned.is_empty(), "seed {seed}: {} of {} dead returned", returned.len(), random.dead.len());
        assert!(random.living.values().all(|(_, text, _)| found.contains(text)), "seed {seed}");
        assert!(random.dead.len() > 20, "seed {seed}");
    }
}

#[test]
fn a_new_database_key_opens_no_old_copy_and_the_old_one_nothing_new() {
    let home = Home::new();
    let vault = home.create();
    let id = insert(&vault, None, Life::Record, b"stays").unwrap();
    let old = vault.raw_key().unwrap().key;
    let before = home.copy(&home.place.profile, "before").join("vault.db");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !is_over.load(Ordering::SeqCst) {
                assert_eq!(body(&vault, id).unwrap(), b"stays");
                reads += 1;
            }
            reads
        });
        block_on(vault.renew_database_key()).unwrap();
        is_over.store(true, Ordering::SeqCst);
        assert!(reader.join().unwrap() > 0, "somebody read all the time");
    });
    let new = vault.raw_key().unwrap().key;
    assert_ne!(old, new);
    let after = home.copy(&home.place.profile, "after").join("vault.db");
    let opens = |path, key: &[u8; 32]| {
        open_database(path, key).query_row("SELECT count(*) FROM item", [], |row| row.get::<_, i64>(0)).is_ok()
    };
    assert!(opens(&before, &old) && opens(&after, &new), "or this test sees nothing");
    assert!(!opens(&before, &new) && !opens(&after, &old));
    let other = insert(&vault, None, Life::Record, b"and goes on").unwrap();
    drop(vault);
    let vault = home.open();
    assert_eq!((body(&vault, id).unwrap(), body(&vault, other).unwrap()), (b"stays".to_vec(), b"and goes on".to_vec()));
}

#[test]
fn after_a_week_the_database_key_is_renewed_when_nobody_writes() {
    let home = Home::new();
    let vault = home.create();
    insert(&vault, None, Life::Record, b"stays").unwrap();
    let old = vault.raw_key().unwrap().key;
    let renewed = || vault.raw_key().unwrap().key != old;
    home.clock.advance(11_000);
    wipe(&vault);
    // Only then has it been looked at.
    let_the_background_run(&vault, 1);
    home.clock.advance(6 * 86_400_000);
    wipe(&vault);
    let_the_background_run(&vault, 3);
    assert!(!renewed(), "its week is not over");
    home.clock.advance(2 * 86_400_000);
    insert(&vault, None, Life::Record, b"just now").unwrap();
    wipe(&vault);
    let_the_background_run(&vault, 3);
    assert!(!renewed(), "somebody writes");
    home.clock.advance(11_000);
    wipe(&vault);
    let_the_background_run(&vault, 3);
    assert!(renewed());
}
