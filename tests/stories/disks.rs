//! A1: whoever has the raw disk after the wipe, its freed blocks, its deleted files and its journal, opens nothing that
//! died. And the disks on which that cannot be had, each of which is seen to fail, and said to be weak.

use std::{process::Command, sync::Arc};

use mayfly_tests::{
    disk_image::{DiskImage, FileSystem, replace_by_renaming},
    forensics::{Hoard, Scanner},
    lives::{Lives, Mix, place_in},
};
use mayfly_vault::{Place, Tier, Vault};

/// How many die on each disk, in four groups: old keys are overwritten more than once.
const SIZE: usize = 100;
const LARGE: usize = 750;
const GROUPS: usize = 4;

fn carve(lives: &Lives, disk: &DiskImage) -> Hoard {
    let mut hoard = Hoard::default();
    hoard.search(&disk.raw().unwrap(), &lives.cipher().unwrap());
    hoard
}

async fn wipe(vault: &Vault) {
    vault.wipe().await.unwrap();
    vault.settled().await.unwrap();
}

/// Lives on a disk until all groups are dead. `between` is done once all is written. Gives what the raw disk held then.
async fn live(disk: &DiskImage, mix: Mix, size: usize, between: impl Fn(&Place)) -> (Lives, Tier, Hoard) {
    let place = place_in(&disk.path());
    let mut lives = Lives::begin(&place, mix, GROUPS, size).unwrap();
    wipe(&lives.vault).await;
    let hoard = carve(&lives, disk);
    assert!(hoard.opened().is_just(&lives.living()), "while all live, all opens from the raw disk");
    between(&place);
    let tier = lives.vault.tier();
    for _ in 0..GROUPS {
        lives.pass_to_next_death();
        wipe(&lives.vault).await;
    }
    (lives, tier, hoard)
}

async fn a_raw_disk_gives_nothing_back(kind: FileSystem, size: usize) {
    for mix in Mix::ALL {
        let Some(disk) = DiskImage::mount(kind).unwrap() else { return };
        let (lives, tier, before) = live(&disk, mix, size, |_| ()).await;
        let mut hoard = carve(&lives, &disk);
        let dead = lives.dead();
        let scanner = Scanner::new(&lives.canaries).unwrap();
        println!("{kind:?}, {mix:?}: {hoard:?}, {} rows of the dead on the raw disk", hoard.count_rows_of(&dead));
        assert_eq!(scanner.file(&disk.raw_file()).unwrap().hits.len(), 0, "nothing is in clear on the raw disk");
        // Nor do the rows of the day before help, of which a disk may keep any.
        hoard.add_rows(before);
        assert!(hoard.opened().is_just(&lives.living()), "{kind:?}, {mix:?}: the living open and nobody else");
        assert!(tier.words().starts_with("File system"), "{kind:?} is said to be {tier:?}");
        lives.vault.close().await.unwrap();
        // Not before now: the disk is unmounted with it.
        drop(disk);
    }
}

/// Key files that were copied before the wipe and deleted after it, as a careless backup does.
async fn a_deleted_copy_of_the_keys_is_found(kind: FileSystem) {
    let Some(disk) = DiskImage::mount(kind).unwrap() else { return };
    let stray = [0, 1, 2].map(|n| disk.path().join(format!("copy {n}")));
    let copied = |place: &Place| {
        let keys = [place.profile.join("state.0"), place.profile.join("state.1"), place.share.join("share")];
        for (key, copy) in keys.iter().zip(&stray) {
            std::fs::write(copy, std::fs::read(key).unwrap()).unwrap();
        }
        disk.raw().unwrap();
    };
    let (lives, _, before) = live(&disk, Mix::Append, SIZE, copied).await;
    // By another program: no source of this house removes files but through its one door.
    assert!(Command::new("rm").args(&stray).status().unwrap().success());
    let mut hoard = carve(&lives, &disk);
    hoard.add_rows(before);
    let recovered = hoard.opened().items().intersection(&lives.dead()).count();
    println!("{kind:?}: {recovered} of {} dead recovered with a deleted copy of the keys", lives.dead().len());
    assert!(recovered > 0, "{kind:?}: the search does not see deleted files");
    lives.vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_disk_of_ext4_gives_nothing_back() {
    a_raw_disk_gives_nothing_back(FileSystem::Ext4, SIZE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_disk_of_xfs_gives_nothing_back() {
    a_raw_disk_gives_nothing_back(FileSystem::Xfs, SIZE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_disk_of_btrfs_gives_nothing_back() {
    a_raw_disk_gives_nothing_back(FileSystem::Btrfs, SIZE).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn raw_disks_give_nothing_of_thousands_back() {
    for kind in [FileSystem::Ext4, FileSystem::Xfs, FileSystem::Btrfs] {
        a_raw_disk_gives_nothing_back(kind, LARGE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_search_of_a_raw_disk_sees_keys_that_were_deleted() {
    for kind in [FileSystem::Ext4, FileSystem::Xfs, FileSystem::Btrfs] {
        a_deleted_copy_of_the_keys_is_found(kind).await;
    }
}

/// What no overwriting can win, and what the tier says of it.
async fn the_dead_come_back(kind: FileSystem, why: &str, between: impl AsyncFn(&mut Lives, &Place)) -> Option<Tier> {
    let disk = DiskImage::mount(kind).unwrap()?;
    let place = place_in(&disk.path());
    let mut lives = Lives::begin(&place, Mix::Append, GROUPS, SIZE).unwrap();
    let before = carve(&lives, &disk);
    between(&mut lives, &place).await;
    let tier = lives.vault.tier();
    for _ in 0..GROUPS {
        lives.pass_to_next_death();
        wipe(&lives.vault).await;
    }
    let mut hoard = carve(&lives, &disk);
    hoard.add_rows(before);
    let recovered = hoard.opened().items().intersection(&lives.dead()).count();
    println!("{kind:?}, {why}: {recovered} of {} dead recovered, said to be {tier:?}", lives.dead().len());
    assert!(recovered > 0, "{kind:?}, {why}: better than known-limits.md says");
    lives.vault.close().await.unwrap();
    Some(tier)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_data_keeps_old_keys_and_is_said_to_be_weak() {
    let tier = the_dead_come_back(FileSystem::Ext4JournalsData, "data in the journal", async |_, _| ()).await;
    assert!(tier.is_none_or(|tier| tier.words().starts_with("Weak")), "said to be {tier:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_copies_on_write_keeps_old_keys_and_is_said_to_be_weak() {
    let copied = async |lives: &mut Lives, place: &Place| {
        lives.vault.close().await.unwrap();
        // A file that was restored from a backup: nobody asked for it to be written in place.
        for file in [place.profile.join("state.0"), place.profile.join("state.1"), place.share.join("share")] {
            replace_by_renaming(&file).unwrap();
        }
        lives.vault = Vault::open(place, None, Arc::new(lives.clock.clone())).unwrap();
    };
    let tier = the_dead_come_back(FileSystem::Btrfs, "copy on write", copied).await;
    assert!(tier.is_none_or(|tier| tier.words().starts_with("Weak")), "said to be {tier:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_with_the_share_in_it_opens_what_lived_then() {
    let snapshot = async |_: &mut Lives, place: &Place| {
        let disk = place.profile.parent().unwrap();
        let mut command = Command::new("btrfs");
        command.args(["-q", "subvolume", "snapshot"]).arg(disk).arg(disk.join("snapshot"));
        assert!(command.status().unwrap().success());
    };
    // Nothing that could be probed tells of a snapshot to come: docs/known-limits.md does.
    the_dead_come_back(FileSystem::Btrfs, "a snapshot (A2+)", snapshot).await;
}
