//! openat2 for Debian's Valgrind, which does not know that system call (`make bench-count`).
//!
//! Preloaded, this library takes the place of libc's `syscall` and hands openat2 on as openat, without the restrictions
//! of where a path may lead. Those cost the kernel something and the program nothing, so that the instructions that are
//! counted are the same. It is for counting in a folder of our own, and for nothing else.

#![cfg(target_arch = "x86_64")]

use std::arch::asm;
use std::ffi::{c_int, c_long};

const OPENAT: c_long = 257;
const OPENAT2: c_long = 437;

/// The largest number of an error; the kernel returns errors as their negative.
const MOST_ERRNO: c_long = 4095;

/// The kernel's `struct open_how`.
#[repr(C)]
struct How {
    flags: u64,
    mode: u64,
    resolve: u64,
}

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
}

/// libc's function of this name, for a call with up to six arguments: what is passed to a function with a variable
/// number of integers lies in the same registers as here.
///
/// # Safety
///
/// As of the system call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    let returned = if number == OPENAT2 {
        // SAFETY: the third argument of openat2 is a `struct open_how`.
        let how = unsafe { &*(c as *const How) };
        unsafe {
            raw(
                OPENAT,
                [a, b, how.flags as c_long, how.mode as c_long, 0, 0],
            )
        }
    } else {
        unsafe { raw(number, [a, b, c, d, e, f]) }
    };
    if (-MOST_ERRNO..0).contains(&returned) {
        unsafe { *__errno_location() = -returned as c_int };
        return -1;
    }
    returned
}

/// The system call itself, by the calling convention of Linux on x86-64.
unsafe fn raw(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> c_long {
    let returned;
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => returned,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    returned
}
