//! Which slot a size gets.
//!
//! Sizes go in steps of 32 bytes up to 512, then in eight steps a doubling. Slots begin at a cache
//! line, and a multiple of 32 laid end to end never touches more lines of 64 bytes than one laid at
//! a line would, whereas steps of 16 would let a slot of 176 bytes straddle four lines; what 16
//! would save in memory is 8 bytes a task on average. Multiples of 64 alone would keep neighbours'
//! lines apart entirely, at the price of 16 more bytes a task: neighbours are mostly tasks of one
//! worker, so the bytes win.
#![forbid(unsafe_code)]

/// The largest slot, in bytes. A future beyond this is boxed by its spawner; seven of these still
/// fit in a chunk.
pub(crate) const MAX_SIZE: usize = 8 * 1024;

/// How many sizes of slots there are: 16 up to 512 bytes, and eight for each of the four doublings
/// up to [`MAX_SIZE`].
pub(super) const CLASSES: usize = 16 + 4 * 8;

/// The smallest step, in bytes, and so the smallest slot.
const STEP: usize = 32;

/// The slot size of each class, in bytes.
const SIZES: [u32; CLASSES] = sizes();

/// The class of each multiple of [`STEP`].
const CLASS_OF_STEPS: [u8; MAX_SIZE / STEP + 1] = class_of_steps();

/// The class whose slots fit `size` bytes best.
///
/// # Panics
///
/// Panics if `size` is beyond [`MAX_SIZE`].
#[inline]
pub(super) const fn class_of(size: usize) -> usize {
    CLASS_OF_STEPS[size.div_ceil(STEP)] as usize
}

/// Bytes of a slot of `class`.
#[inline]
pub(super) const fn slot_size(class: usize) -> u32 {
    SIZES[class]
}

const fn sizes() -> [u32; CLASSES] {
    let mut sizes = [0; CLASSES];
    let (mut class, mut size, mut step) = (0, 0u32, STEP as u32);
    while class < CLASSES {
        // Eight steps of one width take a size from 256 · 2ⁿ to 512 · 2ⁿ.
        if size >= 512 && size.is_power_of_two() {
            step = size / 8;
        }
        size += step;
        sizes[class] = size;
        class += 1;
    }
    assert!(size as usize == MAX_SIZE);
    sizes
}

const fn class_of_steps() -> [u8; MAX_SIZE / STEP + 1] {
    let mut table = [0; MAX_SIZE / STEP + 1];
    let (mut steps, mut class) = (0, 0);
    while steps < table.len() {
        if (steps * STEP) as u32 > SIZES[class] {
            class += 1;
        }
        table[steps] = class as u8;
        steps += 1;
    }
    table
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_size_fits_and_wastes_at_most_a_step_or_an_eighth() {
        for size in 1..=MAX_SIZE {
            let slot = slot_size(class_of(size)) as usize;
            assert!(slot >= size, "{size} bytes in a slot of {slot}");
            assert!(
                slot - size < STEP.max(size / 8 + 1),
                "{size} bytes in a slot of {slot}"
            );
            assert_eq!(slot % STEP, 0);
        }
        assert_eq!(slot_size(class_of(168)), 192);
        assert_eq!(slot_size(class_of(0)), 32);
    }

    #[test]
    fn a_slot_touches_no_more_lines_than_its_size_needs() {
        for class in 0..CLASSES {
            let size = slot_size(class) as usize;
            for n in 0..64 {
                let lines = (n * size + size - 1) / 64 - n * size / 64 + 1;
                assert_eq!(lines, size.div_ceil(64), "slot {n} of {size} bytes");
            }
        }
    }
}
