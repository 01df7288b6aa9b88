//! Questions to the person at the terminal.
//!
//! A line is read byte by byte with the terminal's own editing and signals off: a pasted secret may be longer than the
//! 4,095 bytes that a terminal's own line holds, and Ctrl-C is an answer, after which the echo is on again.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios};
use zeroize::Zeroizing;

use crate::auth;
use crate::secret::Secret;
use crate::vault::Asked;

use super::failure::Failure;
use super::output::visible;

/// No credential is longer.
const LIMIT: usize = 64 << 10;
/// How long one read waits, in tenths of a second: so often the deadline is looked at.
const TENTHS: u8 = 2;

const ENTER: [u8; 2] = [b'\r', b'\n'];
const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const CTRL_U: u8 = 21;
const ERASE: [u8; 2] = [8, 127];

/// Whoever answers questions: a person, or a test.
pub(crate) trait Prompt {
    /// Asks for one line. Whoever looks on sees a masked answer as stars.
    fn ask(&mut self, question: &str, masked: bool) -> Result<Secret<String>, Failure>;

    /// Asks for a yes; anything else is a no.
    fn confirm(&mut self, question: &str) -> Result<bool, Failure> {
        let answer = self.ask(&format!("{question} [y/N]"), false)?;
        Ok(matches!(answer.expose().trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }
}

/// The terminal that is this process's standard input.
pub(crate) struct Terminal {
    deadline: Option<Instant>,
    /// Set when the answer is not needed any more.
    over: Arc<AtomicBool>,
}

impl Terminal {
    /// The terminal, when there is one to ask at; it is asked until `patience` is over.
    pub(crate) fn attached(patience: Option<Duration>) -> Option<Self> {
        let deadline = || patience.and_then(|patience| Instant::now().checked_add(patience));
        io::stdin().is_terminal().then(|| Self { deadline: deadline(), over: Arc::default() })
    }

    /// Asks until somebody says that it is over.
    pub(crate) fn until(self, over: &Arc<AtomicBool>) -> Self {
        Self { over: Arc::clone(over), ..self }
    }
}

impl Prompt for Terminal {
    fn ask(&mut self, question: &str, masked: bool) -> Result<Secret<String>, Failure> {
        let mut line = Line { bytes: Zeroizing::new(Vec::with_capacity(LIMIT)), masked };
        let answer = Silent::begin()
            .and_then(|_silent| {
                echo(&format!("{}: ", visible(question)))?;
                line.read(self.deadline, &self.over)
            })
            .map_err(Failure::Input);
        echo("\r\n").map_err(Failure::Output)?;
        if !answer? {
            return Err(auth::Error::InputCancelled.into());
        }
        let text = std::str::from_utf8(&line.bytes).map_err(|_| auth::Error::InputCancelled)?;
        Ok(Secret::from(text))
    }
}

/// Asks for the passphrase of the vault, which is not shown; `None` when nobody answers.
pub(super) fn passphrase(asked: Asked) -> Option<Secret<String>> {
    let question = match asked {
        Asked::Present => "Passphrase of the vault",
        Asked::New => "New passphrase for the vault",
        Asked::NewAgain => "The new passphrase again",
    };
    Terminal::attached(None)?.ask(question, true).ok()
}

fn echo(text: &str) -> io::Result<()> {
    let mut stderr = io::stderr();
    stderr.write_all(text.as_bytes())?;
    stderr.flush()
}

/// While it lives, the terminal gives every byte at once and shows none.
struct Silent(Termios);

impl Silent {
    fn begin() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent
            .local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
        silent.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
        silent.control_chars[SpecialCharacterIndices::VTIME as usize] = TENTHS;
        termios::tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // The terminal is gone when this fails.
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}

struct Line {
    bytes: Zeroizing<Vec<u8>>,
    masked: bool,
}

impl Line {
    /// Reads up to Enter; false when the person gave up or the time is over.
    fn read(&mut self, deadline: Option<Instant>, over: &AtomicBool) -> io::Result<bool> {
        let mut byte = [0; 1];
        loop {
            let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if late || over.load(Ordering::Acquire) {
                return Ok(false);
            }
            let asked = Instant::now();
            let count = nix::unistd::read(io::stdin(), &mut byte)?;
            if count == 0 {
                // A terminal that has hung up answers at once, forever.
                let waited = asked.elapsed() >= Duration::from_millis(50);
                if waited { continue } else { return Ok(false) }
            }
            if let Some(entered) = self.take(byte[0])? {
                return Ok(entered);
            }
        }
    }

    /// Takes one byte; says whether the line is entered or given up, once it is either.
    fn take(&mut self, byte: u8) -> io::Result<Option<bool>> {
        match byte {
            _ if ENTER.contains(&byte) => return Ok(Some(true)),
            CTRL_C => return Ok(Some(false)),
            CTRL_D if self.bytes.is_empty() => return Ok(Some(false)),
            CTRL_U => while self.erase()? {},
            _ if ERASE.contains(&byte) => {
                self.erase()?;
            }
            _ if byte < b' ' || self.bytes.len() == LIMIT => {}
            _ => {
                self.bytes.push(byte);
                self.show(byte)?;
            }
        }
        Ok(None)
    }

    fn show(&self, byte: u8) -> io::Result<()> {
        match self.masked {
            false => io::stderr().write_all(&[byte]),
            true if is_continuation(byte) => Ok(()),
            true => io::stderr().write_all(b"*"),
        }
    }

    /// Takes the last letter back; false when there is none.
    fn erase(&mut self) -> io::Result<bool> {
        while self.bytes.last().is_some_and(|byte| is_continuation(*byte)) {
            self.bytes.pop();
        }
        let erased = self.bytes.pop().is_some();
        if erased {
            io::stderr().write_all(b"\x08 \x08")?;
        }
        Ok(erased)
    }
}

/// Whether a byte continues a letter of UTF-8.
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(bytes: &[u8]) -> (Option<bool>, String) {
        let mut line = Line { bytes: Zeroizing::new(Vec::new()), masked: true };
        let end = bytes.iter().find_map(|byte| line.take(*byte).unwrap());
        (end, String::from_utf8(line.bytes.to_vec()).unwrap())
    }

    #[test]
    fn a_line_is_edited_and_entered() {
        assert_eq!(typed("sk-é\x7fx\r".as_bytes()), (Some(true), "sk-x".into()));
        assert_eq!(typed(b"wrong\x15right\n"), (Some(true), "right".into()));
        assert_eq!(typed(b"\x7f\x7fa\tb\r"), (Some(true), "ab".into()));
        assert_eq!(typed(b"half"), (None, "half".into()));
    }

    #[test]
    fn a_person_can_give_up() {
        assert_eq!(typed(b"sk-\x03").0, Some(false));
        assert_eq!(typed(b"\x04").0, Some(false));
        assert_eq!(typed(b"sk-\x04").0, None);
    }
}
