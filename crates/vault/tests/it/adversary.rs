//! A2: whoever has a copy of all files but the share file from before the wipe, and everything after it.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use mayfly_vault::forensics::{Dump, FoundRow, Known, attack_knowing};
use mayfly_vault::{ChatId, ItemId, Life, NewItem, Passphrase, Urgency, Vault};

use crate::home::{Home, KIND, Row, body, create_chat, random_id, rows, wipe, write};

/// What the attack found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many texts have died.
    pub dead: usize,
    /// How many of them came back.
    pub recovered: usize,
    /// How many texts are alive.
    pub living: usize,
    /// How many of them the vault itself still reads.
    pub readable: usize,
}

/// The lives that the items lead; each is led by the same number of them.
const LIVES: usize = 10;

struct Story {
    vault: Vault,
    chats: [ChatId; 2],
    doomed_chat: ChatId,
    dead: BTreeSet<Vec<u8>>,
    living: Vec<(ItemId, Vec<u8>)>,
    /// Items by the life they lead.
    by_life: HashMap<usize, Vec<ItemId>>,
}

fn text(index: usize, version: &str) -> Vec<u8> {
    format!("canary {index} {version}").into_bytes()
}

impl Story {
    fn begin(home: &Home, count: usize) -> Self {
        let vault = home.create();
        let chats = [create_chat(&vault), create_chat(&vault)];
        let doomed_chat = create_chat(&vault);
        let mut story =
            Self { vault, chats, doomed_chat, dead: BTreeSet::new(), living: Vec::new(), by_life: HashMap::new() };
        for index in 0..count {
            story.insert(index);
        }
        story
    }

    fn insert(&mut self, index: usize) {
        let lives = index % LIVES;
        let chat = match lives {
            6 => Some(self.doomed_chat),
            _ => [None, Some(self.chats[0]), Some(self.chats[1])][index / LIVES % 3],
        };
        let soon = self.vault.now().plus_ms(10_000 + i64::try_from(index % 7).unwrap() * 300);
        let far = self.vault.now().plus_ms(86_400_000);
        let life = match lives {
            0 | 1 => Life::Until(soon),
            2 | 3 => Life::Held { limit: None },
            4 => Life::Held { limit: Some(soon) },
            5 | 6 | 9 => Life::Until(far),
            _ => Life::Record,
        };
        let (id, body) = (random_id(), text(index, "first"));
        let sealed = body.clone();
        let insert =
            move |w: &mut mayfly_vault::Writer<'_>| w.insert(&NewItem { id, chat, kind: KIND, life, body: &sealed });
        self.vault.write_blocking(Urgency::User, insert).unwrap();
        self.by_life.entry(lives).or_default().push(id);
        match lives {
            7 => {
                self.dead.insert(body);
                self.living.push((id, text(index, "second")));
            }
            // 9 shares its second, and sometimes its leaf, with items that are wiped by hand.
            8 | 9 => self.living.push((id, body)),
            _ => {
                self.dead.insert(body);
            }
        }
    }

    fn each(&self, lives: usize, job: impl Fn(&mut mayfly_vault::Writer<'_>, ItemId) + Send + 'static) {
        let ids = self.by_life.get(&lives).cloned().unwrap_or_default();
        write(&self.vault, move |w| {
            for id in ids {
                job(w, id);
            }
            Ok(())
        })
        .unwrap();
    }

    /// Timers start, records are replaced, things are wiped by hand, and a chat with all that is in it.
    fn go_on(&self) {
        let soon = self.vault.now().plus_ms(9_000);
        for lives in [2, 3] {
            self.each(lives, move |w, id| {
                assert!(w.start_timer(id, soon).unwrap() >= soon);
            });
        }
        self.each(5, |w, id| assert!(w.wipe(id).unwrap()));
        let chat = self.doomed_chat;
        write(&self.vault, move |w| w.wipe_chat(chat)).unwrap();
        for (id, second) in self.living.iter().filter(|(_, text)| text.ends_with(b"second")) {
            let (id, second) = (*id, second.clone());
            write(&self.vault, move |w| w.replace(id, &second)).unwrap();
        }
    }

    fn readable(&self) -> usize {
        self.living.iter().filter(|(id, text)| body(&self.vault, *id).as_ref() == Some(text)).count()
    }
}

/// What the adversary holds.
pub struct Loot {
    dumps: Vec<Dump>,
    rows: Vec<Row>,
}

impl Loot {
    /// What was found of a vault without a passphrase.
    pub fn gather(profiles: &[PathBuf], shares: &[PathBuf], database_key: &[u8; 32]) -> Self {
        Self::gather_by(profiles, shares, database_key, &[Known::default()])
    }

    /// The same, by somebody who knows passphrases, too.
    pub fn knowing(profiles: &[PathBuf], shares: &[PathBuf], database_key: &[u8; 32], words: &[&Passphrase]) -> Self {
        let knowledge: Vec<Known<'_>> = std::iter::once(None)
            .chain(words.iter().map(|word| Some(*word)))
            .map(|pass| Known { pass, keyring: None })
            .collect();
        Self::gather_by(profiles, shares, database_key, &knowledge)
    }

    /// The same, by several who know different things.
    pub fn gather_by(
        profiles: &[PathBuf],
        shares: &[PathBuf],
        database_key: &[u8; 32],
        knowledge: &[Known<'_>],
    ) -> Self {
        let read = |path: &Path| std::fs::read(path).unwrap();
        // The same file in two copies is tried once.
        let states: BTreeSet<Vec<u8>> =
            profiles.iter().flat_map(|p| [read(&p.join("state.0")), read(&p.join("state.1"))]).collect();
        let shares: BTreeSet<Vec<u8>> = shares.iter().map(|folder| read(&folder.join("share"))).collect();
        let states: Vec<&[u8]> = states.iter().map(Vec::as_slice).collect();
        let shares: Vec<&[u8]> = shares.iter().map(Vec::as_slice).collect();
        let dumps = knowledge.iter().flat_map(|known| attack_knowing(&states, &shares, *known)).collect();
        let mut rows: Vec<Row> = profiles.iter().flat_map(|profile| rows(profile, database_key)).collect();
        let mut seen = BTreeSet::new();
        rows.retain(|row| seen.insert((row.wrap.clone(), row.body.clone())));
        Self { dumps, rows }
    }

    fn open(dump: &Dump, row: &Row, chat_key: &[u8; 32]) -> Option<Vec<u8>> {
        let Row { id, chat, kind, tau, generation, ref wrap, ref body } = *row;
        let found = FoundRow { id, chat, kind, tau, generation, wrap, body };
        let dek = dump.unwrap(&found, chat_key)?;
        dump.open_body(&found, &dek).map(|body| body.to_vec())
    }

    /// Every text that any old wrap gives with any key of any time.
    pub fn everything(&self) -> BTreeSet<Vec<u8>> {
        let mut chat_keys: HashMap<ChatId, BTreeSet<[u8; 32]>> = HashMap::new();
        for row in self.rows.iter().filter(|row| row.kind == 1) {
            for dump in &self.dumps {
                if let Some(key) = Self::open(dump, row, &[0; 32]) {
                    let keys = chat_keys.entry(ChatId::from_bytes(*row.id.as_bytes())).or_default();
                    keys.insert(key.try_into().unwrap());
                }
            }
        }
        let mut found = BTreeSet::new();
        for row in self.rows.iter().filter(|row| row.kind == KIND) {
            let none = BTreeSet::from([[0; 32]]);
            let keys = row.chat.map_or(Some(&none), |chat| chat_keys.get(&chat));
            for key in keys.into_iter().flatten() {
                found.extend(self.dumps.iter().filter_map(|dump| Self::open(dump, row, key)));
            }
        }
        found
    }
}

/// Lives the story of `count` items, with a copy of everything but the share file at each step before the wipe.
pub fn a2(count: usize, with_wipe: bool) -> Outcome {
    let home = Home::new();
    let mut story = Story::begin(&home, count);
    let profile = home.place.profile.clone();
    let mut profiles = vec![home.copy(&profile, "before")];
    // A wipe between the steps, as the real reaper does them: the frontier of the first copy is not that of the second.
    if with_wipe {
        wipe(&story.vault);
    }
    story.go_on();
    profiles.push(home.copy(&profile, "gone on"));
    home.clock.advance(20_000);
    profiles.push(home.copy(&profile, "due"));
    let database_key = story.vault.raw_key().unwrap().key;
    if with_wipe {
        wipe(&story.vault);
    }
    let mut shares = vec![home.copy(&home.place.share, "share after")];
    profiles.push(home.copy(&profile, "after"));
    if with_wipe {
        // And everything later: another text, another wipe.
        let soon = story.vault.now().plus_ms(1000);
        let id = crate::home::insert(&story.vault, None, Life::Until(soon), b"later").unwrap();
        home.clock.advance(5_000);
        wipe(&story.vault);
        assert_eq!(body(&story.vault, id), None);
        story.dead.insert(b"later".to_vec());
        shares.push(home.copy(&home.place.share, "share later"));
        profiles.push(home.copy(&profile, "later"));
    }
    let found = Loot::gather(&profiles, &shares, &database_key).everything();
    Outcome {
        dead: story.dead.len(),
        recovered: story.dead.intersection(&found).count(),
        living: story.living.len(),
        readable: story.readable(),
    }
}

#[test]
fn of_a_thousand_items_nothing_dead_comes_back_and_everything_living_stays() {
    let outcome = a2(1000, true);
    assert_eq!(outcome.recovered, 0, "{outcome:?}");
    assert_eq!((outcome.dead, outcome.living, outcome.readable), (801, 300, 300), "{outcome:?}");
}

#[test]
fn without_a_wipe_the_same_attack_finds_everything() {
    let outcome = a2(1000, false);
    assert_eq!(outcome.recovered, outcome.dead, "{outcome:?}");
    assert_eq!((outcome.dead, outcome.readable), (800, 300), "{outcome:?}");
}
