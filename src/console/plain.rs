//! Text from elsewhere, made harmless: names of files and machines, what a service says.

/// The text on one line, with a replacement for each character that would do something to a terminal, or to the order in
/// which it shows characters.
pub(super) fn plain(text: &str) -> String {
    let harmless = |character: char| match character {
        '\n' | '\t' => ' ',
        character if character.is_control() || turns(character) => '\u{fffd}',
        character => character,
    };
    text.chars().map(harmless).collect()
}

/// Marks of the Unicode Bidirectional Algorithm, and separators of lines: invisible, and they move what stands beside them.
fn turns(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A stored path, for a line of the screen.
pub(super) fn plain_path(path: &[u8]) -> String {
    plain(&crate::shown_path::shown(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        for (text, expected) in [
            ("naïve 名", "naïve 名"),
            ("a\x1b[2Jb", "a\u{fffd}[2Jb"),
            ("two\nlines", "two lines"),
            ("\u{202e}txt.exe\u{9b}", "\u{fffd}txt.exe\u{fffd}"),
        ] {
            assert_eq!(plain(text), expected);
        }
        assert_eq!(plain_path(b"a\x1b\xff\xe2\x80\xae"), "/a\\u{1b}\\xff\u{fffd}");
    }
}
