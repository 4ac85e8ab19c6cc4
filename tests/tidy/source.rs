//! A Rust file, taken apart as far as the rules need it: what is code, what is text, and what is a test.

use std::ops::Range;

const TEST_FOLDERS: &[&str] = &["tests/", "examples/", "benches/", "bench/", "fuzz/"];

/// One Rust file.
pub struct Source {
    /// Relative to the root of the project.
    pub path: String,
    pub text: String,
    /// `text` with every comment and every literal's inside replaced by spaces, so that offsets agree.
    pub code: String,
    /// String literals: where the inside begins, and the inside as written.
    pub literals: Vec<(usize, String)>,
    /// Each `use` as full paths: `use std::{fs, io::Read}` is two.
    uses: Vec<(usize, String)>,
    tests: Vec<Range<usize>>,
}

impl Source {
    pub fn parse(path: String, text: String) -> Source {
        let mut lexer = Lexer::new(&text);
        lexer.run();
        let (code, literals) = lexer.finish();
        let tests = test_items(&code);
        let uses = uses(&code);
        Source {
            path,
            text,
            code,
            literals,
            uses,
            tests,
        }
    }

    /// Line numbers begin at 1.
    pub fn line(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }

    /// Whether this is code that only a test, a measurement or a fuzz target runs.
    pub fn is_test(&self, offset: usize) -> bool {
        let in_folder = |folder: &str| self.path.starts_with(folder) || self.path.contains(&format!("/{folder}"));
        let by_path = TEST_FOLDERS.iter().any(|folder| in_folder(folder)) || self.path.ends_with("/tests.rs");
        by_path || self.tests.iter().any(|test| test.contains(&offset))
    }

    /// Where a word or path such as `std::fs` or `dbg!` occurs in the code, also when it is imported from
    /// inside braces. At most once a line.
    pub fn find(&self, wanted: &str) -> Vec<usize> {
        let written = words(&self.code, wanted);
        let below = format!("{wanted}::");
        let imported = |(_, path): &&(usize, String)| path == wanted || path.starts_with(&below);
        let imported = self.uses.iter().filter(imported).map(|(offset, _)| *offset);
        let mut found: Vec<usize> = written.into_iter().chain(imported).collect();
        found.sort_unstable();
        found.dedup_by_key(|offset| self.line(*offset));
        found
    }
}

/// Where `wanted` occurs in `code` and is not part of a longer word.
fn words(code: &str, wanted: &str) -> Vec<usize> {
    let inside = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let (bytes, open_end) = (code.as_bytes(), !inside(wanted.as_bytes().last()));
    let open_start = !inside(wanted.as_bytes().first());
    let whole = |at: &usize| {
        (open_start || *at == 0 || !inside(bytes.get(at - 1))) && (open_end || !inside(bytes.get(at + wanted.len())))
    };
    code.match_indices(wanted).map(|(at, _)| at).filter(whole).collect()
}

/// The extent of each item marked `#[cfg(test)]`, up to its closing brace or semicolon.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let end = |start: usize| {
        let mut depth = 0_usize;
        for (at, byte) in code.bytes().enumerate().skip(start) {
            match byte {
                b'{' => depth += 1,
                b'}' if depth <= 1 => return at,
                b'}' => depth -= 1,
                b';' if depth == 0 => return at,
                _ => {}
            }
        }
        code.len()
    };
    code.match_indices("#[cfg(test)]")
        .map(|(start, _)| start..end(start))
        .collect()
}

fn uses(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for start in words(code, "use") {
        if let Some(end) = code[start..].find(';') {
            expand("", &code[start + 3..start + end], start, &mut found);
        }
    }
    found
}

/// One branch of a `use` tree: `prefix` is what stands before its brace.
fn expand(prefix: &str, tree: &str, at: usize, into: &mut Vec<(usize, String)>) {
    let tree = tree.trim();
    let Some(brace) = tree.find('{') else {
        let name = tree.split_whitespace().next().unwrap_or_default();
        return into.push((at, format!("{prefix}{name}").trim_end_matches("::self").to_owned()));
    };
    let prefix = format!("{prefix}{}", tree[..brace].trim());
    let inside = tree[brace + 1..].trim_end().trim_end_matches('}');
    let (mut depth, mut begin) = (0_i32, 0);
    for (end, byte) in inside.bytes().enumerate() {
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        if byte == b',' && depth == 0 {
            expand(&prefix, &inside[begin..end], at, into);
            begin = end + 1;
        }
    }
    if !inside[begin..].trim().is_empty() {
        expand(&prefix, &inside[begin..], at, into);
    }
}

/// Blanks comments and literals, byte by byte.
struct Lexer<'a> {
    text: &'a [u8],
    code: Vec<u8>,
    literals: Vec<(usize, String)>,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Lexer<'a> {
        Lexer {
            text: text.as_bytes(),
            code: Vec::with_capacity(text.len()),
            literals: Vec::new(),
            at: 0,
        }
    }

    fn run(&mut self) {
        while self.at < self.text.len() {
            match self.text[self.at] {
                b'/' if self.next_is(b"//") => self.blank(self.until(b"\n", 0)),
                b'/' if self.next_is(b"/*") => self.blank(self.comment()),
                b'"' => self.string(1, b"\""),
                b'r' if !self.in_word() => self.raw(),
                b'\'' => self.quote(),
                byte => self.keep(byte),
            }
        }
    }

    fn finish(self) -> (String, Vec<(usize, String)>) {
        let code = String::from_utf8(self.code).expect("every byte that is not ASCII was blanked");
        (code, self.literals)
    }

    fn next_is(&self, wanted: &[u8]) -> bool {
        self.text[self.at..].starts_with(wanted)
    }

    /// Whether the byte here continues a word; the `b` or `c` of `br""` and `cr""` does not count.
    fn in_word(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).map(|at| self.text[at]);
        let word = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let prefix = matches!(before(1), Some(b'b' | b'c')) && !word(before(2));
        word(before(1)) && !prefix
    }

    /// The offset of `end` from here on, or of the end of the file.
    fn until(&self, end: &[u8], skip: usize) -> usize {
        let rest = &self.text[(self.at + skip).min(self.text.len())..];
        let found = rest.windows(end.len()).position(|window| window == end);
        found.map_or(self.text.len(), |found| self.at + skip + found)
    }

    /// The end of a block comment; they nest.
    fn comment(&self) -> usize {
        let (mut at, mut depth) = (self.at, 0_usize);
        while at < self.text.len() {
            match &self.text[at..(at + 2).min(self.text.len())] {
                b"/*" => (depth, at) = (depth + 1, at + 2),
                b"*/" => (depth, at) = (depth - 1, at + 2),
                _ => at += 1,
            }
            if depth == 0 {
                break;
            }
        }
        at
    }

    /// A raw string (`r"…"`, `r#"…"#`), or an ordinary `r`.
    fn raw(&mut self) {
        let hashes = self.text[self.at + 1..]
            .iter()
            .take_while(|byte| **byte == b'#')
            .count();
        if self.text.get(self.at + 1 + hashes) != Some(&b'"') {
            return self.keep(b'r');
        }
        let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
        let inside = self.at + 2 + hashes;
        let close = self.until(&end, 2 + hashes);
        self.literal(inside, close, close + end.len());
    }

    fn string(&mut self, open: usize, close: &[u8]) {
        let inside = self.at + open;
        let mut end = inside;
        while end < self.text.len() && !self.text[end..].starts_with(close) {
            end += if self.text[end] == b'\\' { 2 } else { 1 };
        }
        self.literal(inside, end, end + close.len());
    }

    fn literal(&mut self, inside: usize, close: usize, end: usize) {
        let close = close.min(self.text.len());
        let text = String::from_utf8_lossy(&self.text[inside..close]).into_owned();
        self.literals.push((inside, text));
        self.blank(end);
    }

    /// A character literal, or the mark of a lifetime.
    fn quote(&mut self) {
        let rest = &self.text[self.at + 1..];
        let escaped = rest.first() == Some(&b'\\');
        let length = std::str::from_utf8(&rest[..rest.len().min(4)])
            .or_else(|error| std::str::from_utf8(&rest[..error.valid_up_to()]))
            .ok()
            .and_then(|text| text.chars().next())
            .map_or(1, char::len_utf8);
        if escaped {
            self.blank(self.until(b"'", 3) + 1);
        } else if rest.get(length) == Some(&b'\'') {
            self.blank(self.at + length + 2);
        } else {
            self.keep(b'\'');
        }
    }

    fn keep(&mut self, byte: u8) {
        self.code.push(if byte.is_ascii() { byte } else { b' ' });
        self.at += 1;
    }

    fn blank(&mut self, end: usize) {
        let end = end.min(self.text.len());
        let blanked = self.text[self.at..end]
            .iter()
            .map(|byte| if *byte == b'\n' { b'\n' } else { b' ' });
        self.code.extend(blanked);
        self.at = end;
    }
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = r####"
fn a<'a>(x: &'a str) { let c = ['"', '\'', '\\', 'é']; } // fs::read
/* outer /* fs::write */ still */ let s = "a \" fs::copy"; let r = br#"un"safe"#;
#[cfg(test)]
mod tests { fn t() { dbg!(1) } }
use std::{fs::{self, File}, io::Read as _};
"####;
    let source = Source::parse("src/a.rs".into(), text.into());
    assert_eq!(source.code.len(), source.text.len());
    let insides: Vec<&str> = source.literals.iter().map(|(_, inside)| inside.as_str()).collect();
    assert_eq!(insides, [r#"a \" fs::copy"#, r#"un"safe"#]);
    let (fs, file) = (source.find("std::fs"), source.find("std::fs::File"));
    assert_eq!(
        (source.line(fs[0]), file.len(), source.find("std::io::Read").len()),
        (6, 1, 1)
    );
    assert!(source.find("fs::read").is_empty() && source.find("unsafe").is_empty());
    let dbg = source.find("dbg!");
    assert!(dbg.len() == 1 && source.is_test(dbg[0]) && !source.is_test(1));
}
