//! What every shell does before anything else.

/// No core file of this process or of those it starts (WebKit's), which inherit the limit; no debugger of the same user.
/// Without effect where the system knows no such thing.
#[cfg(unix)]
pub fn forbid_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Nothing can be done about a refusal, and nothing that was promised depends on it alone.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// No core file of this process. Without effect where the system knows no such thing.
#[cfg(not(unix))]
pub fn forbid_dumps() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    #[test]
    fn leaves_no_core_file_behind() {
        super::forbid_dumps();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
