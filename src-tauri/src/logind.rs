//! What the login tells: that the machine is about to sleep, and that the session was locked.
//!
//! org.freedesktop.login1 (systemd's "The D-Bus API of systemd-logind"). Where nobody answers there, the window locks by
//! itself after a while, and by hand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use dbus::{
    Path,
    arg::{OwnedFd, PropMap, RefArg as _},
    blocking::{Connection, stdintf::org_freedesktop_dbus::Properties as _},
    message::MatchRule,
};

const NAME: &str = "org.freedesktop.login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const SESSION: &str = "org.freedesktop.login1.Session";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const ROOT: &str = "/org/freedesktop/login1";
/// How long logind may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long to wait before asking for a bus that is not there, or went away.
const AGAIN: Duration = Duration::from_secs(30);

/// What was told.
enum Told {
    Sleep,
    Awake,
    Locked,
}

/// Listens on a thread of its own for as long as the program runs, and locks whenever it is time to: the machine sleeps
/// only after `lock` has returned, or logind's patience has ended. `is_heard` says whether somebody tells.
pub fn watch(is_heard: Arc<AtomicBool>, lock: impl Fn() + Send + 'static) {
    let listen = move || {
        loop {
            // A bus that goes away takes its news along; until it is back the other ways to lock remain.
            let _ = hear(&is_heard, &lock);
            is_heard.store(false, Ordering::Relaxed);
            std::thread::sleep(AGAIN);
        }
    };
    // Without the thread, too, the other ways remain.
    let _ = std::thread::Builder::new().name("logind".to_owned()).spawn(listen);
}

fn hear(is_heard: &AtomicBool, lock: &impl Fn()) -> Result<(), dbus::Error> {
    let bus = Connection::new_system()?;
    let mut delay = Some(delay_sleep(&bus)?);
    let (teller, told) = mpsc::channel();
    listen_for_sleep(&bus, teller.clone())?;
    if let Some(session) = own_session(&bus) {
        listen_for_lock(&bus, &session, teller)?;
    }
    is_heard.store(true, Ordering::Relaxed);
    loop {
        bus.process(AGAIN)?;
        for news in told.try_iter() {
            match news {
                Told::Sleep => {
                    lock();
                    // Now it may sleep.
                    delay = None;
                }
                Told::Awake => delay = delay.or(delay_sleep(&bus).ok()),
                Told::Locked => lock(),
            }
        }
    }
}

/// Has logind wait with sleeping until what this gives is dropped.
fn delay_sleep(bus: &Connection) -> Result<OwnedFd, dbus::Error> {
    let manager = bus.with_proxy(NAME, ROOT, ANSWER);
    let why = ("sleep", "Mayfly", "Messages are locked first", "delay");
    manager.method_call(MANAGER, "Inhibit", why).map(|(delay,): (OwnedFd,)| delay)
}

fn listen_for_sleep(bus: &Connection, teller: mpsc::Sender<Told>) -> Result<(), dbus::Error> {
    let rule = MatchRule::new_signal(MANAGER, "PrepareForSleep").with_path(ROOT);
    bus.add_match(rule, move |(is_going,): (bool,), _, _| {
        teller.send(if is_going { Told::Sleep } else { Told::Awake }).is_ok()
    })?;
    Ok(())
}

/// A session is locked by logind's signal, or by the desktop, which then tells logind.
fn listen_for_lock(bus: &Connection, session: &Path<'static>, teller: mpsc::Sender<Told>) -> Result<(), dbus::Error> {
    let also = teller.clone();
    let rule = MatchRule::new_signal(SESSION, "Lock").with_path(session.clone());
    bus.add_match(rule, move |(): (), _, _| teller.send(Told::Locked).is_ok())?;
    let rule = MatchRule::new_signal(PROPERTIES, "PropertiesChanged").with_path(session.clone());
    bus.add_match(rule, move |(interface, changed, _): (String, PropMap, Vec<String>), _, _| {
        let is_locked = changed.get("LockedHint").and_then(|hint| hint.0.as_i64()) == Some(1);
        if interface == SESSION && is_locked {
            return also.send(Told::Locked).is_ok();
        }
        true
    })?;
    Ok(())
}

/// The session of this process; or, for one that the user's own manager started, the one the user looks at.
fn own_session(bus: &Connection) -> Option<Path<'static>> {
    let manager = bus.with_proxy(NAME, ROOT, ANSWER);
    let by_id =
        |id: String| manager.method_call(MANAGER, "GetSession", (id,)).ok().map(|(session,): (Path<'static>,)| session);
    let by_process = || {
        let answer = manager.method_call(MANAGER, "GetSessionByPID", (std::process::id(),));
        answer.ok().map(|(session,): (Path<'static>,)| session)
    };
    let looked_at = || {
        // An alias: its signals come under its real name.
        let alias = bus.with_proxy(NAME, "/org/freedesktop/login1/session/auto", ANSWER);
        alias.get::<String>(SESSION, "Id").ok().and_then(by_id)
    };
    by_process().or_else(|| std::env::var("XDG_SESSION_ID").ok().and_then(by_id)).or_else(looked_at)
}
