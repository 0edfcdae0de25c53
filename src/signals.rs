//! Ctrl-C, SIGTERM and a vanished terminal, as values.

use std::io;

use futures::Stream;

/// Which signal asked for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM, or Ctrl-Break on Windows.
    Terminate,
    /// SIGHUP of a terminal that is gone.
    Hangup,
}

impl Signal {
    /// Whether whoever asked before asks for an end at once. A terminal that goes away says so more than once, itself
    /// and by its shell, and nobody means anything by that.
    pub(crate) fn insists_after(self, earlier: Option<Self>) -> bool {
        self != Self::Hangup && earlier.is_some_and(|earlier| earlier != Self::Hangup)
    }
}

/// Waits for Ctrl-C or SIGTERM.
pub async fn stop_signal() -> io::Result<Signal> {
    Ok(Signals::listen()?.next().await)
}

/// Where the size of files is limited (`ulimit -f`), a write beyond it fails and is told as any other; by itself the signal
/// that comes with it would end the process unsaid, with messages in flight.
pub(crate) fn outlive_large_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Signal, getrlimit};
        use tokio::signal::unix::{SignalKind, signal};
        if getrlimit(Resource::Fsize).current.is_none() {
            return;
        }
        // Whoever listens once has the signal handled from then on. Where that cannot be had, all is as it was.
        let listening = tokio::runtime::Builder::new_current_thread().enable_io().build().and_then(|runtime| {
            let _within = runtime.enter();
            signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))
        });
        drop(listening);
    }
}

/// Listens from its creation on; the signals no longer end the process by themselves. Those that were ignored when the
/// process began stay ignored: so `nohup` holds, and what a shell started in the background outlives its Ctrl-C.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Option<tokio::signal::unix::Signal>,
    terminate: Option<tokio::signal::unix::Signal>,
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // Looked at once: whoever listens later would see what the first has made of it.
        static IGNORED: std::sync::OnceLock<Ignored> = std::sync::OnceLock::new();
        let ignored = IGNORED.get_or_init(Ignored::at_the_start);
        let unless = |ignored: bool, kind| if ignored { Ok(None) } else { signal(kind).map(Some) };
        Ok(Self {
            interrupt: unless(ignored.interrupt, SignalKind::interrupt())?,
            terminate: unless(ignored.terminate, SignalKind::terminate())?,
            hangup: unless(ignored.hangup, SignalKind::hangup())?,
        })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            () = came(&mut self.interrupt) => Signal::Interrupt,
            () = came(&mut self.terminate) => Signal::Terminate,
            () = came(&mut self.hangup) => Signal::Hangup,
        }
    }
}

impl Signals {
    /// The signals, one after the other.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Signal> {
        futures::stream::unfold(self, |mut signals| async move {
            let signal = signals.next().await;
            Some((signal, signals))
        })
    }
}

#[cfg(unix)]
async fn came(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Which signals are ignored.
#[cfg(unix)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ignored {
    hangup: bool,
    interrupt: bool,
    terminate: bool,
}

#[cfg(unix)]
impl Ignored {
    fn at_the_start() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").ok();
        status.and_then(|status| Self::in_status(&status)).unwrap_or_else(Self::as_a_shell_finds)
    }

    /// As Linux tells it: a bit for each signal, from signal 1 on.
    fn in_status(status: &str) -> Option<Self> {
        let bits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        let bits = u64::from_str_radix(bits.trim(), 16).ok()?;
        let is_set = |signal: u32| bits >> (signal - 1) & 1 == 1;
        Some(Self { hangup: is_set(1), interrupt: is_set(2), terminate: is_set(15) })
    }

    /// Elsewhere: what this process ignores, a shell ignores that it starts, and says whether it outlives the signal.
    fn as_a_shell_finds() -> Self {
        let outlives = |signal: &str| {
            let mut shell = std::process::Command::new("/bin/sh");
            shell.args(["-c", &format!("kill -{signal} $$")]).stdin(std::process::Stdio::null());
            shell.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            shell.status().is_ok_and(|status| status.success())
        };
        Self { hangup: outlives("HUP"), interrupt: outlives("INT"), terminate: outlives("TERM") }
    }
}

/// Listens for Ctrl-C and Ctrl-Break from its creation on; one that comes while nobody waits for the next is not lost.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
    terminate: tokio::signal::windows::CtrlBreak,
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c};
        Ok(Self { interrupt: ctrl_c()?, terminate: ctrl_break()? })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_a_person_insists() {
        let all = [Signal::Interrupt, Signal::Terminate, Signal::Hangup];
        assert!(all.iter().all(|signal| !signal.insists_after(None) && !signal.insists_after(Some(Signal::Hangup))));
        for earlier in [Signal::Interrupt, Signal::Terminate] {
            assert_eq!(all.map(|signal| signal.insists_after(Some(earlier))), [true, true, false]);
        }
    }

    #[test]
    fn what_linux_says_of_ignored_signals_is_read() {
        let of =
            |bits: &str| Ignored::in_status(&format!("Name:\tonboard\nSigBlk:\t00ff\nSigIgn:\t{bits}\nSigCgt:\t0\n"));
        let none = Ignored { hangup: false, interrupt: false, terminate: false };
        assert_eq!(of("0000000000001000"), Some(none), "only SIGPIPE");
        assert_eq!(of("0000000000001001"), Some(Ignored { hangup: true, ..none }), "nohup");
        assert_eq!(
            of("0000000000000006"),
            Some(Ignored { interrupt: true, ..none }),
            "a shell's background: SIGINT, SIGQUIT"
        );
        assert_eq!(of("0000000000004000"), Some(Ignored { terminate: true, ..none }));
        assert_eq!(Ignored::in_status("Name:\tonboard\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_shell_finds_what_linux_says() {
        assert_eq!(Ignored::as_a_shell_finds(), Ignored::at_the_start());
    }
}
