//! Strings of guests as a person may read them: nothing in them moves a cursor, ends a line or a quotation.

use std::fmt::Write;

/// Characters that change how others are shown: marks of direction, and the invisible ones beside them.
fn misleads(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{e0000}'..='\u{e007f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A name or a path: UTF-8 stays, all that is not, and what does not show as itself, is written as strace(1) does.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\r' => text.push_str("\\r"),
                character if character.is_control() || misleads(character) => {
                    let mut buffer = [0; 4];
                    octal(&mut text, character.encode_utf8(&mut buffer).as_bytes());
                }
                character => text.push(character),
            }
        }
        octal(&mut text, chunk.invalid());
    }
    text
}

fn octal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "\\{byte:03o}"); // a String takes everything
    }
}

/// The same in quotation marks.
pub fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", shown(bytes))
}

/// The same as one word: without blanks.
pub fn word(bytes: &[u8]) -> String {
    shown(bytes).replace(' ', "\\040")
}

/// A text that [`shown`] has made, as a string of JSON.
pub fn json(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_show_as_itself_is_written_in_numbers() {
        assert_eq!(shown("größe \u{202e}x".as_bytes()), "größe \\342\\200\\256x");
        assert_eq!(shown(b"a\nb\x1b[2J\\\"\xff"), "a\\nb\\033[2J\\\\\\\"\\377");
        assert_eq!((quoted(b"f"), word(b"a b")), ("\"f\"".to_owned(), "a\\040b".to_owned()));
    }

    #[test]
    fn a_string_of_json_says_the_same() {
        for bytes in [&b"plain"[..], b"a\"b\\c", b"\x00\x07\n\xff\xfe", "\u{85}\u{2028}é".as_bytes()] {
            let text = shown(bytes);
            let read: String = serde_json::from_str(&json(&text)).expect("it is JSON");
            assert_eq!(read, text);
        }
    }
}
