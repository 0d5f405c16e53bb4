//! Names of signals.
#![forbid(unsafe_code)]

use std::fmt;

/// A kind of signal, for [`unix`](super::unix) and [`notify`](super::notify).
///
/// ```
/// use runtime::signal::SignalKind;
///
/// assert_eq!(SignalKind::terminate().as_raw(), 15);
/// assert_eq!(SignalKind::terminate().to_string(), "SIGTERM");
/// assert_eq!(SignalKind::from_raw(15), SignalKind::terminate());
/// ```
///
/// **Go:** `syscall.Signal`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignalKind(libc::c_int);

impl SignalKind {
    /// The signal of this number; one that does not exist is refused when it is listened to.
    ///
    /// ```
    /// use runtime::signal::SignalKind;
    ///
    /// assert_eq!(SignalKind::from_raw(1), SignalKind::hangup());
    /// ```
    ///
    /// **Go:** `syscall.Signal(n)`.
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// The number that the system knows it by.
    ///
    /// ```
    /// assert_eq!(runtime::signal::SignalKind::interrupt().as_raw(), 2);
    /// ```
    ///
    /// **Go:** `int(sig)`.
    pub const fn as_raw(self) -> i32 {
        self.0
    }

    /// SIGALRM: a timer of `alarm(2)` or `setitimer(2)`.
    ///
    /// ```
    /// assert_eq!(runtime::signal::SignalKind::alarm().to_string(), "SIGALRM");
    /// ```
    ///
    /// **Go:** `syscall.SIGALRM`.
    pub const fn alarm() -> Self {
        Self(libc::SIGALRM)
    }

    /// SIGCHLD: a child process has ended or stopped. It changes nothing by itself.
    ///
    /// ```
    /// assert_eq!(runtime::signal::SignalKind::child().to_string(), "SIGCHLD");
    /// ```
    ///
    /// **Go:** `syscall.SIGCHLD`.
    pub const fn child() -> Self {
        Self(libc::SIGCHLD)
    }

    /// SIGHUP: the terminal is gone; for servers by custom "read your configuration again".
    ///
    /// ```
    /// assert_eq!(runtime::signal::SignalKind::hangup().to_string(), "SIGHUP");
    /// ```
    ///
    /// **Go:** `syscall.SIGHUP`.
    pub const fn hangup() -> Self {
        Self(libc::SIGHUP)
    }

    /// SIGINT: Ctrl-C in a terminal.
    ///
    /// ```
    /// assert_eq!(runtime::signal::SignalKind::interrupt().to_string(), "SIGINT");
    /// ```
    ///
    /// **Go:** `syscall.SIGINT`.
    pub const fn interrupt() -> Self {
        Self(libc::SIGINT)
    }

    /// SIGIO: a descriptor that was told to send it is ready.
    ///
    /// ```
    /// assert_eq!(runtime::signal::SignalKind::io().to_string(), "SIGIO");
    /// ```
    ///
    /// **Go:** `syscall.SIGIO`.
    pub const fn io() -> Self {
        Self(libc::SIGIO)
    }

    /// SIGPIPE: a write to a pipe without a reader. Rust programs ignore it by default, and have an
    /// error instead.
    ///
    /// ```
    /// assert_eq!(runtime::signal::SignalKind::pipe().to_string(), "SIGPIPE");
    /// ```
    ///
    /// **Go:** `syscall.SIGPIPE`.
    pub const fn pipe() -> Self {
        Self(libc::SIGPIPE)
    }

    /// SIGQUIT: Ctrl-\ in a terminal. While somebody listens for it, it does not print the tasks.
    ///
    /// ```
    /// assert_eq!(runtime::signal::SignalKind::quit().to_string(), "SIGQUIT");
    /// ```
    ///
    /// **Go:** `syscall.SIGQUIT`.
    pub const fn quit() -> Self {
        Self(libc::SIGQUIT)
    }

    /// SIGTERM: what service managers, containers and `kill` send to have a program end in good
    /// order.
    ///
    /// ```
    /// assert_eq!(runtime::signal::SignalKind::terminate().to_string(), "SIGTERM");
    /// ```
    ///
    /// **Go:** `syscall.SIGTERM`.
    pub const fn terminate() -> Self {
        Self(libc::SIGTERM)
    }

    /// SIGUSR1.
    ///
    /// ```
    /// assert_eq!(runtime::signal::SignalKind::user_defined1().to_string(), "SIGUSR1");
    /// ```
    ///
    /// **Go:** `syscall.SIGUSR1`.
    pub const fn user_defined1() -> Self {
        Self(libc::SIGUSR1)
    }

    /// SIGUSR2.
    ///
    /// ```
    /// assert_eq!(runtime::signal::SignalKind::user_defined2().to_string(), "SIGUSR2");
    /// ```
    ///
    /// **Go:** `syscall.SIGUSR2`.
    pub const fn user_defined2() -> Self {
        Self(libc::SIGUSR2)
    }

    /// SIGWINCH: the terminal's window has another size. It changes nothing by itself.
    ///
    /// ```
    /// assert_eq!(runtime::signal::SignalKind::window_change().to_string(), "SIGWINCH");
    /// ```
    ///
    /// **Go:** `syscall.SIGWINCH`.
    pub const fn window_change() -> Self {
        Self(libc::SIGWINCH)
    }
}

impl From<SignalKind> for i32 {
    fn from(kind: SignalKind) -> Self {
        kind.0
    }
}

/// The system's name, such as `SIGTERM`.
impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const NAMES: &[(libc::c_int, &str)] = &[
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGCHLD, "SIGCHLD"),
    (libc::SIGCONT, "SIGCONT"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGIO, "SIGIO"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGPROF, "SIGPROF"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGSTOP, "SIGSTOP"),
    (libc::SIGSYS, "SIGSYS"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGTSTP, "SIGTSTP"),
    (libc::SIGTTIN, "SIGTTIN"),
    (libc::SIGTTOU, "SIGTTOU"),
    (libc::SIGURG, "SIGURG"),
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGUSR2, "SIGUSR2"),
    (libc::SIGVTALRM, "SIGVTALRM"),
    (libc::SIGWINCH, "SIGWINCH"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
];
