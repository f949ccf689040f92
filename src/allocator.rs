//! The global allocator, mimalloc: glibc keeps the freed buffers of a parked connection, 20 KiB each; mimalloc
//! returns them. Without huge pages (`no_thp`): they doubled the memory of a small gateway, and zeroing
//! them cost CPU.
//!
//! Not through the crate `mimalloc`, which requests an alignment with every call. mimalloc then enlarges blocks whose
//! size is no power of two, and searches for their beginning when they are freed. Here the natural alignment is not
//! requested.
//!
//! Measured: 7 of the 36 blocks of a FastCGI request had been enlarged (1,000 instructions of 32,000), and with
//! the collection before threads sleep an idle connection went from 20 to 9.5 KiB.
#![allow(
    unsafe_code,
    reason = "a global allocator needs an unsafe impl; this is the only module with unsafe code"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::time::Duration;

use libmimalloc_sys::{
    mi_collect, mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc,
    mi_zalloc_aligned,
};
use tokio::runtime::Handle;
use tokio::time::sleep;

/// Alignment of all blocks of at least as many bytes (mimalloc's `MI_MAX_ALIGN_SIZE`).
const NATURAL: usize = 16;

/// Delay between the first freed buffers and the collection of a thread, which walks all of its pages and so covers
/// the buffers freed meanwhile.
const COLLECT_AFTER: Duration = Duration::from_millis(250);

thread_local! {
    static IS_DUE: Cell<bool> = const { Cell::new(false) };
}

/// The allocator of the program.
#[derive(Clone, Copy, Debug)]
pub struct Allocator;

/// Schedules returning freed buffers to the system after a connection of this thread was parked or has ended. mimalloc
/// does that by itself only while a thread allocates, and this one may be idle for long.
pub fn schedule_collect() {
    if let Ok(runtime) = Handle::try_current()
        && !IS_DUE.replace(true)
    {
        runtime.spawn(async {
            sleep(COLLECT_AFTER).await;
            IS_DUE.set(false);
            // SAFETY: takes no pointer, and may be called by any thread at any time.
            unsafe { mi_collect(true) };
        });
    }
}

/// Reports whether blocks of this size have the alignment without a request.
const fn is_natural(size: usize, align: usize) -> bool {
    align <= NATURAL && align <= size
}

// SAFETY: mimalloc returns null or an unshared block of at least `size` bytes, aligned as `is_natural`
// states or as requested. Any thread may free and resize it, by either kind of call. None of these unwinds.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: the only requirement is an alignment that is a power of two, as a layout's is.
        unsafe {
            if is_natural(size, align) {
                mi_malloc(size).cast()
            } else {
                mi_malloc_aligned(size, align).cast()
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as above.
        unsafe {
            if is_natural(size, align) {
                mi_zalloc(size).cast()
            } else {
                mi_zalloc_aligned(size, align).cast()
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller got the block from above and uses it no more.
        unsafe { mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: the caller got the block from above, and uses it no more where another is returned.
        unsafe {
            if is_natural(size, align) {
                mi_realloc(block.cast(), size).cast()
            } else {
                mi_realloc_aligned(block.cast(), size, align).cast()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_keep_their_content() {
        let sizes = (1..600).chain([1000, 1024, 3000, 8192, 10_000, 65_537, 3_000_000]);
        for size in sizes {
            for align in [1, 2, 4, 8, 16, 32, 64, 128, 4096] {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: blocks are used within their size and freed once.
                unsafe {
                    let block = Allocator.alloc_zeroed(layout);
                    assert!(block.addr().is_multiple_of(align));
                    assert_eq!(block.add(size - 1).read(), 0);
                    block.write_bytes(7, size);
                    let grown = Allocator.realloc(block, layout, size * 2);
                    assert!(grown.addr().is_multiple_of(align));
                    assert_eq!(grown.add(size - 1).read(), 7);
                    let layout = Layout::from_size_align(size * 2, align).unwrap();
                    Allocator.dealloc(grown, layout);
                    let other = Allocator.alloc(layout);
                    assert!(other.addr().is_multiple_of(align));
                    Allocator.dealloc(other, layout);
                }
            }
        }
    }
}
