//! No trace: what died lies nowhere, with the database's key in hand. And each search is first shown to see.

use std::{collections::BTreeSet, path::Path, process::Command, time::Duration};

use aho_corasick::AhoCorasick;
use futures_util::future::join_all;
use mayfly_core::{ChatId, ProfilePlace, view::MessageState};
use mayfly_tests::{
    forensics::{
        Canaries, Canary, Loot, PageCipher, PageKind, Report, Scanner,
        leak::{self, Pages, PlantError},
        open_everything, read_pages,
    },
    people::{Person, World, after_read, after_send, eventually, ids},
    sabotage,
};
use tempfile::TempDir;

const MESSAGES: usize = 2_000;
/// Written after the wipe; they live.
const AFTERWARDS: usize = 20;
/// How many are sent at once; more would only wait in the vault's queue.
const AT_ONCE: usize = 100;
/// How many of the newest messages are not read yet, at most.
const IN_HAND: u32 = 200;
/// The number that the core gives to messages among the vault's items.
const MESSAGE_KIND: u8 = 19;

/// Whether message `n` dies within the story: half of each author's, of each timer mode, of each length.
fn dies(n: usize) -> bool {
    n % 4 < 2
}

/// A copy of files as they lie on the disk now. Another process makes it: closing a descriptor of a live database in
/// this one would drop its locks.
fn image(from: &[(&Path, &str)]) -> TempDir {
    let image = tempfile::Builder::new().prefix("mayfly-image-").tempdir().unwrap();
    for (path, name) in from {
        assert!(Command::new("cp").arg("-a").arg(path).arg(image.path().join(name)).status().unwrap().success());
    }
    image
}

fn image_of(place: &ProfilePlace) -> TempDir {
    image(&[(&place.dir, "profile"), (&place.share_dir, "share")])
}

fn cipher(person: &Person) -> PageCipher {
    let key = person.engine.raw_key().unwrap();
    PageCipher::new(key.key, key.salt)
}

/// Searches the raw files of a profile's image, and every page and frame of its database with the key in hand.
fn search(image: &Path, cipher: &PageCipher, scanner: &Scanner) -> Report {
    let mut report = scanner.tree(image).unwrap();
    report.add(scanner.database(&image.join("profile/vault.db"), cipher).unwrap());
    assert!(report.unreadable.is_empty(), "a search with blind spots proves nothing");
    report
}

/// Asserts that nobody's words or names lie in a profile's image, and that the search read a whole database: at least
/// `frames` frames of its log, too.
fn assert_clean(image: &Path, cipher: &PageCipher, scanner: &Scanner, frames: usize) {
    let report = search(image, cipher, scanner);
    let found: Vec<String> = report.hits.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} traces, the first: {}", found.len(), found[0]);
    assert_eq!(report.pages.foreign, 0, "every page opened with the key");
    let mut in_log = 0;
    let count = &mut |page: mayfly_tests::forensics::Page| in_log += usize::from(matches!(page.kind, PageKind::Wal(_)));
    read_pages(&image.join("profile/vault.db"), cipher, count).unwrap();
    assert!(in_log >= frames, "only {in_log} frames of the log were searched");
    let pages = report.pages.authentic;
    assert!(pages > 400, "only {pages} pages were searched");
    println!("searched {} files, {} bytes, {pages} pages, {in_log} of them in the log", report.files, report.bytes);
}

/// Each of the two, with their own name for the chat.
type Pair<'a> = [(&'a Person, ChatId); 2];

/// Both write by turns, in both modes, short and long; half of it with a timer that runs out within the story.
async fn send(pair: Pair<'_>, canaries: &[Canary], first: usize) {
    let sent = canaries.iter().zip(first..).map(|(canary, n)| async move {
        let (person, chat) = pair[n % 2];
        let ttl_s = if dies(n) { 60 } else { 50_000 };
        let timer = if n % 8 < 4 { after_send(ttl_s) } else { after_read(ttl_s) };
        // Some are so long that their rows need overflow pages, which end at many places.
        let padding = if n % 22 < 2 { "long ".repeat(1_000 + n * 7 % 800) } else { String::new() };
        person.engine.send_message(chat, &format!("{padding}{}", canary.text()), Some(timer)).await.unwrap();
    });
    join_all(sent).await;
}

/// Waits until both have so many living messages.
async fn both_have(pair: Pair<'_>, count: usize) {
    for (person, chat) in pair {
        let vault = person.engine.vault();
        eventually(|| vault.read(|reader| Ok(reader.count(Some(chat), MESSAGE_KIND)? == count as u64))).await.unwrap();
    }
}

/// Each reads the newest that the other wrote, and each sees that.
async fn read_all(pair: Pair<'_>) {
    for (person, chat) in pair {
        let all = person.engine.messages(chat, None, IN_HAND).unwrap();
        let unread: Vec<_> = all.into_iter().filter(|message| message.state == MessageState::Unread).collect();
        person.engine.mark_read(chat, &ids(&unread).unwrap()).await.unwrap();
    }
    let is_read = |state: MessageState| matches!(state, MessageState::Read | MessageState::Seen);
    for (person, chat) in pair {
        let newest = || person.engine.messages(chat, None, IN_HAND).unwrap();
        eventually_slowly(|| newest().iter().all(|message| is_read(message.state))).await;
    }
}

/// Waits for what costs too much to be asked all the time.
async fn eventually_slowly(holds: impl Fn() -> bool) {
    for _ in 0..900 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("it never came to this");
}

/// What the events say that lie in a relay's files: the ciphertext of messages and receipts.
fn contents(relay: &Path) -> Vec<Vec<u8>> {
    const KEY: &[u8] = b"\"content\":\"";
    let bodies = std::fs::read(relay.join("bodies.bin")).unwrap();
    let starts = bodies.windows(KEY.len()).enumerate().filter(|(_, window)| *window == KEY);
    starts.map(|(at, _)| bodies[at + KEY.len()..][..64].to_vec()).collect()
}

/// How many of these lie in any file of a relay, its log included.
fn kept(relay: &Path, contents: &[Vec<u8>]) -> usize {
    let sought = AhoCorasick::new(contents).unwrap();
    let files = std::fs::read_dir(relay).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let found = |file: Vec<u8>| sought.find_overlapping_iter(&file).map(|hit| hit.pattern()).collect::<Vec<_>>();
    files.flat_map(found).collect::<BTreeSet<_>>().len()
}

/// Waits until everything that a relay held was fetched, and erased at its addressee's word.
async fn emptied(relay: &Path) {
    eventually_slowly(|| contents(relay).is_empty()).await;
}

/// Plants one leak of each kind in a copy of a profile's image of its own, and finds it and nothing else.
fn find_leaks_in_profile(clean: &Path, cipher: &PageCipher, bait: &Bait) {
    for (leak, plant) in &bait.in_profile {
        let copy = image(&[(&clean.join("profile"), "profile"), (&clean.join("share"), "share")]);
        plant(copy.path(), cipher.clone(), leak).unwrap();
        let report = search(copy.path(), cipher, &bait.scanner);
        assert_eq!(report.labels(), BTreeSet::from([leak.label()]), "the planted leak and nothing else");
    }
}

type PlantInProfile = fn(&Path, PageCipher, &Canary) -> Result<(), PlantError>;
type PlantInRelay = fn(&Path, &Canary) -> Result<(), PlantError>;

fn pages(image: &Path, cipher: PageCipher) -> Pages {
    Pages::encrypted(&image.join("profile/vault.db"), cipher)
}

const PLACES_IN_PROFILE: [(&str, PlantInProfile); 9] = [
    ("page gap", |image, cipher, leak| pages(image, cipher).plant_in_page_gap(leak).map(drop)),
    ("freelist", |image, cipher, leak| pages(image, cipher).plant_in_freelist(leak).map(drop)),
    ("overflow page", |image, cipher, leak| pages(image, cipher).plant_in_overflow(leak).map(drop)),
    ("frame of the log", |image, cipher, leak| pages(image, cipher).plant_in_wal(leak).map(drop)),
    ("state file", |image, _, leak| leak::plant_in_zeros(&image.join("profile/state.0"), leak)),
    ("share file", |image, _, leak| leak::plant_in_zeros(&image.join("share/share"), leak)),
    ("blob", |image, _, leak| leak::plant_at_end(&image.join("profile/blobs/0f"), leak)),
    ("log file", |image, _, leak| leak::plant_at_end(&image.join("profile/mayfly.log"), leak)),
    ("window's profile", |image, _, leak| leak::plant_in_webview(&image.join("profile/webview"), leak)),
];

const PLACES_IN_RELAY: [(&str, PlantInRelay); 3] = [
    ("relay's index", |relay, leak| Pages::clear(&relay.join("index.db"))?.plant_in_page_gap(leak).map(drop)),
    ("relay's log", |relay, leak| leak::plant_at_end(&relay.join("index.db-wal"), leak)),
    ("relay's bodies", |relay, leak| leak::plant_at_end(&relay.join("bodies.bin"), leak)),
];

/// Everything that is looked for, and the search for all of it at once.
struct Bait {
    messages: Vec<Canary>,
    names: [Canary; 2],
    in_profile: Vec<(Canary, PlantInProfile)>,
    in_relay: Vec<(Canary, PlantInRelay)>,
    scanner: Scanner,
}

impl Bait {
    fn new() -> Self {
        let mut source = Canaries::new();
        let mut make = |label: String| source.make(label).unwrap();
        let messages: Vec<Canary> = (0..MESSAGES + AFTERWARDS).map(|n| make(format!("{n}"))).collect();
        let names = ["Anna", "Bela"].map(|name| make(name.to_owned()));
        let in_profile = PLACES_IN_PROFILE.map(|(place, plant)| (make(place.to_owned()), plant)).to_vec();
        let in_relay = PLACES_IN_RELAY.map(|(place, plant)| (make(place.to_owned()), plant)).to_vec();
        let leaks = in_profile.iter().map(|(leak, _)| leak).chain(in_relay.iter().map(|(leak, _)| leak));
        let scanner = Scanner::new(messages.iter().chain(&names).chain(leaks)).unwrap();
        Self { messages, names, in_profile, in_relay, scanner }
    }

    /// The labels of messages that are alive at the end.
    fn living() -> BTreeSet<String> {
        let all = 0..MESSAGES + AFTERWARDS;
        all.filter(|n| !dies(*n) || *n >= MESSAGES).map(|n| n.to_string()).collect()
    }
}

/// All messages are sent, fetched and read. Gives what the relay saw of the last ones, which wait there while Bela is away.
async fn talk(world: &World, people: [&mut Person; 2], chats: [ChatId; 2], bait: &Bait) -> Vec<Vec<u8>> {
    let [anna, bela] = people;
    let last = MESSAGES - AT_ONCE;
    for first in (0..last).step_by(AT_ONCE) {
        let pair = [(&*anna, chats[0]), (&*bela, chats[1])];
        send(pair, &bait.messages[first..first + AT_ONCE], first).await;
        both_have(pair, first + AT_ONCE).await;
        read_all(pair).await;
    }
    emptied(&world.relay_dir()).await;
    bela.pause().await;
    send([(&*anna, chats[0]), (&*bela, chats[1])], &bait.messages[last..MESSAGES], last).await;
    assert!(anna.engine.flush(Duration::from_secs(30)).await);
    let files = image(&[(&world.relay_dir(), "relay")]);
    let passed_through = contents(&files.path().join("relay"));
    // Besides her messages it may be receipts for his.
    assert!(passed_through.len() >= AT_ONCE / 2, "all that Anna sent waits there");
    assert_eq!(kept(&files.path().join("relay"), &passed_through), passed_through.len());
    bela.run();
    let pair = [(&*anna, chats[0]), (&*bela, chats[1])];
    both_have(pair, MESSAGES).await;
    read_all(pair).await;
    passed_through
}

/// Half of it dies. Life goes on, so that the log is not empty when it is searched.
async fn live_on(world: &World, pair: Pair<'_>, bait: &Bait) {
    world.clock.advance(65_000);
    both_have(pair, MESSAGES / 2).await;
    for (person, _) in pair {
        person.engine.vault().wipe().await.unwrap();
        person.engine.vault().settled().await.unwrap();
    }
    let sent = (MESSAGES..).zip(&bait.messages[MESSAGES..]).map(|(n, canary)| async move {
        let (person, chat) = pair[n % 2];
        person.engine.send_message(chat, &canary.text(), None).await.unwrap();
    });
    join_all(sent).await;
    both_have(pair, MESSAGES / 2 + AFTERWARDS).await;
    emptied(&world.relay_dir()).await;
}

/// The relay's raw files hold neither words nor names nor ciphertext, and a search that is shown a leak sees it.
fn search_relay(world: &World, bait: &Bait, passed_through: &[Vec<u8>]) {
    let files = image(&[(&world.relay_dir(), "relay")]);
    let relay = files.path().join("relay");
    assert_eq!(bait.scanner.tree(&relay).unwrap().hits.len(), 0);
    assert_eq!(kept(&relay, passed_through), 0, "the relay kept ciphertext");
    for (leak, plant) in &bait.in_relay {
        let copy = image(&[(&relay, "relay")]);
        plant(&copy.path().join("relay"), leak).unwrap();
        assert_eq!(bait.scanner.tree(copy.path()).unwrap().labels(), BTreeSet::from([leak.label()]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_thousand_messages_the_dead_half_lies_nowhere() {
    let bait = Bait::new();
    let world = World::new().await.unwrap();
    let mut anna = world.person(&bait.names[0].text()).await.unwrap();
    let mut bela = world.person(&bait.names[1].text()).await.unwrap();
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let ciphers = [cipher(&anna), cipher(&bela)];
    let passed_through = talk(&world, [&mut anna, &mut bela], [chat_a, chat_b], &bait).await;

    // While all live: every body is under a key of its own, so not even the living can be read with the database's.
    for (person, cipher) in [&mut anna, &mut bela].into_iter().zip(&ciphers) {
        person.pause().await;
        assert_clean(image_of(&person.place).path(), cipher, &bait.scanner, 50);
        person.run();
    }
    live_on(&world, [(&anna, chat_a), (&bela, chat_b)], &bait).await;

    search_relay(&world, &bait, &passed_through);
    for (person, cipher) in [&mut anna, &mut bela].into_iter().zip(&ciphers) {
        person.pause().await;
        let image = image_of(&person.place);
        assert_clean(image.path(), cipher, &bait.scanner, 20);
        let opened = opened(person, &bait.scanner);
        assert_eq!(opened, Bait::living(), "with every key that is left the living open, and nothing else");
        find_leaks_in_profile(image.path(), cipher, &bait);
    }
}

/// The labels of messages whose words open with all that is left in a person's files, share file included.
fn opened(person: &Person, scanner: &Scanner) -> BTreeSet<String> {
    let loot = Loot::take(&person.place, &person.engine.raw_key().unwrap(), true).unwrap();
    let bodies = open_everything(&[&loot]);
    let labels = bodies.iter().flat_map(|body| scanner.bytes("body", body)).map(|hit| hit.label);
    labels.filter(|label| label.parse::<usize>().is_ok()).collect()
}

/// What expires at a relay lies in none of its files a second later, whoever never fetched it.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_keeps_nothing_that_has_expired() {
    sabotage::from_environment();
    let world = World::new().await.unwrap();
    let (anna, mut bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, _) = world.meet(&anna, &bela).await.unwrap();
    emptied(&world.relay_dir()).await;
    bela.pause().await;
    for n in 0..20 {
        let text = format!("{n} {}", "words ".repeat(n * 50));
        anna.engine.send_message(chat_a, &text, Some(after_send(60))).await.unwrap();
    }
    assert!(anna.engine.flush(Duration::from_secs(30)).await);
    let files = || image(&[(&world.relay_dir(), "relay")]);
    let passed_through = contents(&files().path().join("relay"));
    assert!(passed_through.len() >= 20, "all of it waits there");

    // An hour is the shortest life that relays are asked for.
    world.relay_hand.advance(Duration::from_hours(1));
    tokio::time::sleep(Duration::from_millis(1_900)).await;
    assert_eq!(kept(&files().path().join("relay"), &passed_through), 0, "the relay keeps what has expired");
}
