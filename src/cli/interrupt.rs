//! Ctrl-C while something is waited for that is not at the terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Notes Ctrl-C from its making on, instead of ending the program.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Watches on a thread of its own. Where none can be had, Ctrl-C ends the program as ever.
    pub(super) fn watched() -> Self {
        let happened = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&happened);
        let watch = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            if let Ok(runtime) = runtime
                && runtime.block_on(tokio::signal::ctrl_c()).is_ok()
            {
                seen.store(true, Ordering::Relaxed);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("interrupt".to_owned()).spawn(watch) {
            tracing::debug!(%error, "nobody watches for an interrupt");
        }
        Self(happened)
    }

    /// Whether it was pressed.
    pub(super) fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
