//! What the copy may ask of the system, as a program that the kernel runs before each system call:
//! a seccomp filter in classic BPF.
//!
//! A call is *allowed*; or it does *nothing*, and says that it succeeded; or it is *refused*, as if
//! the system had no more of what it asks for. What is not named here does nothing, nor does a call
//! of x86-64's other convention. One for another architecture, by whose numbers something else is
//! meant, is the end of the copy.
//!
//! The program is a list of rules, one a call: each passes on to the next if the number is
//! another's, and ends with a verdict otherwise.
#![forbid(unsafe_code)]

/// Where the words of `seccomp_data` are.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xC000_00B7;

/// Calls of the other convention on x86-64 have this bit.
const OTHER_CONVENTION: u32 = 0x4000_0000;

const ALLOWED: &[libc::c_long] = &[
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigreturn,
];

/// Calls whose result 0 would mean "you are the child".
const REFUSED: &[libc::c_long] = &[
    libc::SYS_clone,
    libc::SYS_clone3,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
/// Error 0 is success.
const NOTHING: u32 = libc::SECCOMP_RET_ERRNO;
const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EAGAIN as u32;

/// The filter for a copy that may write to the descriptor `tell` alone.
pub(super) fn filter(tell: libc::c_int) -> Vec<libc::sock_filter> {
    // Private memory, from nowhere.
    let private = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u32;
    let map = [
        load(argument(3)),
        mask(private | libc::MAP_SHARED as u32),
        unless_equal(private, 1),
        give(ALLOW),
        give(REFUSE),
    ];
    // Memory is given back; but not, as other advice would have it, the contents of a file.
    let advise = [
        load(argument(2)),
        unless_equal(libc::MADV_DONTNEED as u32, 1),
        give(ALLOW),
        give(NOTHING),
    ];
    let write = [
        load(argument(0)),
        unless_equal(tell as u32, 1),
        give(ALLOW),
        give(NOTHING),
    ];

    let mut code = only_this_convention().to_vec();
    for &call in ALLOWED {
        code.extend(rule(call, &[give(ALLOW)]));
    }
    for &call in REFUSED {
        code.extend(rule(call, &[give(REFUSE)]));
    }
    code.extend(rule(libc::SYS_mmap, &map));
    code.extend(rule(libc::SYS_madvise, &advise));
    code.extend(rule(libc::SYS_write, &write));
    code.push(give(NOTHING));
    code
}

/// What comes before the rules. They find the call's number loaded.
fn only_this_convention() -> [libc::sock_filter; 7] {
    [
        load(ARCHITECTURE),
        unless_equal(NATIVE, 1),
        skip(1),
        give(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER),
        unless_at_least(OTHER_CONVENTION, 1),
        give(NOTHING),
    ]
}

/// What is done about a call: instructions that end with a verdict. The number is loaded, and still
/// is for the next rule.
fn rule(call: libc::c_long, then: &[libc::sock_filter]) -> impl Iterator<Item = libc::sock_filter> {
    let number = unless_equal(call as u32, then.len() as u8);
    [number].into_iter().chain(then.iter().copied())
}

/// The lower half of an argument; both architectures are little-endian.
fn argument(n: u32) -> u32 {
    ARGUMENTS + 8 * n
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

fn load(offset: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset)
}

fn mask(bits: u32) -> libc::sock_filter {
    instruction(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, bits)
}

/// Skips so many instructions unless what was loaded is `value`.
fn unless_equal(value: u32, skipped: u8) -> libc::sock_filter {
    let code = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    instruction(code, 0, skipped, value)
}

fn unless_at_least(value: u32, skipped: u8) -> libc::sock_filter {
    let code = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    instruction(code, 0, skipped, value)
}

fn skip(n: u32) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JA, 0, 0, n)
}

fn give(verdict: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, verdict)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const PIPE: libc::c_int = 7;

    /// What the kernel would make of a call: it runs the instructions that are used here.
    fn verdict(architecture: u32, call: libc::c_long, arguments: [u32; 4]) -> u32 {
        let code = filter(PIPE);
        let word = |offset: u32| match offset {
            NUMBER => call as u32,
            ARCHITECTURE => architecture,
            _ => arguments[((offset - ARGUMENTS) / 8) as usize],
        };
        let (mut loaded, mut at) = (0, 0);
        loop {
            let libc::sock_filter { code, jt, jf, k } = code[at];
            let jump = |holds: bool| usize::from(if holds { jt } else { jf });
            at += 1;
            match u32::from(code) {
                c if c == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => loaded = word(k),
                c if c == libc::BPF_ALU | libc::BPF_AND | libc::BPF_K => loaded &= k,
                c if c == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K => at += jump(loaded == k),
                c if c == libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K => at += jump(loaded >= k),
                c if c == libc::BPF_JMP | libc::BPF_JA => at += k as usize,
                c if c == libc::BPF_RET | libc::BPF_K => return k,
                other => unreachable!("no instruction of ours: {other}"),
            }
        }
    }

    fn native(call: libc::c_long, arguments: [u32; 4]) -> u32 {
        verdict(NATIVE, call, arguments)
    }

    #[test]
    fn what_is_listed_is_allowed_or_refused_and_all_else_does_nothing() {
        for &call in ALLOWED {
            assert_eq!(native(call, [0; 4]), ALLOW, "call {call}");
        }
        for &call in REFUSED {
            assert_eq!(native(call, [0; 4]), REFUSE, "call {call}");
        }
        for call in [libc::SYS_close, libc::SYS_unlinkat, libc::SYS_sendto] {
            assert_eq!(native(call, [0; 4]), NOTHING, "call {call}");
        }
    }

    #[test]
    fn only_the_pipe_is_written_to() {
        assert_eq!(native(libc::SYS_write, [PIPE as u32, 0, 0, 0]), ALLOW);
        assert_eq!(native(libc::SYS_write, [2, 0, 0, 0]), NOTHING);
    }

    #[test]
    fn only_private_memory_is_mapped_and_only_given_back_otherwise() {
        let map = |flags: libc::c_int| native(libc::SYS_mmap, [0, 0, 0, flags as u32]);
        assert_eq!(map(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS), ALLOW);
        assert_eq!(map(libc::MAP_SHARED | libc::MAP_ANONYMOUS), REFUSE);
        assert_eq!(map(libc::MAP_PRIVATE), REFUSE, "a file");
        let advise = |advice: libc::c_int| native(libc::SYS_madvise, [0, 0, advice as u32, 0]);
        assert_eq!(advise(libc::MADV_DONTNEED), ALLOW);
        assert_eq!(advise(libc::MADV_REMOVE), NOTHING);
    }

    #[test]
    fn numbers_of_others_mean_nothing() {
        let other = libc::SYS_exit | libc::c_long::from(OTHER_CONVENTION);
        assert_eq!(native(other, [0; 4]), NOTHING);
        let kill = libc::SECCOMP_RET_KILL_PROCESS;
        assert_eq!(verdict(NATIVE + 1, libc::SYS_exit, [0; 4]), kill);
    }
}
