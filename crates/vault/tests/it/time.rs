//! Never early, never late, whatever the clocks say.

use mayfly_vault::{Error, Life, UnixMs, Urgency};

use crate::home::{Home, START, block_on, body, insert, item, wipe, write};

#[test]
fn an_item_lives_a_millisecond_before_its_second_and_not_when_it_begins() {
    for (offset, at_once) in [(0, true), (1, true), (655, true), (999, false)] {
        let home = Home::new();
        let vault = home.create();
        let deadline = START.plus_ms(10_000 + offset);
        let id = insert(&vault, None, Life::Until(deadline), b"a").unwrap();
        let Life::Until(promised) = item(&vault, id).unwrap().life else { panic!("timed") };
        assert!(promised >= deadline && promised.0 - deadline.0 < 1000 && promised.0 % 1000 == 0);
        assert_eq!(vault.next_wipe().unwrap(), Some(promised));
        home.clock.advance(u64::try_from(promised.0 - START.0).unwrap() - 1);
        wipe(&vault);
        assert_eq!(body(&vault, id).unwrap(), b"a");
        home.clock.advance(1);
        if at_once {
            assert_eq!(item(&vault, id), None, "hidden even before the wipe");
        }
        let mut wipes = vault.wipes();
        wipe(&vault);
        assert_eq!(item(&vault, id), None);
        assert_eq!(wipes.try_recv().unwrap()[0].id, id);
    }
}

#[test]
fn a_clock_set_back_lengthens_no_life() {
    let home = Home::new();
    let vault = home.create();
    let id = insert(&vault, None, Life::Until(START.plus_ms(10_000)), b"a").unwrap();
    home.clock.set_wall(START.plus_ms(-3_600_000));
    assert_eq!(vault.now(), START);
    home.clock.advance(11_000);
    assert_eq!(vault.now(), START.plus_ms(11_000));
    wipe(&vault);
    assert_eq!(item(&vault, id), None);
    // Nor does a restart with the clock still wrong bring anything back.
    drop(vault);
    home.clock.reboot();
    let vault = home.open();
    assert_eq!(vault.now(), START.plus_ms(11_000));
    assert_eq!(item(&vault, id), None);
}

#[test]
fn a_clock_set_far_forward_only_hides_until_it_is_confirmed() {
    let home = Home::new();
    let vault = home.create();
    let id = insert(&vault, None, Life::Until(START.plus_ms(60_000)), b"a").unwrap();
    home.clock.set_wall(START.plus_ms(3_600_000));
    wipe(&vault);
    assert_eq!(item(&vault, id), None, "hidden");
    assert_eq!(vault.now(), START);
    home.clock.set_wall(START);
    assert_eq!(body(&vault, id).unwrap(), b"a", "and not destroyed");
    home.clock.set_wall(START.plus_ms(3_600_000));
    vault.confirm_clock();
    assert_eq!(vault.now(), START.plus_ms(3_600_000));
    wipe(&vault);
    home.clock.set_wall(START);
    assert_eq!(item(&vault, id), None);
    assert_eq!(vault.now(), START.plus_ms(3_600_000));
}

#[test]
fn what_dies_while_the_vault_is_closed_is_gone_when_it_opens() {
    let home = Home::new();
    let vault = home.create();
    let dead = insert(&vault, None, Life::Until(START.plus_ms(60_000)), b"a").unwrap();
    let held = insert(&vault, None, Life::Held { limit: Some(START.plus_ms(50_000)) }, b"a").unwrap();
    let alive = insert(&vault, None, Life::Until(START.plus_ms(86_400_000)), b"b").unwrap();
    block_on(vault.close()).unwrap();
    home.clock.advance(3_600_000);
    home.clock.reboot();
    let vault = home.open();
    assert_eq!((item(&vault, dead), item(&vault, held)), (None, None));
    assert_eq!(body(&vault, alive).unwrap(), b"b");
    // The rows are gone before open returns.
    let copy = home.copy(&home.place.profile, "copy");
    let rows = crate::home::rows(&copy, &vault.raw_key().unwrap().key);
    assert!(rows.iter().all(|row| row.id != dead && row.id != held));
}

#[test]
fn the_next_wipe_is_the_earliest_of_all_reasons() {
    let home = Home::new();
    let vault = home.create();
    let next = || vault.next_wipe().unwrap().unwrap();
    assert_eq!(next(), START.plus_ms(600_000), "the mark of time");
    let id = insert(&vault, None, Life::Record, b"a").unwrap();
    write(&vault, move |w| w.replace(id, b"b")).unwrap();
    assert!(next() > START && next() <= START.plus_ms(60_000), "a replaced record");
    let held = insert(&vault, None, Life::Held { limit: Some(START.plus_ms(20_000)) }, b"a").unwrap();
    assert!(next() >= START.plus_ms(20_000) && next() < START.plus_ms(21_000), "a limit");
    insert(&vault, None, Life::Until(START.plus_ms(5_000)), b"a").unwrap();
    assert!(next() >= START.plus_ms(5_000) && next() < START.plus_ms(6_000), "a deadline");
    write(&vault, move |w| w.wipe(held)).unwrap();
    assert!(next() > START && next() <= START.plus_ms(1_000), "wiped by hand");
    wipe(&vault);
    assert!(next() >= START.plus_ms(5_000), "what a wipe has taken needs no other");
}

#[test]
fn whoever_waits_for_the_next_wipe_is_woken_by_an_earlier_one() {
    let home = Home::new();
    let vault = home.create();
    block_on(async {
        // The wipe at the start has left one signal.
        vault.next_wipe_changed().await;
        let waiter = vault.clone();
        let woken = tokio::spawn(async move { waiter.next_wipe_changed().await });
        let deadline = START.plus_ms(5_000);
        vault
            .write(Urgency::User, move |w| {
                let id = mayfly_vault::ItemId::random()?;
                let life = Life::Until(deadline);
                w.insert(&mayfly_vault::NewItem { id, chat: None, kind: 16, life, body: b"" })
            })
            .await
            .map_err(|error: Error| error)
            .unwrap();
        woken.await.unwrap();
    });
}

#[test]
fn the_vault_asks_no_clock_but_the_one_it_was_given() {
    let home = Home::new();
    let vault = home.create();
    assert_eq!(vault.now(), START);
    assert_eq!(vault.clock().read().wall, START);
    assert_eq!(vault.read(|r| Ok::<UnixMs, Error>(r.now())).unwrap(), START);
}
