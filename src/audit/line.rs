//! One event as one line of JSON, written by hand: this runs twice for each exchange.

use std::time::Duration;

use super::{Event, Exchange, Party};
use crate::clock;

/// Room for all but the longest lines.
const MOST_LINES: usize = 512;

/// Formats events; keeps the second that it formatted last.
#[derive(Default)]
pub(super) struct Formatter {
    second: u64,
    prefix: Vec<u8>,
}

impl Formatter {
    /// Appends the line of an event, with its end.
    pub(super) fn append(&mut self, now: Duration, event: &Event<'_>, line: &mut Vec<u8>) {
        line.reserve(MOST_LINES);
        line.extend_from_slice(b"{\"time\":\"");
        self.time(now, line);
        line.extend_from_slice(b"\",\"event\":\"");
        line.extend_from_slice(event.name.as_str().as_bytes());
        line.push(b'"');
        if let Some(Party(party)) = event.party {
            line.extend_from_slice(party);
        }
        append_party([event.actor, event.subject, event.profile, event.provider, event.connection], line);
        if let Some(exchange) = &event.exchange {
            append_exchange(exchange, line);
        }
        text(",\"outcome\":\"", event.outcome, line);
        text(",\"reason\":\"", event.reason, line);
        line.extend_from_slice(b"}\n");
    }

    fn time(&mut self, now: Duration, line: &mut Vec<u8>) {
        let second = now.as_secs();
        if self.prefix.is_empty() || self.second != second {
            let mut whole = clock::rfc3339(i64::try_from(second).unwrap_or(i64::MAX));
            whole.truncate(whole.len().saturating_sub(1));
            self.prefix = whole.into_bytes();
            self.second = second;
        }
        line.extend_from_slice(&self.prefix);
        let millis = now.subsec_millis();
        let digit = |power: u32| b'0' + u8::try_from(millis / power % 10).unwrap_or(0);
        line.extend_from_slice(&[b'.', digit(100), digit(10), digit(1), b'Z']);
    }
}

/// Four fields as they stand in a line.
pub(super) fn party(actor: &str, profile: &str, provider: &str, connection: &str) -> Vec<u8> {
    let mut line = Vec::new();
    append_party([Some(actor), None, Some(profile), Some(provider), Some(connection)], &mut line);
    line
}

fn append_party(values: [Option<&str>; 5], line: &mut Vec<u8>) {
    let [actor, subject, profile, provider, connection] = values;
    text(",\"actor\":\"", actor, line);
    text(",\"subject\":\"", subject, line);
    text(",\"profile\":\"", profile, line);
    text(",\"provider\":\"", provider, line);
    text(",\"connection\":\"", connection, line);
}

fn append_exchange(exchange: &Exchange<'_>, line: &mut Vec<u8>) {
    number(",\"id\":", exchange.id, line);
    text(",\"method\":\"", Some(exchange.method), line);
    text(",\"host\":\"", Some(exchange.host), line);
    word(",\"policy\":\"", exchange.policy, line);
    word(",\"vault\":\"", exchange.vault, line);
    word(",\"refresh\":\"", exchange.refresh, line);
    word(",\"injected\":\"", exchange.injected, line);
    number(",\"status\":", exchange.status.map(u64::from), line);
    number(",\"bytes_sent\":", exchange.bytes_sent, line);
    number(",\"bytes_received\":", exchange.bytes_received, line);
    number(",\"ms\":", exchange.ms, line);
}

#[inline]
fn number(name: &'static str, value: Option<u64>, line: &mut Vec<u8>) {
    let Some(mut value) = value else { return };
    line.extend_from_slice(name.as_bytes());
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    line.extend_from_slice(&digits[start..]);
}

/// A word of our own.
#[inline]
fn word(name: &'static str, value: Option<&'static str>, line: &mut Vec<u8>) {
    let Some(value) = value else { return };
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(value.as_bytes());
    line.push(b'"');
}

/// Anybody's words, escaped.
#[inline]
fn text(name: &'static str, value: Option<&str>, line: &mut Vec<u8>) {
    let Some(value) = value else { return };
    line.extend_from_slice(name.as_bytes());
    if value.bytes().all(|byte| PLAIN[usize::from(byte)]) {
        line.extend_from_slice(value.as_bytes());
    } else {
        value.chars().for_each(|letter| escaped(letter, line));
    }
    line.push(b'"');
}

/// The bytes that stand in JSON as they are.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        plain[byte as usize] = byte != b'"' && byte != b'\\';
        byte += 1;
    }
    plain
};

fn escaped(letter: char, line: &mut Vec<u8>) {
    match letter {
        '"' | '\\' => {
            line.push(b'\\');
            line.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
        _ if letter.is_control() || is_deceptive(letter) => {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                line.extend_from_slice(b"\\u");
                let digit = |shift: u16| b"0123456789abcdef"[usize::from(*unit >> shift & 0xf)];
                line.extend_from_slice(&[digit(12), digit(8), digit(4), digit(0)]);
            }
        }
        _ => line.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// What changes the order or the look of a line without being seen: bidirectional controls, line
/// separators, invisible marks and tags.
fn is_deceptive(letter: char) -> bool {
    matches!(letter,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::super::EventName;
    use super::*;

    fn line(event: &Event<'_>) -> String {
        let mut line = Vec::new();
        Formatter::default().append(Duration::from_millis(1_795_276_997_042), event, &mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn an_exchange_has_the_fields_that_the_log_promises() {
        let exchange = Exchange {
            id: Some(0),
            method: "GET",
            host: "api.example.com",
            policy: Some("permit"),
            vault: Some("hit"),
            refresh: None,
            injected: Some("header"),
            status: Some(200),
            bytes_sent: Some(18_446_744_073_709_551_615),
            bytes_received: Some(10),
            ms: Some(907),
        };
        let event = Event {
            actor: Some("agent://local/default"),
            provider: Some("openai"),
            outcome: Some("ok"),
            exchange: Some(exchange),
            ..Event::new(EventName::Exchange)
        };
        assert_eq!(
            line(&event),
            "{\"time\":\"2026-11-21T16:03:17.042Z\",\"event\":\"exchange\",\"actor\":\"agent://local/default\",\
             \"provider\":\"openai\",\"id\":0,\"method\":\"GET\",\"host\":\"api.example.com\",\"policy\":\"permit\",\
             \"vault\":\"hit\",\"injected\":\"header\",\"status\":200,\"bytes_sent\":18446744073709551615,\
             \"bytes_received\":10,\"ms\":907,\"outcome\":\"ok\"}\n"
        );
    }

    #[test]
    fn whatever_the_agent_sends_is_one_line_that_reads_as_it_is() {
        for value in [
            "a\r\n{\"event\":\"login\"}",
            "\"\\",
            "\u{1b}[31m\u{7f}\u{85}\0",
            "abc\u{202e}cba\u{2066}\u{2028}\u{feff}\u{e0041}",
            "plain é 字 😀",
        ] {
            let text = line(&Event { reason: Some(value), ..Event::new(EventName::Refused) });
            assert_eq!(text.matches('\n').count(), 1, "{text}");
            assert!(
                !text.trim_end().chars().any(|letter| letter.is_control() || is_deceptive(letter)),
                "{text}"
            );
            let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(parsed["reason"], value);
        }
    }

    #[test]
    fn the_cached_second_is_not_used_for_another() {
        let mut formatter = Formatter::default();
        let mut lines = Vec::new();
        for seconds in [0, 1, 1, 0] {
            formatter.append(Duration::from_secs(seconds), &Event::new(EventName::Login), &mut lines);
        }
        let text = String::from_utf8(lines).unwrap();
        let seconds: Vec<&str> = text.lines().map(|line| &line[26..28]).collect();
        assert_eq!(seconds, ["00", "01", "01", "00"]);
    }
}
