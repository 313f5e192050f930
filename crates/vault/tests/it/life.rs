//! Items: what goes in comes out, until it dies.

use mayfly_vault::{ChatId, Error, Item, ItemId, Life, NewItem, T0, UnixMs};

use crate::home::{
    Home, KIND, START, block_on, body, create_chat, insert, insert_as, item, open_database, random_id, wipe, write,
};

/// The promised moment: the deadline rounded up to the second.
fn up(deadline: UnixMs) -> UnixMs {
    UnixMs(deadline.0.div_euclid(1000) * 1000 + if deadline.0.rem_euclid(1000) == 0 { 0 } else { 1000 })
}

#[test]
fn an_item_of_any_life_reads_back_in_and_out_of_chats() {
    let home = Home::new();
    let vault = home.create();
    let chat = create_chat(&vault);
    let deadline = START.plus_ms(5_000);
    let lives = [
        (Life::Until(deadline), Life::Until(up(deadline))),
        (Life::Held { limit: None }, Life::Held { limit: None }),
        (Life::Held { limit: Some(deadline) }, Life::Held { limit: Some(up(deadline)) }),
        (Life::Record, Life::Record),
    ];
    for (life, expected) in lives {
        for chat in [None, Some(chat)] {
            let id = insert(&vault, chat, life, b"text").unwrap();
            let Item { life, chat: found, kind, body, .. } = item(&vault, id).unwrap();
            assert_eq!((life, found, kind), (expected, chat, KIND));
            assert_eq!(body.unwrap().as_slice(), b"text");
        }
    }
}

#[test]
fn pages_and_orders_follow_insertion() {
    let home = Home::new();
    let vault = home.create();
    let chat = create_chat(&vault);
    let mut orders = Vec::new();
    for n in 0..10u8 {
        let id = random_id();
        let new = move |w: &mut mayfly_vault::Writer<'_>| {
            w.insert(&NewItem { id, chat: Some(chat), kind: KIND, life: Life::Record, body: &[n] })
        };
        orders.push(write(&vault, new).unwrap());
    }
    insert(&vault, None, Life::Record, b"outside").unwrap();
    assert!(orders.windows(2).all(|pair| pair[0] < pair[1]));
    let bytes = |items: Vec<Item>| items.into_iter().map(|item| item.body.unwrap()[0]).collect::<Vec<_>>();
    vault
        .read(|r| {
            assert_eq!(bytes(r.page(Some(chat), KIND, None, 3)?), [9, 8, 7]);
            assert_eq!(bytes(r.page(Some(chat), KIND, Some(orders[7]), 3)?), [6, 5, 4]);
            assert_eq!(bytes(r.after(Some(chat), KIND, orders[7], 3)?), [8, 9]);
            assert_eq!(r.all(KIND)?.len(), 11);
            assert_eq!((r.count(Some(chat), KIND)?, r.count(None, KIND)?), (10, 1));
            assert_eq!(r.count(Some(chat), KIND + 1)?, 0);
            assert_eq!(r.all(1), Err(Error::ReservedKind));
            Ok::<_, Error>(())
        })
        .unwrap();
}

#[test]
fn what_must_not_go_in_is_refused() {
    let home = Home::new();
    let vault = home.create();
    let id = insert(&vault, None, Life::Record, b"a").unwrap();
    assert_eq!(insert_as(&vault, id, None, Life::Record, b"b"), Err(Error::Exists));
    for deadline in [
        START.plus_ms(-345),
        START.plus_ms(-1_000),
        UnixMs(0),
        UnixMs(i64::MIN),
        UnixMs(i64::MAX),
        T0.plus_ms((1 << 31) * 1000),
    ] {
        assert_eq!(insert(&vault, None, Life::Until(deadline), b"a"), Err(Error::DeadlineRange), "{deadline:?}");
        assert_eq!(insert(&vault, None, Life::Held { limit: Some(deadline) }, b"a"), Err(Error::DeadlineRange));
    }
    let stranger = ChatId::random().unwrap();
    assert_eq!(insert(&vault, Some(stranger), Life::Record, b"a"), Err(Error::NoChat));
    assert_eq!(insert(&vault, None, Life::Record, &vec![0; 1 << 24]), Err(Error::TooLarge));
    let reserved =
        write(&vault, |w| w.insert(&NewItem { id: random_id(), chat: None, kind: 15, life: Life::Record, body: b"" }));
    assert_eq!(reserved, Err(Error::ReservedKind));
    assert_eq!(write(&vault, move |w| w.replace(random_id(), b"")), Err(Error::NoItem));
    assert_eq!(write(&vault, move |w| w.start_timer(id, START.plus_ms(5000))), Err(Error::NoTimer));
    assert_eq!(write(&vault, move |w| w.wipe(random_id())), Ok(false));
    assert_eq!(write(&vault, move |w| w.wipe_chat(stranger)), Err(Error::NoChat));
}

#[test]
fn a_tombstone_keeps_an_id_out_until_its_time_is_over() {
    let home = Home::new();
    let vault = home.create();
    let id = random_id();
    write(&vault, move |w| w.bury(id, START.plus_ms(10_000))).unwrap();
    assert_eq!(insert_as(&vault, id, None, Life::Record, b"a"), Err(Error::Buried));
    assert!(vault.read(|r| r.is_buried(id)).unwrap());
    // A shorter one does not shorten it.
    write(&vault, move |w| w.bury(id, START.plus_ms(1_000))).unwrap();
    home.clock.advance(9_000);
    wipe(&vault);
    assert_eq!(insert_as(&vault, id, None, Life::Record, b"a"), Err(Error::Buried));
    home.clock.advance(2_000);
    wipe(&vault);
    assert_eq!(insert_as(&vault, id, None, Life::Record, b"a"), Ok(()));
}

#[test]
fn a_replaced_item_keeps_its_place_and_life_and_changes_its_body() {
    let home = Home::new();
    let vault = home.create();
    let chat = create_chat(&vault);
    for life in [Life::Until(START.plus_ms(60_000)), Life::Held { limit: None }, Life::Record] {
        let id = insert(&vault, Some(chat), life, b"old").unwrap();
        let before = item(&vault, id).unwrap();
        for text in [b"new".as_slice(), b"newer and longer than it was"] {
            write(&vault, move |w| w.replace(id, text)).unwrap();
            let after = item(&vault, id).unwrap();
            assert_eq!((after.order, after.life, after.chat), (before.order, before.life, before.chat));
            assert_eq!(after.body.unwrap().as_slice(), text);
        }
        wipe(&vault);
        assert_eq!(body(&vault, id).unwrap(), b"newer and longer than it was");
    }
}

#[test]
fn a_timer_starts_once_only_moves_forward_and_never_passes_a_limit() {
    let home = Home::new();
    let vault = home.create();
    let start = |id: ItemId, ms: i64| write(&vault, move |w| w.start_timer(id, START.plus_ms(ms)));
    let id = insert(&vault, None, Life::Held { limit: Some(START.plus_ms(60_000)) }, b"a").unwrap();
    assert_eq!(start(id, 90_000), Ok(up(START.plus_ms(60_000))), "the limit");
    assert_eq!(start(id, 30_000), Ok(up(START.plus_ms(30_000))), "earlier");
    assert_eq!(start(id, 40_000), Ok(up(START.plus_ms(30_000))), "later changes nothing");
    assert_eq!(start(id, i64::MAX), Ok(up(START.plus_ms(30_000))));
    assert_eq!(start(id, -5_000), Err(Error::DeadlineRange));
    assert_eq!(item(&vault, id).unwrap().life, Life::Until(up(START.plus_ms(30_000))));
    let unlimited = insert(&vault, None, Life::Held { limit: None }, b"b").unwrap();
    assert_eq!(start(unlimited, 1), Ok(up(START.plus_ms(1))));
    wipe(&vault);
    assert_eq!(body(&vault, id).unwrap(), b"a");
}

#[test]
fn items_that_share_a_leaf_survive_the_early_death_of_one_of_them() {
    let home = Home::new();
    let vault = home.create();
    let deadline = START.plus_ms(60_000);
    // One second, one first byte: one leaf for all of them.
    let ids: Vec<ItemId> =
        (0..40u8).map(|n| ItemId::from_bytes([&[7u8][..], &[n; 15]].concat().try_into().unwrap())).collect();
    for (n, id) in ids.iter().enumerate() {
        insert_as(&vault, *id, None, Life::Until(deadline), &[u8::try_from(n).unwrap()]).unwrap();
    }
    for (n, id) in ids.iter().enumerate().step_by(2) {
        let id = *id;
        if n % 4 == 0 {
            write(&vault, move |w| w.wipe(id)).unwrap();
        } else {
            write(&vault, move |w| w.start_timer(id, START.plus_ms(10_000))).unwrap();
        }
        wipe(&vault);
    }
    for (n, id) in ids.iter().enumerate() {
        let expected = (n % 4 != 0).then(|| vec![u8::try_from(n).unwrap()]);
        assert_eq!(body(&vault, *id), expected, "{n}");
    }
    home.clock.advance(61_000);
    wipe(&vault);
    assert!(ids.iter().all(|id| item(&vault, *id).is_none()));
}

#[test]
fn a_second_with_no_leaf_left_still_takes_items_that_die_on_time() {
    let home = Home::new();
    let vault = home.create();
    let deadline = up(START.plus_ms(60_000));
    let ids: Vec<ItemId> = (0..=u8::MAX).map(|n| ItemId::from_bytes([n; 16])).collect();
    for id in &ids {
        insert_as(&vault, *id, None, Life::Until(deadline), b"a").unwrap();
    }
    let all = ids.clone();
    write(&vault, move |w| all.into_iter().try_for_each(|id| w.wipe(id).map(|_| ()))).unwrap();
    wipe(&vault);
    let late = insert(&vault, None, Life::Until(deadline), b"late").unwrap();
    assert_eq!(item(&vault, late).unwrap().life, Life::Until(deadline));
    write(&vault, move |w| w.replace(late, b"later")).unwrap();
    wipe(&vault);
    assert_eq!(body(&vault, late).unwrap(), b"later");
    home.clock.advance(u64::try_from(deadline.0 - START.0).unwrap() - 1);
    wipe(&vault);
    assert_eq!(body(&vault, late).unwrap(), b"later");
    home.clock.advance(1);
    assert_eq!(item(&vault, late), None);
    wipe(&vault);
    home.clock.set_wall(START);
    assert_eq!(item(&vault, late), None);
}

#[test]
fn a_wiped_chat_is_gone_at_once_with_everything_in_it_and_nothing_else() {
    let home = Home::new();
    let vault = home.create();
    let (doomed, other) = (create_chat(&vault), create_chat(&vault));
    let ids: Vec<ItemId> = (0..500).map(|_| insert(&vault, Some(doomed), Life::Record, b"a").unwrap()).collect();
    let kept = insert(&vault, Some(other), Life::Record, b"kept").unwrap();
    write(&vault, move |w| w.wipe_chat(doomed)).unwrap();
    vault
        .read(|r| {
            assert!(r.page(Some(doomed), KIND, None, 10)?.is_empty());
            assert_eq!(r.count(Some(doomed), KIND)?, 0);
            assert_eq!(r.all(KIND)?.len(), 1);
            assert_eq!(r.item(ids[0])?, None);
            assert_eq!(r.derive_id(Some(doomed), b"x"), Err(Error::NoChat));
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!(insert(&vault, Some(doomed), Life::Record, b"a"), Err(Error::NoChat));
    let mut wipes = vault.wipes();
    wipe(&vault);
    assert!(wipes.try_recv().is_err(), "what went with its chat had not expired");
    let copy = home.copy(&home.place.profile, "copy");
    let left = crate::home::rows(&copy, &vault.raw_key().unwrap().key);
    assert!(left.iter().all(|row| row.chat != Some(doomed)));
    assert_eq!(body(&vault, kept).unwrap(), b"kept");
}

#[test]
fn ids_from_names_are_stable_and_differ_by_chat_and_vault() {
    let (home, other) = (Home::new(), Home::new());
    let vault = home.create();
    let chat = create_chat(&vault);
    let id = |vault: &mayfly_vault::Vault, chat, name: &'static [u8]| vault.read(|r| r.derive_id(chat, name)).unwrap();
    let (inside, outside) = (id(&vault, Some(chat), b"alice"), id(&vault, None, b"alice"));
    assert_ne!(inside, outside);
    assert_ne!(outside, id(&vault, None, b"bob"));
    assert_ne!(outside, id(&other.create(), None, b"alice"));
    drop(vault);
    let vault = home.open();
    assert_eq!((inside, outside), (id(&vault, Some(chat), b"alice"), id(&vault, None, b"alice")));
}

#[test]
fn a_damaged_row_is_told_from_a_missing_one() {
    let home = Home::new();
    let vault = home.create();
    let (id, well) =
        (insert(&vault, None, Life::Record, b"text").unwrap(), insert(&vault, None, Life::Record, b"well").unwrap());
    let key = vault.raw_key().unwrap().key;
    drop(vault);
    let conn = open_database(&home.place.profile.join("vault.db"), &key);
    conn.execute("UPDATE item SET body = zeroblob(80) WHERE item_id = ?1", [id.as_bytes()]).unwrap();
    drop(conn);
    let vault = home.open();
    assert_eq!(item(&vault, id).unwrap().body, None);
    assert_eq!(body(&vault, well).unwrap(), b"well");
    assert_eq!(write(&vault, move |w| w.wipe(id)), Ok(true));
    assert_eq!(item(&vault, id), None);
}

#[test]
fn nothing_secret_is_in_any_debug_text() {
    let home = Home::new();
    let vault = home.create();
    let id = insert(&vault, None, Life::Record, b"tell nobody").unwrap();
    let found = item(&vault, id).unwrap();
    let new = NewItem { id, chat: None, kind: KIND, life: Life::Record, body: b"tell nobody" };
    let all = format!("{vault:?} {found:?} {new:?} {:?} {:?}", home.place, vault.raw_key().unwrap());
    assert!(!all.contains("tell nobody") && !all.contains("116, 101") && !all.contains("profile"), "{all}");
}

#[test]
fn readers_see_one_snapshot_while_the_writer_goes_on() {
    let home = Home::new();
    let vault = home.create();
    let id = insert(&vault, None, Life::Held { limit: None }, b"held").unwrap();
    vault
        .read(|r| {
            assert_eq!(r.all(KIND)?.len(), 1);
            insert(&vault, None, Life::Record, b"more")?;
            assert_eq!(r.all(KIND)?.len(), 1, "not in this snapshot");
            // The leaf that the snapshot's row hangs from goes away under the reader: the row of now is shown instead.
            write(&vault, move |w| w.start_timer(id, START.plus_ms(60_000)))?;
            block_on(vault.wipe())?;
            let seen = r.item(id)?.unwrap();
            assert_eq!(seen.body.unwrap().as_slice(), b"held");
            write(&vault, move |w| w.wipe(id))?;
            block_on(vault.wipe())?;
            assert_eq!(r.item(id)?, None, "wiped, not damaged");
            Ok::<_, Error>(())
        })
        .unwrap();
}
