//! A0: whoever has the app's files after any step of a wipe, with the database's key, opens nothing that died.

use std::{path::Path, process::Command};

use mayfly_tests::{
    forensics::{Hoard, Scanner},
    lives::{Lives, Mix, place_in, search_files},
};
use mayfly_vault::{Step, Vault};
use tempfile::TempDir;

/// How many die at each step.
const SIZE: usize = 60;
const LARGE: usize = 1_250;

/// A copy of all files, made by another process: closing a descriptor of a live database in this one drops its locks.
fn image(from: &Path) -> TempDir {
    let image = tempfile::Builder::new().prefix("mayfly-image-").tempdir().unwrap();
    assert!(Command::new("cp").arg("-a").arg(from).arg(image.path()).status().unwrap().success());
    image
}

fn search(lives: &Lives, image: &Path) -> Hoard {
    let mut hoard = Hoard::default();
    search_files(&mut hoard, image, &lives.cipher().unwrap()).unwrap();
    hoard
}

/// Wipes up to a step, or to the end, and waits until it stands still there.
async fn wipe_up_to(vault: &Vault, step: Option<Step>) {
    vault.stop_wipes_after(step);
    vault.wipe().await.unwrap();
    if step != Some(Step::W2) {
        vault.settled().await.unwrap();
    }
}

async fn nothing_opens_after_any_step(mix: Mix, size: usize) {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let steps = [Some(Step::W2), Some(Step::W3), Some(Step::W4), None];
    let mut lives = Lives::begin(&place_in(&home), mix, steps.len(), size).unwrap();
    let scanner = Scanner::new(&lives.canaries).unwrap();
    let before = image(&home);
    assert!(search(&lives, before.path()).opened().items() == lives.living(), "while all live, all opens");
    for step in steps {
        lives.pass_to_next_death();
        wipe_up_to(&lives.vault, step).await;
        let after = image(&home);
        assert_eq!(scanner.tree(after.path()).unwrap().hits.len(), 0, "nothing is in clear");
        let hoard = search(&lives, after.path());
        let dead = lives.dead();
        println!("{mix:?}, after {step:?}: {hoard:?}, {} of them of the dead", hoard.count_rows_of(&dead));
        if step == Some(Step::W2) {
            assert!(hoard.count_rows_of(&dead) >= size, "the rows still stand, and are found");
        }
        assert!(hoard.opened().is_just(&lives.living()), "{mix:?}, after {step:?}: the living open and nobody else");
        // The leak: somebody kept the key files of the day before.
        let mut leaked = search(&lives, after.path());
        search_files(&mut leaked, before.path(), &lives.cipher().unwrap()).unwrap();
        assert!(leaked.opened().items().is_superset(&dead), "a search that is given the old keys finds the dead");
    }
    lives.vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_step_of_a_wipe_no_file_opens_what_died() {
    for mix in Mix::ALL {
        nothing_opens_after_any_step(mix, SIZE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn after_any_step_of_a_wipe_of_ten_thousand_no_file_opens_what_died() {
    for mix in Mix::ALL {
        nothing_opens_after_any_step(mix, LARGE).await;
    }
}
