//! The heap, and its end.
//!
//! A process whose memory is limited and that cannot get what it needs ends at once with a code of
//! its own, so that its parent can say why.  Rust would abort, which looks like any other fault.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;

/// The system's allocator; see the head of the file.
pub struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

static ENDS: AtomicBool = AtomicBool::new(false);

/// From now on the process ends with [`OUT_OF_MEMORY`] when it gets no memory.
pub fn end_when_out() {
    ENDS.store(true, Ordering::Relaxed);
}

// SAFETY: everything is the system's allocator's, which keeps the contract; what is added neither
// touches the memory nor allocates nor unwinds.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is passed on.
        checked(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is passed on.
        checked(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise about both is passed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise about all three is passed on.
        checked(unsafe { System.realloc(memory, layout, size) })
    }
}

#[inline]
fn checked(memory: *mut u8) -> *mut u8 {
    if memory.is_null() && ENDS.load(Ordering::Relaxed) {
        end();
    }
    memory
}

#[cold]
fn end() -> ! {
    // SAFETY: the text is static.  Where nobody reads it, whoever started us knows the code.
    unsafe { libc::write(libc::STDERR_FILENO, TEXT.as_ptr().cast(), TEXT.len()) };
    // SAFETY: it ends the process and touches nothing of it.
    unsafe { libc::_exit(OUT_OF_MEMORY) }
}

/// The exit code.  Nothing else ends with it.
pub const OUT_OF_MEMORY: i32 = 88;

const TEXT: &[u8] =
    b"roost: error: ended for want of memory; limits.session_memory says how much it may have\n";
