//! Ctrl-C while something is waited for that is not at the terminal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Notes Ctrl-C from its making on, instead of ending the program.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Watches on a thread of its own. Where that cannot be had, Ctrl-C ends the program as ever.
    pub(super) fn watched() -> Self {
        let happened = Arc::new(AtomicBool::new(false));
        if let Err(error) = watch(Arc::clone(&happened)) {
            tracing::debug!(%error, "nobody watches for an interrupt");
        }
        Self(happened)
    }

    /// Whether it was pressed.
    pub(super) fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Returns when the signal no longer ends the program.
fn watch(happened: Arc<AtomicBool>) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _entered = runtime.enter();
        signal(SignalKind::interrupt())?
    };
    std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
        if runtime.block_on(signals.recv()).is_some() {
            happened.store(true, Ordering::Relaxed);
        }
    })?;
    Ok(())
}
