//! The only printer. Data goes to standard output, everything else to standard error.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::failure::Failure;

const GOOD: Style = AnsiColor::Green.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

/// Where and how a command prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    color: ColorChoice,
}

impl Output {
    /// Colours are for terminals, and never there when `no_color` is set.
    pub(super) fn new(json: bool, quiet: bool, no_color: bool) -> Self {
        let color = if no_color { ColorChoice::Never } else { ColorChoice::Auto };
        Self { json, quiet, color }
    }

    /// Whether a program reads standard output.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints the document with `--json`, else the text.
    pub(crate) fn answer(&self, document: &impl Serialize, text: impl FnOnce() -> String) -> io::Result<()> {
        if self.json { self.document(document) } else { self.text(&text()) }
    }

    /// Prints the document with `--json`, else says on standard error that something was done.
    pub(crate) fn done(&self, document: &impl Serialize, text: &str) -> io::Result<()> {
        if self.json {
            return self.document(document);
        }
        self.aside(GOOD, "ok", text);
        Ok(())
    }

    /// Prints one JSON document.
    pub(crate) fn document(&self, document: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(document)?;
        text.push(b'\n');
        self.data(&text)
    }

    /// Prints data, byte for byte.
    pub(crate) fn data(&self, data: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(data)?;
        stdout.flush()
    }

    /// Prints a piece of a text that comes bit by bit; with `--json` nothing.
    pub(crate) fn piece(&self, text: &str) -> io::Result<()> {
        if self.json { Ok(()) } else { self.text(text) }
    }

    /// Prints a text, without its styles where they are not wanted.
    fn text(&self, text: &str) -> io::Result<()> {
        let mut stdout = AutoStream::new(io::stdout(), self.color);
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// Says something that need not be known.
    pub(crate) fn note(&self, text: &str) {
        self.aside(HINT, "note", text);
    }

    /// Says something that should be known.
    pub(crate) fn warn(&self, text: &str) {
        self.aside(WARNING, "warning", text);
    }

    /// Says something without a label.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.show(text);
        }
    }

    /// Tells a program that drives this one where it stands: one line of JSON on standard error.
    pub(crate) fn step(&self, document: &serde_json::Value) {
        // A closed standard error is the caller's wish.
        let _ = writeln!(io::stderr(), "{document}");
    }

    /// Shows what the next question is about, however quiet it is to be.
    pub(crate) fn show(&self, text: &str) {
        self.print_aside(&visible(text));
    }

    /// Reports why a command failed: once, as a chain, with what to do about it.
    pub(super) fn failure(&self, failure: &Failure) {
        if self.json {
            // Nobody is left to be told when this cannot be printed.
            let _ = self.document(&failure.document());
            return;
        }
        let message = visible(&failure.message());
        self.print_aside(&format!("{ERROR}error:{ERROR:#} {message}"));
        if let Some(fix) = failure.fix() {
            self.print_aside(&format!("{HINT}fix:{HINT:#} {}", visible(&fix)));
        }
    }

    /// Prints a text of the argument parser's own, styles included.
    pub(super) fn parser_text(&self, text: &str, to_stdout: bool) -> io::Result<()> {
        if to_stdout {
            return self.text(text);
        }
        write!(AutoStream::new(io::stderr(), self.color), "{text}")
    }

    fn aside(&self, style: Style, label: &str, text: &str) {
        if !self.quiet {
            self.print_aside(&format!("{style}{label}:{style:#} {}", visible(text)));
        }
    }

    fn print_aside(&self, text: &str) {
        // A closed standard error is the caller's wish.
        let _ = writeln!(AutoStream::new(io::stderr(), self.color), "{text}");
    }
}

/// A text without what would steer a terminal or deceive its reader; line breaks stay.
pub(crate) fn visible(text: &str) -> String {
    let deceives = |letter: char| {
        matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    let hidden = |letter: char| letter != '\n' && (letter.is_control() || deceives(letter));
    text.chars().map(|letter| if hidden(letter) { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_steers_a_terminal_is_shown_as_a_mark() {
        assert_eq!(visible("a\u{1b}[31mb\r\u{202e}c\nd é"), "a\u{fffd}[31mb\u{fffd}\u{fffd}c\nd é");
    }
}
