//! What burns: its key is in memory alone, so that it is over with the lock, the end of the program, and a crash.

use std::sync::Arc;

use mayfly_vault::{BURNING, ChatId, Error, ItemId, Life, NewItem, Urgency, Vault};

use crate::access::pass;
use crate::adversary::Loot;
use crate::home::{Home, block_on, body, create_chat, insert, rows, wipe};

const KIND: u8 = BURNING + 19;

fn insert_burning(vault: &Vault, chat: Option<ChatId>, life: Life, body: &'static [u8]) -> ItemId {
    let id = ItemId::random().unwrap();
    let job = move |w: &mut mayfly_vault::Writer<'_>| w.insert(&NewItem { id, chat, kind: KIND, life, body });
    vault.write_blocking(Urgency::User, job).unwrap();
    id
}

/// How many of the bodies that anybody could open from the files begin so.
fn found(home: &Home, key: &[u8; 32], name: &str, start: &[u8]) -> usize {
    let profiles = [home.copy(&home.place.profile, name)];
    let shares = [home.copy(&home.place.share, &format!("{name} share"))];
    let texts = Loot::knowing(&profiles, &shares, key, &[&pass("word")]).everything();
    texts.iter().filter(|text| text.starts_with(start)).count()
}

#[test]
fn what_burns_is_over_with_the_lock_the_end_and_a_crash_and_opens_from_no_file_before_either() {
    for end in ["lock", "close", "crash"] {
        let home = Home::new();
        let vault = Vault::create(&home.place, Some(&pass("word")), Arc::new(home.clock.clone())).unwrap();
        let chat = create_chat(&vault);
        let due = vault.now().plus_ms(3_600_000);
        let lives = [Life::Until(due), Life::Held { limit: Some(due) }, Life::Held { limit: None }, Life::Record];
        let burning = lives.map(|life| insert_burning(&vault, Some(chat), life, b"burning"));
        let stays = lives.map(|life| insert(&vault, Some(chat), life, b"staying").unwrap());
        assert_eq!(body(&vault, burning[0]).unwrap(), b"burning");
        let key = vault.raw_key().unwrap().key;
        wipe(&vault);
        // The control: the same thief opens what does not burn. He keeps each text once.
        let all = ["burning", "staying"].map(|text| found(&home, &key, &format!("{end} {text}"), text.as_bytes()));
        assert_eq!(all, [0, 1], "{end}");
        let vault = match end {
            "lock" => {
                block_on(vault.lock()).unwrap();
                vault.unlock(&pass("word")).unwrap();
                vault
            }
            "close" => {
                block_on(vault.close()).unwrap();
                home.try_open(Some("word")).unwrap()
            }
            _ => {
                drop(vault);
                home.try_open(Some("word")).unwrap()
            }
        };
        for id in burning {
            assert_eq!(vault.read(|r| r.item(id)), Ok(None), "{end}");
        }
        assert_eq!(vault.read(|r| r.count(Some(chat), KIND)), Ok(0));
        for id in stays {
            assert_eq!(body(&vault, id).unwrap(), b"staying", "{end}");
        }
        block_on(vault.settled()).unwrap();
        let left = rows(&home.copy(&home.place.profile, &format!("{end} after")), &key);
        assert!(left.iter().all(|row| !burning.contains(&row.id)), "{end}: its rows are cleared away");
        let again = insert_burning(&vault, Some(chat), Life::Record, b"burning again");
        assert_eq!(body(&vault, again).unwrap(), b"burning again", "{end}");
    }
}

#[test]
fn what_burns_is_read_timed_replaced_and_wiped_as_anything_else() {
    let home = Home::new();
    let vault = home.create();
    let chat = create_chat(&vault);
    let held = insert_burning(&vault, Some(chat), Life::Held { limit: None }, b"held");
    let record = insert_burning(&vault, None, Life::Record, b"record");
    let due = vault.now().plus_ms(10_000);
    let job = move |w: &mut mayfly_vault::Writer<'_>| {
        w.start_timer(held, due)?;
        w.replace(record, b"replaced")?;
        Ok::<_, Error>(())
    };
    vault.write_blocking(Urgency::User, job).unwrap();
    assert_eq!((body(&vault, held).unwrap(), body(&vault, record).unwrap()), (b"held".to_vec(), b"replaced".to_vec()));
    home.clock.advance(11_000);
    wipe(&vault);
    assert_eq!(vault.read(|r| r.item(held)), Ok(None));
    vault.write_blocking(Urgency::User, move |w| w.wipe(record)).unwrap();
    assert_eq!(vault.read(|r| r.item(record)), Ok(None));
}
