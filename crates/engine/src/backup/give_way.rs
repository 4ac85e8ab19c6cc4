//! Threads that leave the processors and disks to other programs first.

use rustix::process::{getpriority_process, setpriority_process};
use strongroom_model::Priority;

/// From linux/ioprio.h: `IOPRIO_WHO_PROCESS`, and where the class stands in a priority.
const WHO_THREAD: libc::c_int = 1;
const CLASS_SHIFT: libc::c_int = 13;
const CLASS_BEST_EFFORT: libc::c_int = 2;
const CLASS_IDLE: libc::c_int = 3;

/// Gives this thread, and those that it starts from now on, that priority. One that it cannot have is no reason to stop.
pub fn give_way(priority: Priority) {
    let (nice, io) = match priority {
        Priority::Normal => return,
        Priority::Low => (10, (CLASS_BEST_EFFORT << CLASS_SHIFT) | 7),
        Priority::Idle => (19, CLASS_IDLE << CLASS_SHIFT),
    };
    // Without a process it is about this thread. Whoever started the program may have it give way more.
    let wanted = getpriority_process(None).map_or(nice, |now| now.max(nice));
    if let Err(error) = setpriority_process(None, wanted) {
        tracing::debug!(%error, "this thread keeps its priority");
    }
    // SAFETY: The call takes three integers, refers to no memory, and changes nothing but this thread's I/O priority.
    #[allow(unsafe_code)]
    let failed = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_THREAD, 0, io) };
    if failed != 0 {
        let error = std::io::Error::last_os_error();
        tracing::debug!(%error, "this thread keeps its I/O priority");
    }
}
