//! ⚠ On how many CPUs the calling thread may run: its affinity mask, as `taskset` or a container's
//! cpuset leave it.
//!
//! Asked of the kernel, since the mask in `/proc/self/status` has bits for CPUs that are not there.

use std::num::NonZeroUsize;

/// The number of CPUs; `None`: the system does not say.
#[cfg(target_os = "linux")]
pub(super) fn cpus() -> Option<NonZeroUsize> {
    // The kernel refuses a mask that is too short for its CPUs. 1024 is glibc's fixed size; nobody
    // has sixty thousand.
    let mut words = 1024 / 64;
    while words <= 1024 {
        let mut mask = vec![0_u64; words];
        let bytes = size_of_val(&*mask);
        // SAFETY: the kernel writes at most `bytes` bytes, which is the size of the vector, and any
        // bits are a `u64`.
        let result = unsafe { libc::sched_getaffinity(0, bytes, mask.as_mut_ptr().cast()) };
        if result == 0 {
            let count: u32 = mask.iter().map(|word| word.count_ones()).sum();
            return NonZeroUsize::new(count as usize);
        }
        words *= 2;
    }
    None
}

/// Unknown here.
#[cfg(not(target_os = "linux"))]
pub(super) fn cpus() -> Option<NonZeroUsize> {
    None
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use super::*;
    use std::thread;

    /// Leaves the calling thread the first of its CPUs.
    fn stay_on_one() {
        let mut mask = [0_u64; 1024];
        let bytes = size_of_val(&mask);
        // SAFETY: both calls read or write `bytes` bytes of an array as long.
        unsafe {
            assert_eq!(
                libc::sched_getaffinity(0, bytes, mask.as_mut_ptr().cast()),
                0
            );
            let first = mask.iter().position(|&word| word != 0).unwrap();
            let word = mask[first];
            mask.fill(0);
            mask[first] = word & word.wrapping_neg();
            assert_eq!(libc::sched_setaffinity(0, bytes, mask.as_ptr().cast()), 0);
        }
    }

    #[test]
    fn the_mask_of_the_calling_thread_counts() {
        let here = cpus().unwrap();
        assert!(here <= NonZeroUsize::new(1024 * 64).unwrap());
        let restricted = thread::spawn(|| {
            stay_on_one();
            cpus()
        });
        assert_eq!(restricted.join().unwrap(), NonZeroUsize::new(1));
        assert_eq!(cpus().unwrap(), here, "other threads keep theirs");
    }
}
