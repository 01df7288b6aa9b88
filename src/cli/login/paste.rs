//! The address that a person pastes when the browser is on another machine.

use std::cell::RefCell;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::secret::Secret;

use super::super::failure::Failure;
use super::super::terminal::{Prompt, Terminal};

type Line = Result<Secret<String>, Failure>;

/// Lines of the terminal or of standard input, read beside another wait.
pub(super) struct Paste {
    lines: Receiver<Line>,
    next: RefCell<Option<Line>>,
    over: Arc<AtomicBool>,
}

impl Paste {
    /// Begins to read.
    pub(super) fn begin() -> Self {
        let (sender, lines) = channel();
        let over = Arc::new(AtomicBool::new(false));
        let (ended, terminal) = (Arc::clone(&over), Terminal::attached(None));
        let read = move || match terminal {
            Some(terminal) => at_terminal(terminal.until(&ended), &sender),
            None => from_input(&sender),
        };
        if let Err(error) = std::thread::Builder::new().name("paste".to_owned()).spawn(read) {
            tracing::debug!(%error, "nothing can be pasted");
        }
        Self { lines, next: RefCell::new(None), over }
    }

    /// Whether a line waits.
    pub(super) fn has_come(&self) -> bool {
        let mut next = self.next.borrow_mut();
        if next.is_none() {
            *next = self.lines.try_recv().ok();
        }
        next.is_some()
    }

    /// The line that waits.
    pub(super) fn taken(&self) -> Option<Line> {
        self.has_come();
        self.next.take()
    }
}

impl Drop for Paste {
    /// Ends the question at the terminal, which then shows again what is typed.
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // The thread ends with its sender, once the terminal is as it was.
        while io::stdin().is_terminal() && self.lines.recv().is_ok() {}
    }
}

fn at_terminal(mut terminal: Terminal, lines: &Sender<Line>) {
    loop {
        let line = terminal.ask("Address", false);
        let over = line.is_err();
        if lines.send(line).is_err() || over {
            return;
        }
    }
}

/// The end of the input says nothing: the browser may still come.
fn from_input(lines: &Sender<Line>) {
    for line in io::stdin().lines() {
        let line = line.map(Secret::new).map_err(Failure::Input);
        if lines.send(line).is_err() {
            return;
        }
    }
}
